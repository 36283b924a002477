// SPDX-License-Identifier: Apache-2.0
#include "ops/broadcast.h"

namespace fewbins {
namespace {

// The operand's steps along the axes of the output.
Strides steps(const Dims& operand, int rank) {
  const Strides own = memory_strides(operand);
  Strides result{};
  for (int axis = 0; axis < operand.rank; ++axis)
    if (operand[axis] != 1) result[static_cast<size_t>(axis + rank - operand.rank)] = own[static_cast<size_t>(axis)];
  return result;
}

Dims joined(const NodeDef& node, const Dims& a, const Dims& b) {
  Dims out;
  out.rank = std::max(a.rank, b.rank);
  for (int axis = 0; axis < out.rank; ++axis) {
    const int at_a = axis - (out.rank - a.rank);
    const int at_b = axis - (out.rank - b.rank);
    const int64_t size_a = at_a < 0 ? int64_t{1} : int64_t{a[at_a]};
    const int64_t size_b = at_b < 0 ? int64_t{1} : int64_t{b[at_b]};
    if (size_a != size_b && size_a != 1 && size_b != 1)
      fail_shape(node, "inputs ", a.text(), " and ", b.text(), " do not broadcast");
    out[axis] = size_a == 1 ? size_b : size_a;
  }
  return out;
}

// Whether both axes of the output can be walked as one.
bool merges(const BroadcastAxis& outer, const BroadcastAxis& inner) {
  for (size_t i = 0; i < kMaxBroadcast; ++i)
    if (outer.step[i] != Size(inner.step[i]) * inner.size) return false;
  return true;
}

}  // namespace

Dims broadcast_dims(const NodeDef& node, std::span<const TensorDesc> in) {
  Dims dims = in[0].dims;
  for (const TensorDesc& one : in.subspan(1)) dims = joined(node, dims, one.dims);
  return dims;
}

std::unique_ptr<BroadcastState> prepare_broadcast(const PrepareArgs& args) {
  auto state = std::make_unique<BroadcastState>();
  const Dims& out = args.out[0].dims;
  std::array<Strides, kMaxBroadcast> operands{};
  for (size_t i = 0; i < args.in.size(); ++i) operands[i] = steps(args.in[i].dims, out.rank);
  std::vector<size_t> order(static_cast<size_t>(out.rank));
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  if (out.rank == 4) order = {0, 2, 3, 1};
  for (const size_t axis : order) {
    BroadcastAxis next;
    next.size = out[static_cast<int>(axis)];
    for (size_t i = 0; i < kMaxBroadcast; ++i) next.step[i] = operands[i][axis];
    if (next.size == 1) continue;
    if (!state->outer.empty() && merges(state->outer.back(), next)) {
      next.size = Size(next.size) * state->outer.back().size;
      state->outer.back() = next;
    } else {
      state->outer.push_back(next);
    }
  }
  if (!state->outer.empty()) {
    state->line = state->outer.back();
    state->outer.pop_back();
  }
  for (const BroadcastAxis& axis : state->outer) state->lines *= axis.size;
  return state;
}

}  // namespace fewbins
