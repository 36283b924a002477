// SPDX-License-Identifier: Apache-2.0
// Softmax along one axis, in double and rounded once; the sum runs in index order.
#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

class SoftmaxOp final : public NodeOp {
 public:
  SoftmaxOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 1, 1);
    require_input(node, context, 0, DType::f32);
    require_output(node, context, DType::f32);
    axis_ = static_cast<int>(Attrs(node).integer("axis", 0, kMaxRank - 1));
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    if (axis_ >= in[0].dims.rank) fail_shape(node_, "axis ", axis_, " is not one of ", in[0].dims.text());
    out[0].dims = in[0].dims;
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = std::make_unique<OpState>();
    state->scratch_bytes_per_slot = memory_size(args.in[0].dims[axis_] * sizeof(double));
    return state;
  }

  void run(const RunArgs& args) const override {
    const Dims& dims = args.in_desc[0].dims;
    const int64_t step = memory_strides(dims)[static_cast<size_t>(axis_)];
    const int64_t size = dims[axis_];
    const auto* x = args.input<float>(0);
    auto* y = args.output<float>(0);
    // Lines along the axis: `step` neighbours, then the next block of step * size.
    args.pool.parallel_for(dims.count() / size, 16, [&](int64_t begin, int64_t end, int slot) {
      auto* terms = reinterpret_cast<double*>(args.scratch_of(slot));
      for (int64_t line = begin; line < end; ++line) {
        const int64_t at = line / step * (step * size) + line % step;
        softmax(x + at, y + at, terms, size, step);
      }
    });
  }

 private:
  static void softmax(const float* x, float* y, double* terms, int64_t size, int64_t step) {
    float most = x[0];
    for (int64_t i = 1; i < size; ++i) most = std::max(most, x[i * step]);
    double sum = 0.0;
    for (int64_t i = 0; i < size; ++i) {
      terms[i] = std::exp(static_cast<double>(x[i * step]) - static_cast<double>(most));
      sum += terms[i];
    }
    for (int64_t i = 0; i < size; ++i) y[i * step] = static_cast<float>(terms[i] / sum);
  }

  int axis_ = 0;
};

}  // namespace

std::unique_ptr<Op> make_softmax(const NodeDef& node, const OpContext& context) {
  return std::make_unique<SoftmaxOp>(node, context);
}

}  // namespace fewbins
