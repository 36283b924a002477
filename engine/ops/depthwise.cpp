// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution: one filter per channel. All channels of a pixel are computed together, so a row is a pixel and
// the sums of a few pixels stay in the first-level cache until the epilogue.
#include <algorithm>
#include <cstring>

#include "base/thread_pool.h"
#include "ops/conv.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

constexpr int64_t kSums = 4096;  // int32 sums that wait for the epilogue
constexpr int64_t kPointers = 2048;

struct DepthwiseState final : OpState {
  std::vector<int32_t> offsets;  // [output pixel][tap]
  int64_t pixels = 0;            // output pixels of an image
  int64_t chunk = 1;             // pixels computed together
};

class DepthwiseOp final : public NodeOp {
 public:
  DepthwiseOp(const NodeDef& node, const OpContext& context, ConvParts parts)
      : NodeOp(node), parts_(std::move(parts)), epilogue_(node, context, parts_.shape.groups, node.inputs.size() == 2) {
    const auto channels = static_cast<size_t>(parts_.shape.groups);
    const auto taps = static_cast<size_t>(parts_.shape.taps);
    const Family family = parts_.integer ? Family::depthwise_dot32 : Family::depthwise_f32;
    kernel_ = &select_depthwise(family, context.isa, context.forced_kernel);
    packed_ = AlignedBytes(packed_depthwise_bytes(*kernel_, taps, channels));
    padding_ = AlignedBytes(channels * element_bytes());
    if (parts_.integer) {
      const std::vector<int8_t>& w = parts_.weights.integers;
      pack_depthwise(*kernel_, w.data(), taps, channels, packed_.data());
      std::memset(padding_.data(), parts_.input.zero_point - parts_.input.lo, channels);
      std::vector<int32_t> sums(channels);
      column_sums({w.data(), channels, taps, 1}, sums.data());
      for (size_t c = 0; c < channels; ++c)
        parts_.bias[c] = folded_bias(Family::dot32, parts_.bias[c], sums[c], parts_.input.lo, parts_.input.zero_point);
    } else {
      pack_depthwise_f32(*kernel_, parts_.weights.floats.data(), taps, channels, packed_.data());
    }
    parts_.weights = {};
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    infer_conv(node_, parts_, in, out);
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = std::make_unique<DepthwiseState>();
    const Dims& from = args.in[0].dims;
    const Dims& to = args.out[0].dims;
    state->offsets = window_offsets(node_, window_extent(parts_.window, 0, from[2], node_),
                                    window_extent(parts_.window, 1, from[3], node_), from[1]);
    state->pixels = to[2] * to[3];
    state->chunk = std::max<int64_t>(1, std::min(kSums / to[1], kPointers / parts_.shape.taps));
    state->scratch_bytes_per_slot =
        sums_bytes(*state) + static_cast<size_t>(state->chunk * parts_.shape.taps) * sizeof(void*);
    state->kernel = kernel_->name;
    state->form = "depthwise";
    state->macs = to.count() * parts_.shape.taps;
    return state;
  }

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const DepthwiseState&>(args.state);
    const int64_t pixels = args.in_desc[0].dims[0] * state.pixels;
    const int64_t grain = state.chunk * std::max<int64_t>(1, 64 / state.chunk);
    args.pool.parallel_for(pixels, grain, [&](int64_t begin, int64_t end, int slot) {
      for (int64_t first = begin; first < end; first += state.chunk)
        run_chunk(args, state, first, std::min(end, first + state.chunk), args.scratch_of(slot));
    });
  }

 private:
  [[nodiscard]] size_t element_bytes() const { return parts_.integer ? 1 : sizeof(float); }

  [[nodiscard]] size_t sums_bytes(const DepthwiseState& state) const {
    return (static_cast<size_t>(state.chunk * parts_.shape.groups) * sizeof(int32_t) + 63) / 64 * 64;
  }

  void run_chunk(const RunArgs& args, const DepthwiseState& state, int64_t first, int64_t end,
                 std::byte* scratch) const;

  ConvParts parts_;
  Epilogue epilogue_;
  const DepthwiseKernel* kernel_;
  AlignedBytes packed_;
  AlignedBytes padding_;
};

void DepthwiseOp::run_chunk(const RunArgs& args, const DepthwiseState& state, int64_t first, int64_t end,
                            std::byte* scratch) const {
  const Dims& from = args.in_desc[0].dims;
  const int64_t taps = parts_.shape.taps;
  const auto channels = static_cast<size_t>(parts_.shape.groups);
  const auto bytes = static_cast<int64_t>(element_bytes());
  const auto** rows = reinterpret_cast<const void**>(scratch + sums_bytes(state));
  int64_t image = first / state.pixels;
  int64_t place = first % state.pixels;
  for (int64_t pixel = first; pixel < end; ++pixel) {
    const std::byte* base = args.input<std::byte>(0) + image * from[2] * from[3] * from[1] * bytes;
    const int32_t* offsets = state.offsets.data() + place * taps;
    for (int64_t t = 0; t < taps; ++t) *rows++ = offsets[t] < 0 ? padding_.data() : base + int64_t{offsets[t]} * bytes;
    if (++place == state.pixels) {
      place = 0;
      ++image;
    }
  }
  const auto count = static_cast<size_t>(end - first);
  kernel_->run({.rows = reinterpret_cast<const void* const*>(scratch + sums_bytes(state)),
                .pixels = count,
                .taps = static_cast<size_t>(taps),
                .channels = channels,
                .weights = packed_.data(),
                .out = scratch,
                .out_stride = channels});
  const size_t offset = static_cast<size_t>(first) * channels * epilogue_.output_bytes();
  const auto* residual = args.in.size() == 2 ? args.input<std::byte>(1) + offset : nullptr;
  epilogue_.run({.acc = scratch,
                 .acc_stride = channels,
                 .rows = count,
                 .cols = channels,
                 .bias = parts_.integer ? parts_.bias.data() : nullptr,
                 .residual = residual,
                 .residual_stride = channels,
                 .out = args.output<std::byte>(0) + offset,
                 .out_stride = channels});
}

}  // namespace

std::unique_ptr<Op> make_depthwise(const NodeDef& node, const OpContext& context, ConvParts parts) {
  return std::make_unique<DepthwiseOp>(node, context, std::move(parts));
}

}  // namespace fewbins
