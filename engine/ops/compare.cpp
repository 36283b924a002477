// SPDX-License-Identifier: Apache-2.0
// Compare and Logic, element by element with NumPy's broadcasting: what is true of two tensors, and of truth values.
// Comparisons with NaN are false. Levels of one affine are compared as they are, for their order is that of the values.
#include "ops/broadcast.h"
#include "ops/factories.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

template <class T, class F>
void map(const RunArgs& args, const BroadcastAxis& line, const std::array<int64_t, kMaxBroadcast>& at, int64_t out,
         int64_t count, F f) {
  const T* a = args.input<T>(0) + at[0];
  const T* b = args.input<T>(1) + at[1];
  auto* y = args.output<uint8_t>(0) + out;
  if (line.step[0] == 1 && line.step[1] == 1) {
    for (int64_t i = 0; i < count; ++i) y[i] = f(a[i], b[i]) ? 1 : 0;
  } else {
    for (int64_t i = 0; i < count; ++i) y[i] = f(a[i * line.step[0]], b[i * line.step[1]]) ? 1 : 0;
  }
}

class BroadcastOp : public NodeOp {
 public:
  using NodeOp::NodeOp;

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    out[0].dims = broadcast_dims(node_, in);
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override { return prepare_broadcast(args); }
};

class CompareOp final : public BroadcastOp {
 public:
  CompareOp(const NodeDef& node, const OpContext& context) : BroadcastOp(node) {
    check_arity(node, 2, 2);
    function_ = static_cast<Function>(Attrs(node).choice("function", {"equal", "less", "less_equal"}));
    const TensorDesc first = context.desc(node.inputs[0]);
    const TensorDesc second = require_input(node, context, 1, first.dtype);
    if (first.dtype == DType::i8) fail_node(node, "int8 is not compared");
    if (first.affine != second.affine)
      fail_node(node, "levels of '", node.inputs[0], "' and '", node.inputs[1],
                "' mean different values, so they do not compare");
    require_output(node, context, DType::b8);
  }

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const BroadcastState&>(args.state);
    for_each_run(state, args.pool, [&](const auto& at, int64_t out, int64_t count) {
      switch (args.in_desc[0].dtype) {
        case DType::f32:
          return compare<float>(args, state.line, at, out, count);
        case DType::i32:
          return compare<int32_t>(args, state.line, at, out, count);
        case DType::i64:
          return compare<int64_t>(args, state.line, at, out, count);
        default:
          return compare<uint8_t>(args, state.line, at, out, count);
      }
    });
  }

 private:
  enum class Function : uint8_t { equal, less, less_equal };

  template <class T>
  void compare(const RunArgs& args, const BroadcastAxis& line, const std::array<int64_t, kMaxBroadcast>& at,
               int64_t out, int64_t count) const {
    switch (function_) {
      case Function::equal:
        return map<T>(args, line, at, out, count, [](T a, T b) { return a == b; });
      case Function::less:
        return map<T>(args, line, at, out, count, [](T a, T b) { return a < b; });
      case Function::less_equal:
        return map<T>(args, line, at, out, count, [](T a, T b) { return a <= b; });
    }
  }

  Function function_ = Function::equal;
};

class LogicOp final : public BroadcastOp {
 public:
  LogicOp(const NodeDef& node, const OpContext& context) : BroadcastOp(node) {
    function_ = static_cast<Function>(Attrs(node).choice("function", {"and", "or", "xor", "not"}));
    const size_t operands = function_ == Function::not_ ? 1 : 2;
    check_arity(node, operands, operands);
    for (size_t slot = 0; slot < operands; ++slot) require_input(node, context, slot, DType::b8);
    require_output(node, context, DType::b8);
  }

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const BroadcastState&>(args.state);
    for_each_run(state, args.pool, [&](const auto& at, int64_t out, int64_t count) {
      const auto apply = [&](auto f) { map<uint8_t>(args, state.line, at, out, count, f); };
      switch (function_) {
        case Function::and_:
          return apply([](uint8_t a, uint8_t b) { return (a & b) != 0; });
        case Function::or_:
          return apply([](uint8_t a, uint8_t b) { return (a | b) != 0; });
        case Function::xor_:
          return apply([](uint8_t a, uint8_t b) { return a != b; });
        case Function::not_: {
          const auto* x = args.input<uint8_t>(0) + at[0];
          auto* y = args.output<uint8_t>(0) + out;
          for (int64_t i = 0; i < count; ++i) y[i] = x[i * state.line.step[0]] == 0 ? 1 : 0;
          return;
        }
      }
    });
  }

 private:
  enum class Function : uint8_t { and_, or_, xor_, not_ };

  Function function_ = Function::and_;
};

}  // namespace

std::unique_ptr<Op> make_compare(const NodeDef& node, const OpContext& context) {
  return std::make_unique<CompareOp>(node, context);
}

std::unique_ptr<Op> make_logic(const NodeDef& node, const OpContext& context) {
  return std::make_unique<LogicOp>(node, context);
}

}  // namespace fewbins
