// SPDX-License-Identifier: Apache-2.0
// TopK: the k largest or smallest elements along an axis, best first, and where they stand (int64). Of equals the first
// comes first; NaN counts as larger than all numbers.
#include <algorithm>
#include <cmath>

#include "base/scratch.h"
#include "ops/along_axis.h"
#include "ops/factories.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

template <class T>
bool is_larger(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && !std::isnan(b);
  return a > b;
}

class TopKOp final : public NodeOp {
 public:
  TopKOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 1, 1, 2);
    const Attrs attrs(node);
    axis_ = static_cast<int>(attrs.integer("axis", 0, kMaxRank - 1));
    k_ = attrs.integer("k", 1, kMaxDim);
    largest_ = attrs.boolean("largest");
    dtype_ = context.desc(node.inputs[0]).dtype;
    if (dtype_ != DType::f32 && dtype_ != DType::i32 && dtype_ != DType::i64)
      fail_node(node, "its input is ", dtype_name(dtype_), ", expected float32, int32 or int64");
    require_output(node, context, dtype_);
    if (context.desc(node.outputs[1]).dtype != DType::i64)
      fail_node(node, "its output '", node.outputs[1], "' must be int64");
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const Dims& from = in[0].dims;
    if (axis_ >= from.rank) fail_shape(node_, "axis ", axis_, " is not one of ", from.text());
    if (k_ > from[axis_]) fail_shape(node_, "axis ", axis_, " of ", from.text(), " has fewer than k = ", k_);
    out[0].dims = from;
    out[0].dims[axis_] = k_;
    out[1].dims = out[0].dims;
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = prepare_along_axis(args.in[0].dims, args.out[0].dims, axis_, true);
    ScratchLayout layout;
    layout.add<int64_t>(state->length);
    state->scratch_bytes_per_slot = layout.total();
    return state;
  }

  void run(const RunArgs& args) const override {
    switch (dtype_) {
      case DType::i32:
        return find<int32_t>(args);
      case DType::i64:
        return find<int64_t>(args);
      default:
        return find<float>(args);
    }
  }

 private:
  template <class T>
  void find(const RunArgs& args) const {
    const auto& state = static_cast<const AlongAxisState&>(args.state);
    for_each_row(state, args.pool, [&](int64_t in, int64_t out, int slot) {
      const T* row = args.input<T>(0) + in;
      const auto at = [&](int64_t i) { return row[i * state.in_step]; };
      auto* order = reinterpret_cast<int64_t*>(args.scratch_of(slot));
      for (int64_t i = 0; i < state.length; ++i) order[i] = i;
      std::partial_sort(order, order + k_, order + state.length, [&](int64_t a, int64_t b) {
        if (largest_ ? is_larger(at(a), at(b)) : is_larger(at(b), at(a))) return true;
        if (largest_ ? is_larger(at(b), at(a)) : is_larger(at(a), at(b))) return false;
        return a < b;
      });
      for (int64_t i = 0; i < k_; ++i) {
        args.output<T>(0)[out + i * state.out_step] = at(order[i]);
        args.output<int64_t>(1)[out + i * state.out_step] = order[i];
      }
    });
  }

  int axis_ = 0;
  int64_t k_ = 1;
  bool largest_ = true;
  DType dtype_ = DType::f32;
};

}  // namespace

std::unique_ptr<Op> make_top_k(const NodeDef& node, const OpContext& context) {
  return std::make_unique<TopKOp>(node, context);
}

}  // namespace fewbins
