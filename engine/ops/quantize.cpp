// SPDX-License-Identifier: Apache-2.0
// Quantize and Dequantize: where float32 and levels meet.
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "ops/factories.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

constexpr int64_t kGrain = 16384;

class QuantizeOp final : public NodeOp {
 public:
  QuantizeOp(const NodeDef& node, const OpContext& context) : NodeOp(node), kernels_(select_elementwise(context.isa)) {
    check_arity(node, 1, 1);
    require_input(node, context, 0, DType::f32);
    require_output(node, context, DType::levels);
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override { out[0].dims = in[0].dims; }

  void run(const RunArgs& args) const override {
    const AffineInfo& affine = args.out_desc[0].affine;
    args.pool.parallel_for(args.in_desc[0].dims.count(), kGrain, [&](int64_t begin, int64_t end, int) {
      kernels_.quantize({.x = args.input<float>(0) + begin,
                         .count = static_cast<size_t>(end - begin),
                         .scale = affine.scale,
                         .z = affine.zero_point,
                         .lo = affine.lo,
                         .hi = affine.hi,
                         .out = args.output<uint8_t>(0) + begin});
    });
  }

 private:
  const ElementwiseKernels& kernels_;
};

class DequantizeOp final : public NodeOp {
 public:
  DequantizeOp(const NodeDef& node, const OpContext& context)
      : NodeOp(node), kernels_(select_elementwise(context.isa)) {
    check_arity(node, 1, 1);
    require_input(node, context, 0, DType::levels);
    require_output(node, context, DType::f32);
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override { out[0].dims = in[0].dims; }

  void run(const RunArgs& args) const override {
    const AffineInfo& affine = args.in_desc[0].affine;
    args.pool.parallel_for(args.in_desc[0].dims.count(), kGrain, [&](int64_t begin, int64_t end, int) {
      kernels_.dequantize({.u = args.input<uint8_t>(0) + begin,
                           .count = static_cast<size_t>(end - begin),
                           .scale = affine.scale,
                           .offset = affine.lo - affine.zero_point,
                           .out = args.output<float>(0) + begin});
    });
  }

 private:
  const ElementwiseKernels& kernels_;
};

}  // namespace

std::unique_ptr<Op> make_quantize(const NodeDef& node, const OpContext& context) {
  return std::make_unique<QuantizeOp>(node, context);
}

std::unique_ptr<Op> make_dequantize(const NodeDef& node, const OpContext& context) {
  return std::make_unique<DequantizeOp>(node, context);
}

}  // namespace fewbins
