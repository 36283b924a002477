// SPDX-License-Identifier: Apache-2.0
// ArgReduce: where along an axis the largest or the smallest element stands, int64. Of equals the first, or the last.
// Levels are compared as they are: their order is that of the values.
#include "ops/along_axis.h"
#include "ops/factories.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

class ArgReduceOp final : public NodeOp {
 public:
  ArgReduceOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 1, 1);
    const Attrs attrs(node);
    max_ = attrs.choice("function", {"max", "min"}) == 0;
    axis_ = static_cast<int>(attrs.integer("axis", 0, kMaxRank - 1));
    keepdims_ = attrs.boolean("keepdims");
    last_ = attrs.boolean("last");
    const DType dtype = context.desc(node.inputs[0]).dtype;
    if (dtype == DType::i8 || dtype == DType::b8) fail_node(node, dtype_name(dtype), " has no order here");
    require_output(node, context, DType::i64);
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const Dims& from = in[0].dims;
    if (axis_ >= from.rank) fail_shape(node_, "axis ", axis_, " is not one of ", from.text());
    Dims dims;
    for (int i = 0; i < from.rank; ++i) {
      if (i != axis_)
        dims[dims.rank++] = from[i];
      else if (keepdims_)
        dims[dims.rank++] = 1;
    }
    out[0].dims = dims;
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    return prepare_along_axis(args.in[0].dims, args.out[0].dims, axis_, keepdims_);
  }

  void run(const RunArgs& args) const override {
    switch (args.in_desc[0].dtype) {
      case DType::f32:
        return find<float>(args);
      case DType::i32:
        return find<int32_t>(args);
      case DType::i64:
        return find<int64_t>(args);
      default:
        return find<uint8_t>(args);
    }
  }

 private:
  template <class T>
  void find(const RunArgs& args) const {
    if (max_)
      last_ ? search<T>(args, std::greater_equal<T>{}) : search<T>(args, std::greater<T>{});
    else
      last_ ? search<T>(args, std::less_equal<T>{}) : search<T>(args, std::less<T>{});
  }

  // The first element is the one to beat. NaN beats nothing, and nothing beats NaN.
  template <class T, class Beats>
  void search(const RunArgs& args, Beats beats) const {
    const auto& state = static_cast<const AlongAxisState&>(args.state);
    const T* x = args.input<T>(0);
    auto* y = args.output<int64_t>(0);
    for_each_row(state, args.pool, [&](int64_t in, int64_t out, int) {
      const T* row = x + in;
      T best = row[0];
      int64_t place = 0;
      for (int64_t i = 1; i < state.length; ++i) {
        const T value = row[i * state.in_step];
        if (!beats(value, best)) continue;
        best = value;
        place = i;
      }
      y[out] = place;
    });
  }

  bool max_ = true;
  bool keepdims_ = true;
  bool last_ = false;
  int axis_ = 0;
};

}  // namespace

std::unique_ptr<Op> make_arg_reduce(const NodeDef& node, const OpContext& context) {
  return std::make_unique<ArgReduceOp>(node, context);
}

}  // namespace fewbins
