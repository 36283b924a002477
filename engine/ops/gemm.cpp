// SPDX-License-Identifier: Apache-2.0
// Gemm: a matrix product with a constant, over the last axis of the input.
#include <optional>

#include "base/scratch.h"
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"
#include "ops/product.h"
#include "ops/weights.h"

namespace fewbins {
namespace {

struct GemmState final : OpState {
  RowSource source;
  RowTarget target;
  // Rank-4 operands lie as NHWC; where that is not the logical order they pass through row-major copies.
  bool copies_input = false;
  bool copies_output = false;
  size_t input_at = 0;  // in the scratch memory
  size_t output_at = 0;
  size_t residual_at = 0;
};

class GemmOp final : public NodeOp {
 public:
  GemmOp(const NodeDef& node, const OpContext& context)
      : NodeOp(node), epilogue_(node, context, columns(node, context), node.inputs.size() == 2) {
    check_arity(node, 1, 2);
    const bool integer = !epilogue_.is_float();
    const TensorDesc input = require_input(node, context, 0, integer ? DType::levels : DType::f32);
    const Constant& stored = Params(node, context).required("weight");
    const Size depth = stored.dims.rank == 2 && stored.dims[1] > 0 ? stored.dims[1] : Size(1);
    const Weights weights = read_weights(node, context, integer, 2, [&](int64_t i) { return i / depth; });
    const Dims output = context.desc(node.outputs[0]).dims;
    const ProductShape shape{.groups = 1,
                             .columns = weights.dims[0],
                             .taps = 1,
                             .channels = weights.dims[1],
                             .rows = expected_rows(output, output.rank - 1)};
    if (integer)
      product_.emplace(context, shape, IntegerWeights{weights.integers, weights.indices, weights.table},
                       read_bias(node, context, shape.columns), input.affine);
    else
      product_.emplace(context, shape, weights.floats);
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const Dims& from = in[0].dims;
    if (from.rank < 1 || from[from.rank - 1] != product_->shape().channels)
      fail_shape(node_, "the last axis of its input ", from.text(), " does not have the ", product_->shape().channels,
                 " elements of its weight's rows");
    out[0].dims = from;
    out[0].dims[from.rank - 1] = product_->shape().columns;
    require_residual(node_, in, out[0].dims);
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = std::make_unique<GemmState>();
    const Size rows = args.out[0].dims.count() / product_->shape().columns;
    state->source.step = product_->shape().channels;
    state->target = {.run = rows, .step = product_->shape().columns};
    state->copies_input = !same_order(args.in[0].dims);
    state->copies_output = !same_order(args.out[0].dims);
    ScratchLayout scratch;
    if (state->copies_input) state->input_at = scratch.add_operand(args.in[0].bytes());
    if (state->copies_output) state->output_at = scratch.add_operand(args.out[0].bytes());
    if (state->copies_output && args.in.size() == 2) state->residual_at = scratch.add_operand(args.in[1].bytes());
    state->scratch_bytes = scratch.total();
    state->scratch_bytes_per_slot = product_->scratch_bytes_per_slot();
    state->kernel = product_->kernel_name();
    state->form = "product";
    state->macs = args.out[0].dims.count() * product_->shape().channels;
    return state;
  }

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const GemmState&>(args.state);
    const auto to_logical = [&](const TensorDesc& desc, const void* from, size_t at) {
      std::byte* to = args.scratch + at;
      copy_box({desc.dims, logical_strides(desc.dims), memory_strides(desc.dims)}, to, from, dtype_bytes(desc.dtype),
               args.pool);
      return to;
    };
    const TensorDesc& result = args.out_desc[0];
    const void* data = state.copies_input ? to_logical(args.in_desc[0], args.in[0], state.input_at) : args.in[0];
    const void* residual = args.in.size() == 2 ? args.in[1] : nullptr;
    if (residual != nullptr && state.copies_output) residual = to_logical(args.in_desc[1], residual, state.residual_at);
    void* out = state.copies_output ? args.scratch + state.output_at : args.out[0];
    product_->run({.data = static_cast<const std::byte*>(data),
                   .residual = residual,
                   .out = out,
                   .rows = state.target.run,
                   .source = state.source,
                   .target = state.target,
                   .epilogue = epilogue_},
                  args);
    if (state.copies_output)
      copy_box({result.dims, memory_strides(result.dims), logical_strides(result.dims)}, args.out[0], out,
               dtype_bytes(result.dtype), args.pool);
  }

 private:
  static int64_t columns(const NodeDef& node, const OpContext& context) {
    const Dims& dims = Params(node, context).required("weight").dims;
    if (dims.rank != 2) fail_node(node, "its weight has shape ", dims.text(), ", expected 2 sizes");
    return dims[0];
  }

  Epilogue epilogue_;
  std::optional<Product> product_;
};

}  // namespace

std::unique_ptr<Op> make_gemm(const NodeDef& node, const OpContext& context) {
  return std::make_unique<GemmOp>(node, context);
}

}  // namespace fewbins
