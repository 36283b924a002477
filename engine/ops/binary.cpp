// SPDX-License-Identifier: Apache-2.0
// Binary: a function of two tensors, element by element, with NumPy's broadcasting.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "base/thread_pool.h"
#include "ops/epilogue.h"
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

enum class Function : uint8_t { add, sub, mul, div, pow, max, min };

constexpr int64_t kBlock = 512;  // elements of a line that are worked on together

// Steps of the operands along one axis of the output; 0 where an operand is broadcast.
struct Axis {
  int64_t size = 1;
  int64_t a = 0;
  int64_t b = 0;
};

struct BinaryState final : OpState {
  std::vector<Axis> outer;  // in the output's memory order
  Axis line;                // the innermost axis, contiguous in the output
  int64_t lines = 1;
};

Dims broadcast(const NodeDef& node, const Dims& a, const Dims& b) {
  Dims out;
  out.rank = std::max(a.rank, b.rank);
  for (int axis = 0; axis < out.rank; ++axis) {
    const int at_a = axis - (out.rank - a.rank);
    const int at_b = axis - (out.rank - b.rank);
    const int64_t size_a = at_a < 0 ? 1 : a[at_a];
    const int64_t size_b = at_b < 0 ? 1 : b[at_b];
    if (size_a != size_b && size_a != 1 && size_b != 1)
      fail_shape(node, "inputs ", a.text(), " and ", b.text(), " do not broadcast");
    out[axis] = size_a == 1 ? size_b : size_a;
  }
  return out;
}

// The operand's steps along the axes of the output.
Strides steps(const Dims& operand, int rank) {
  const Strides own = memory_strides(operand);
  Strides result{};
  for (int axis = 0; axis < operand.rank; ++axis)
    if (operand[axis] != 1) result[static_cast<size_t>(axis + rank - operand.rank)] = own[static_cast<size_t>(axis)];
  return result;
}

template <class F>
void map(const float* a, int64_t step_a, const float* b, int64_t step_b, float* y, int64_t count, F f) {
  if (step_a == 1 && step_b == 1) {
    for (int64_t i = 0; i < count; ++i) y[i] = f(a[i], b[i]);
  } else if (step_a == 1 && step_b == 0) {
    for (int64_t i = 0; i < count; ++i) y[i] = f(a[i], b[0]);
  } else {
    for (int64_t i = 0; i < count; ++i) y[i] = f(a[i * step_a], b[i * step_b]);
  }
}

class BinaryOp final : public NodeOp {
 public:
  BinaryOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 2, 2);
    const Attrs attrs(node);
    function_ = static_cast<Function>(attrs.choice("function", {"add", "sub", "mul", "div", "pow", "max", "min"}));
    if (const auto rule = attrs.requantize()) {
      if (function_ > Function::mul) fail_node(node, "only add, sub and mul are requantized");
      const bool sum = function_ != Function::mul;
      if (rule->negate_residual && function_ != Function::sub) fail_node(node, "only sub negates its second operand");
      affine_a_ = require_input(node, context, 0, DType::levels).affine;
      if (!sum) affine_b_ = require_input(node, context, 1, DType::levels).affine;
      epilogue_ = Epilogue::uniform(node, context, *rule, sum);
      negate_ = epilogue_->makes_float() && function_ == Function::sub;
      return;
    }
    require_input(node, context, 0, DType::f32);
    require_input(node, context, 1, DType::f32);
    require_output(node, context, DType::f32);
    clamp_ = attrs.clamp();
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    out[0].dims = broadcast(node_, in[0].dims, in[1].dims);
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = std::make_unique<BinaryState>();
    const Dims& out = args.out[0].dims;
    const Strides a = steps(args.in[0].dims, out.rank);
    const Strides b = steps(args.in[1].dims, out.rank);
    std::vector<size_t> order(static_cast<size_t>(out.rank));
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    if (out.rank == 4) order = {0, 2, 3, 1};
    for (const size_t axis : order) {
      const Axis next{out.d[axis], a[axis], b[axis]};
      if (next.size == 1) continue;
      if (!state->outer.empty()) {
        Axis& last = state->outer.back();
        if (last.a == next.a * next.size && last.b == next.b * next.size) {
          last = {last.size * next.size, next.a, next.b};
          continue;
        }
      }
      state->outer.push_back(next);
    }
    if (!state->outer.empty()) {
      state->line = state->outer.back();
      state->outer.pop_back();
    }
    for (const Axis& axis : state->outer) state->lines *= axis.size;
    // Each element is read before it is written only where both lie at the same place.
    if (args.in[0].dims == out && args.in[0].bytes() == args.out[0].bytes()) state->alias = Alias::in_place;
    return state;
  }

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const BinaryState&>(args.state);
    const int64_t blocks = (state.line.size + kBlock - 1) / kBlock;
    const int64_t grain = std::max<int64_t>(1, 8192 / std::min(state.line.size, kBlock));
    args.pool.parallel_for(state.lines * blocks, grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t task = begin; task < end; ++task) {
        int64_t line = task / blocks;
        const int64_t first = task % blocks * kBlock;
        const int64_t out = line * state.line.size + first;
        int64_t a = first * state.line.a;
        int64_t b = first * state.line.b;
        for (size_t i = state.outer.size(); i-- > 0;) {
          const Axis& axis = state.outer[i];
          a += line % axis.size * axis.a;
          b += line % axis.size * axis.b;
          line /= axis.size;
        }
        const int64_t count = std::min(kBlock, state.line.size - first);
        if (epilogue_)
          run_levels(args, state.line, a, b, out, count);
        else
          run_floats(args, state.line, a, b, out, count);
      }
    });
  }

 private:
  void run_floats(const RunArgs& args, const Axis& line, int64_t at_a, int64_t at_b, int64_t out, int64_t count) const;
  void run_levels(const RunArgs& args, const Axis& line, int64_t at_a, int64_t at_b, int64_t out, int64_t count) const;

  Function function_ = Function::add;
  std::optional<Clamp> clamp_;
  std::optional<Epilogue> epilogue_;
  AffineInfo affine_a_;
  AffineInfo affine_b_;
  bool negate_ = false;  // kind dequantize of a subtraction: the float operand is subtracted
};

