// SPDX-License-Identifier: Apache-2.0
// Binary: a function of two tensors, element by element, with NumPy's broadcasting.
#include <array>
#include <cmath>
#include <optional>

#include "ops/broadcast.h"
#include "ops/epilogue.h"
#include "ops/factories.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

enum class Function : uint8_t { add, sub, mul, div, pow, max, min };

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
    out[0].dims = broadcast_dims(node_, in);
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = prepare_broadcast(args);
    const Dims& out = args.out[0].dims;
    // Each element is read before it is written only where both lie at the same place.
    if (args.in[0].dims == out && args.in[0].bytes() == args.out[0].bytes()) state->alias = Alias::in_place;
    return state;
  }

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const BroadcastState&>(args.state);
    for_each_run(state, args.pool, [&](const auto& at, int64_t out, int64_t count) {
      if (epilogue_)
        run_levels(args, state.line, at[0], at[1], out, count);
      else
        run_floats(args, state.line, at[0], at[1], out, count);
    });
  }

 private:
  void run_floats(const RunArgs& args, const BroadcastAxis& line, int64_t at_a, int64_t at_b, int64_t out,
                  int64_t count) const;
  void run_levels(const RunArgs& args, const BroadcastAxis& line, int64_t at_a, int64_t at_b, int64_t out,
                  int64_t count) const;

  Function function_ = Function::add;
  std::optional<Clamp> clamp_;
  std::optional<Epilogue> epilogue_;
  AffineInfo affine_a_;
  AffineInfo affine_b_;
  bool negate_ = false;  // kind dequantize of a subtraction: the float operand is subtracted
};

void BinaryOp::run_floats(const RunArgs& args, const BroadcastAxis& line, int64_t at_a, int64_t at_b, int64_t out,
                          int64_t count) const {
  const float* a = args.input<float>(0) + at_a;
  const float* b = args.input<float>(1) + at_b;
  float* y = args.output<float>(0) + out;
  const auto apply = [&](auto f) { map(a, line.step[0], b, line.step[1], y, count, f); };
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

void BinaryOp::run_levels(const RunArgs& args, const BroadcastAxis& line, int64_t at_a, int64_t at_b, int64_t out,
                          int64_t count) const {
  const uint8_t* a = args.input<uint8_t>(0) + at_a;
  const int32_t offset_a = affine_a_.lo - affine_a_.zero_point;
  auto* y = args.output<std::byte>(0) + out * static_cast<int64_t>(epilogue_->output_bytes());
  std::array<int32_t, kBroadcastBlock> acc;
  const auto index = [](int64_t i) { return static_cast<size_t>(i); };
  for (int64_t i = 0; i < count; ++i) acc[index(i)] = a[i * line.step[0]] + offset_a;
  if (function_ == Function::mul) {
    const uint8_t* b = args.input<uint8_t>(1) + at_b;
    const int32_t offset_b = affine_b_.lo - affine_b_.zero_point;
    for (int64_t i = 0; i < count; ++i) acc[index(i)] *= b[i * line.step[1]] + offset_b;
    return epilogue_->apply(acc.data(), count, y);
  }
  if (epilogue_->makes_float()) {
    const float* b = args.input<float>(1) + at_b;
    std::array<float, kBroadcastBlock> other;
    for (int64_t i = 0; i < count; ++i) other[index(i)] = negate_ ? -b[i * line.step[1]] : b[i * line.step[1]];
    return epilogue_->apply(acc.data(), count, y, other.data());
  }
  const uint8_t* b = args.input<uint8_t>(1) + at_b;
  if (line.step[0] == 1 && line.step[1] == 1)
    return epilogue_->add(a, offset_a, b, count, reinterpret_cast<uint8_t*>(y));
  std::array<uint8_t, kBroadcastBlock> other;
  for (int64_t i = 0; i < count; ++i) other[index(i)] = b[i * line.step[1]];
  epilogue_->apply(acc.data(), count, y, other.data());
}

}  // namespace

std::unique_ptr<Op> make_binary(const NodeDef& node, const OpContext& context) {
  return std::make_unique<BinaryOp>(node, context);
}

}  // namespace fewbins
