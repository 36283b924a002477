// SPDX-License-Identifier: Apache-2.0
// PRelu: y = x < 0 ? slope * x : x, float32, one slope or one per channel (axis 1).
#include "base/thread_pool.h"
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

class PReluOp final : public NodeOp {
 public:
  PReluOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 1, 1);
    require_input(node, context, 0, DType::f32);
    require_output(node, context, DType::f32);
    const auto slope = Params(node, context).required("slope", DType::f32).as<float>();
    context.budget.charge(Size(slope.size()) * sizeof(float), "slopes");
    slope_.assign(slope.begin(), slope.end());
    if (slope_.empty()) fail_node(node, "slope is empty");
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const Dims& dims = in[0].dims;
    if (slope_.size() != 1 && (dims.rank < 2 || dims[1] != channels()))
      fail_shape(node_, "input ", dims.text(), " does not have the ", channels(), " channels of slope on axis 1");
    out[0].dims = dims;
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& /*args*/) const override {
    auto state = std::make_unique<OpState>();
    state->alias = Alias::in_place;
    return state;
  }

  void run(const RunArgs& args) const override {
    const Dims& dims = args.in_desc[0].dims;
    const auto* x = args.input<float>(0);
    auto* y = args.output<float>(0);
    // How many neighbours in memory share a channel.
    const int64_t step = dims.rank < 2 ? Size(1) : memory_strides(dims)[1];
    const int64_t run = channels() == 1 ? int64_t{dims.count()} : step;
    args.pool.parallel_for(dims.count(), 4096, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        const float slope = slope_[static_cast<size_t>(i / run % channels())];
        y[i] = x[i] < 0.0F ? slope * x[i] : x[i];
      }
    });
  }

 private:
  [[nodiscard]] int64_t channels() const { return static_cast<int64_t>(slope_.size()); }

  std::vector<float> slope_;
};

}  // namespace

std::unique_ptr<Op> make_prelu(const NodeDef& node, const OpContext& context) {
  return std::make_unique<PReluOp>(node, context);
}

}  // namespace fewbins
