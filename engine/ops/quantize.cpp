// SPDX-License-Identifier: Apache-2.0
// Quantize and Dequantize: where float32 and levels meet.
#include <algorithm>
#include <array>

#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "ops/attrs.h"
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

constexpr int64_t kGrain = 16384;
constexpr int64_t kPiece = 1024;  // floats on the stack while their offsets are subtracted

class QuantizeOp final : public NodeOp {
 public:
  QuantizeOp(const NodeDef& node, const OpContext& context) : NodeOp(node), kernels_(select_elementwise(context.isa)) {
    check_arity(node, 1, 1);
    require_input(node, context, 0, DType::f32);
    require_output(node, context, DType::levels);
    axis_ = static_cast<int>(Attrs(node).integer("axis", 0, kMaxRank - 1));
    if (const Constant* offset = Params(node, context).optional("offset", DType::f32)) offset_ = offset->as<float>();
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const Dims& dims = in[0].dims;
    if (offset_.size() > 1 && (dims.rank <= axis_ || dims[axis_] != static_cast<int64_t>(offset_.size())))
      fail_shape(node_, "input ", dims.text(), " does not have the ", offset_.size(), " channels of offset on axis ",
                 axis_);
    out[0].dims = dims;
  }

  void run(const RunArgs& args) const override {
    const Dims& dims = args.in_desc[0].dims;
    const auto* x = args.input<float>(0);
    // How many neighbours in memory share an offset.
    const int64_t step = offset_.size() > 1 ? int64_t{memory_strides(dims)[static_cast<size_t>(axis_)]} : 1;
    args.pool.parallel_for(dims.count(), kGrain, [&](int64_t begin, int64_t end, int) {
      if (offset_.empty()) {
        quantize(args, x + begin, begin, end - begin);
        return;
      }
      std::array<float, kPiece> piece;
      for (int64_t first = begin; first < end; first += kPiece) {
        const int64_t count = std::min(kPiece, end - first);
        subtract(x + first, first, step, std::span(piece).first(static_cast<size_t>(count)));
        quantize(args, piece.data(), first, count);
      }
    });
  }

 private:
  void quantize(const RunArgs& args, const float* x, int64_t first, int64_t count) const {
    const AffineInfo& affine = args.out_desc[0].affine;
    kernels_.quantize({.x = x,
                       .count = static_cast<size_t>(count),
                       .scale = affine.scale,
                       .z = affine.zero_point,
                       .lo = affine.lo,
                       .hi = affine.hi,
                       .out = args.output<uint8_t>(0) + first});
  }

  // to[i] = x[i] - the offset of element `first + i` of the tensor.
  void subtract(const float* x, int64_t first, int64_t step, std::span<float> to) const {
    auto channel = static_cast<size_t>(first / step) % offset_.size();
    int64_t left = step - first % step;
    for (size_t i = 0; i < to.size(); ++i) {
      to[i] = x[i] - offset_[channel];
      if (--left > 0) continue;
      left = step;
      if (++channel == offset_.size()) channel = 0;
    }
  }

  const ElementwiseKernels& kernels_;
  std::span<const float> offset_;  // of the model, which outlives its operators; empty: none
  int axis_ = 1;
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
