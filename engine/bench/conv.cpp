// SPDX-License-Identifier: Apache-2.0
// One convolution as the engine runs it in a network at batch 1: the operator, its form, its epilogue.
#include <algorithm>
#include <cmath>
#include <random>

#include "base/cpu_cache.h"
#include "base/thread_pool.h"
#include "bench/bench.h"
#include "bench/one_node.h"

namespace fewbins::bench {
namespace {

constexpr std::size_t kSweepMost = std::size_t{128} << 20;
constexpr std::size_t kSweepLeast = std::size_t{16} << 20;

// What other layers leave in the caches; shared by all subjects of a process.
AlignedBytes& sweep_buffer() {
  static AlignedBytes buffer(std::clamp(2 * last_cache_bytes(), kSweepLeast, kSweepMost));
  return buffer;
}

void touch(const AlignedBytes& bytes) {
  std::uint8_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += kAlignment)
    sum = static_cast<std::uint8_t>(sum + bytes.as<std::uint8_t>()[i]);
  volatile std::uint8_t sink = sum;
  (void)sink;
}

std::string attributes(const ConvSetup& setup) {
  const std::string window = std::to_string(setup.window);
  const std::string pad = std::to_string(setup.window / 2);
  const std::string& levels =
      "\"lo\":" + std::to_string(setup.bins.levels.lo) + ",\"hi\":" + std::to_string(setup.bins.levels.hi);
  return R"({"kernel":[)" + window + "," + window + R"(],"strides":[1,1],"pads":[)" + pad + "," + pad + "," + pad +
         "," + pad + R"(],"dilations":[1,1],"groups":)" + std::to_string(setup.depthwise ? setup.channels : 1) +
         R"(,"auto_pad":"explicit","clamp":null,"requantize":)" +
         (setup.is_float ? "null}" : R"({"kind":"float",)" + levels + R"(,"negate_residual":false}})");
}

OneNode make_node(const ConvSetup& setup) {
  const std::int64_t per_group = setup.depthwise ? 1 : setup.channels;
  const Dims dims{setup.columns, per_group, setup.window, setup.window};
  const auto columns = static_cast<std::size_t>(setup.columns);
  const std::size_t depth = static_cast<std::size_t>(dims.count()) / columns;
  const Dims in{1, setup.channels, setup.height, setup.width};
  const Dims out{1, setup.columns, setup.height, setup.width};
  OneNode node("Conv", attributes(setup).c_str());
  node.other_constants(setup.other_bytes);
  const std::vector<std::int8_t> weights = draw_weights(columns, depth, setup.bins.weight, setup.weights);
  if (setup.is_float) {
    std::vector<float> floats(weights.size());
    for (std::size_t i = 0; i < floats.size(); ++i) floats[i] = static_cast<float>(weights[i]) / 128.0F;
    node.input(DType::f32, {}, in).output(DType::f32, {}, out).param<float>("weight", DType::f32, dims, floats);
    node.param<float>("bias", DType::f32, {setup.columns}, std::vector<float>(columns, 0.5F));
    return node;
  }
  const ActivationLevels& levels = setup.bins.levels;
  const AffineInfo affine{0.5F, (levels.lo + levels.hi) / 2, levels.lo, levels.hi};
  // So that the outputs spread over the levels: what they are does not matter, that they differ might.
  const float spread = 4.0F / (static_cast<float>(setup.bins.weight) * std::sqrt(static_cast<float>(depth)));
  node.input(DType::levels, affine, in)
      .output(DType::levels, affine, out)
      .param<std::int8_t>("weight", DType::i8, dims, weights)
      .param<std::int32_t>("bias", DType::i32, {setup.columns}, std::vector<std::int32_t>(columns, 7))
      .param<float>("multiplier", DType::f32, {setup.columns}, std::vector<float>(columns, spread));
  return node;
}

class Conv final : public Subject {
 public:
  explicit Conv(const ConvSetup& setup) : pool_(1), node_(make_node(setup)), op_(node_.make(setup.cap, setup.kernel)) {
    in_ = node_.describe_inputs({Dims{1, setup.channels, setup.height, setup.width}});
    out_ = node_.describe_outputs();
    op_->infer(in_, out_);
    MemoryBudget budget;
    state_ = op_->prepare({in_, out_, 1, budget});
    kernel = state_->kernel;
    form = state_->form;
    // Blocks differ from column to column of a network, so 16-bit sums are held against sums that are never widened.
    for (const GemmKernel& row : gemm_kernels()) {
      if (!kernel.starts_with(row.name)) continue;
      name_mix(row, *this);
      if (row.family == Family::dot16) mix = "add16";
    }
    macs = static_cast<double>(setup.height * setup.width * setup.columns * setup.window * setup.window) *
           static_cast<double>(setup.depthwise ? 1 : setup.channels);
    input_ = AlignedBytes(in_[0].bytes());
    output_ = AlignedBytes(out_[0].bytes());
    scratch_ = AlignedBytes(state_->scratch_bytes);
    slot_ = AlignedBytes(state_->scratch_bytes_per_slot);
    std::mt19937 random(3);
    const auto bins = static_cast<std::uint32_t>(setup.bins.levels.hi - setup.bins.levels.lo + 1);
    for (std::size_t i = 0; i < static_cast<std::size_t>(in_[0].dims.count()); ++i) {
      const auto u = static_cast<std::uint32_t>(random() % bins);
      if (setup.is_float) {
        input_.as<float>()[i] = static_cast<float>(u) / static_cast<float>(bins) - 0.5F;
      } else {
        input_.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(u);
      }
    }
  }

  void call() override {
    const void* in = input_.data();
    void* out = output_.data();
    op_->run({{&in, 1}, {&out, 1}, in_, out_, *state_, scratch_.data(), slot_.data(), slot_.size(), pool_});
  }

  // The previous layer has just written the input; the rest is as the other layers left it.
  void cool() override {
    touch(sweep_buffer());
    touch(input_);
  }

 private:
  ThreadPool pool_;
  OneNode node_;
  std::unique_ptr<Op> op_;
  std::vector<TensorDesc> in_;
  std::vector<TensorDesc> out_;
  std::unique_ptr<OpState> state_;
  AlignedBytes input_;
  AlignedBytes output_;
  AlignedBytes scratch_;
  AlignedBytes slot_;
};

}  // namespace

std::unique_ptr<Subject> make_conv(const ConvSetup& setup) { return std::make_unique<Conv>(setup); }

}  // namespace fewbins::bench