void BinaryOp::run_floats(const RunArgs& args, const Axis& line, int64_t at_a, int64_t at_b, int64_t out,
                          int64_t count) const {
  const float* a = args.input<float>(0) + at_a;
  const float* b = args.input<float>(1) + at_b;
  float* y = args.output<float>(0) + out;
  const auto apply = [&](auto f) { map(a, line.a, b, line.b, y, count, f); };
  switch (function_) {
    case Function::add:
      apply([](float p, float q) { return p + q; });
      break;
    case Function::sub:
      apply([](float p, float q) { return p - q; });
      break;
    case Function::mul:
      apply([](float p, float q) { return p * q; });
      break;
    case Function::div:
      apply([](float p, float q) { return p / q; });
      break;
    case Function::pow:
      apply([](float p, float q) {
        return static_cast<float>(std::pow(static_cast<double>(p), static_cast<double>(q)));
      });
      break;
    case Function::max:
      apply([](float p, float q) { return p > q || std::isnan(p) ? p : q; });
      break;
    case Function::min:
      apply([](float p, float q) { return p < q || std::isnan(p) ? p : q; });
      break;
  }
  if (!clamp_) return;
  for (int64_t i = 0; i < count; ++i) {
    y[i] = clamp_->lo > y[i] ? clamp_->lo : y[i];
    y[i] = clamp_->hi < y[i] ? clamp_->hi : y[i];
  }
}

void BinaryOp::run_levels(const RunArgs& args, const Axis& line, int64_t at_a, int64_t at_b, int64_t out,
                          int64_t count) const {
  const uint8_t* a = args.input<uint8_t>(0) + at_a;
  const int32_t offset_a = affine_a_.lo - affine_a_.zero_point;
  auto* y = args.output<std::byte>(0) + out * static_cast<int64_t>(epilogue_->output_bytes());
  std::array<int32_t, kBlock> acc;
  const auto index = [](int64_t i) { return static_cast<size_t>(i); };
  for (int64_t i = 0; i < count; ++i) acc[index(i)] = a[i * line.a] + offset_a;
  if (function_ == Function::mul) {
    const uint8_t* b = args.input<uint8_t>(1) + at_b;
    const int32_t offset_b = affine_b_.lo - affine_b_.zero_point;
    for (int64_t i = 0; i < count; ++i) acc[index(i)] *= b[i * line.b] + offset_b;
    return epilogue_->apply(acc.data(), count, y);
  }
  if (epilogue_->makes_float()) {
    const float* b = args.input<float>(1) + at_b;
    std::array<float, kBlock> other;
    for (int64_t i = 0; i < count; ++i) other[index(i)] = negate_ ? -b[i * line.b] : b[i * line.b];
    return epilogue_->apply(acc.data(), count, y, other.data());
  }
  const uint8_t* b = args.input<uint8_t>(1) + at_b;
  if (line.a == 1 && line.b == 1) return epilogue_->add(a, offset_a, b, count, reinterpret_cast<uint8_t*>(y));
  std::array<uint8_t, kBlock> other;
  for (int64_t i = 0; i < count; ++i) other[index(i)] = b[i * line.b];
  epilogue_->apply(acc.data(), count, y, other.data());
}

}  // namespace

std::unique_ptr<Op> make_binary(const NodeDef& node, const OpContext& context) {
  return std::make_unique<BinaryOp>(node, context);
}

}  // namespace fewbins
