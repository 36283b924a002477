// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution: one filter per channel, all channels of a pixel computed together. Forms:
//   depthwise       any window: a pointer per output pixel and tap; the sums of a few pixels stay in the first-level
//                   cache until the epilogue
//   depthwise_line  3x3 without dilation, where the kernels have a row for it: a line of outputs from three lines of
//                   inputs, requantized on the spot where the rule allows
#include <algorithm>
#include <cstring>

#include "base/scratch.h"
#include "base/thread_pool.h"
#include "ops/conv.h"
#include "ops/node_op.h"
#include "ops/taps.h"

namespace fewbins {
namespace {

constexpr int64_t kSums = 4096;  // int32 sums that wait for the epilogue
constexpr int64_t kPointers = 2048;
constexpr int64_t kLineBytes = 16384;  // of an input line: three of them stay in the first-level cache
constexpr int64_t kGrain = 16384;      // sums that a thread takes at a time, about

struct DepthwiseState final : OpState {
  Taps windows;        // by pixels
  int64_t pixels = 0;  // output pixels of an image
  int64_t chunk = 1;   // pixels computed together
  size_t rows_at = 0;  // in a slot's scratch memory, behind the sums: pointers to pixels
  Extent height;
  Extent width;
};

class DepthwiseOp final : public NodeOp {
 public:
  DepthwiseOp(const NodeDef& node, const OpContext& context, ConvParts parts)
      : NodeOp(node), parts_(std::move(parts)), epilogue_(node, context, parts_.shape.groups, node.inputs.size() == 2) {
    const auto channels = static_cast<size_t>(parts_.shape.groups);
    const auto taps = static_cast<size_t>(parts_.shape.taps);
    padding_ = AlignedBytes(context.budget.charge(Size(channels) * element_bytes(), "padding"));
    if (!parts_.integer) {
      kernel_ = &select_depthwise(Family::depthwise_f32, context.isa, context.forced_kernel);
      context.note_kernel(kernel_->name);
      packed_ = AlignedBytes(context.budget.charge(packed_depthwise_bytes(*kernel_, taps, channels), "packed weights"));
      pack_depthwise_f32(*kernel_, parts_.weights.floats.data(), taps, channels, packed_.data());
      parts_.weights = {};
      return;
    }
    const int8_t* w = parts_.weights.integers.data();
    const AffineInfo& input = parts_.input;
    const ActivationLevels levels{input.lo, input.hi};
    const bool few = depthwise_fits16(w, taps, channels, levels);
    kernel_ = &choose(few, context);
    context.note_kernel(kernel_->name);
    packed_ = AlignedBytes(context.budget.charge(packed_depthwise_bytes(*kernel_, taps, channels), "packed weights"));
    pack_depthwise(*kernel_, w, taps, channels, packed_.data(), levels);
    std::memset(padding_.data(), input.zero_point - input.lo, channels);
    const Family fold = kernel_->family == Family::depthwise_dot16 ? Family::dot16 : Family::dot32;
    const auto loan = context.budget.borrow(Size(channels) * sizeof(int32_t), "sums of its weights");
    std::vector<int32_t> sums(channels);
    column_sums({w, channels, taps, 1}, sums.data());
    for (size_t c = 0; c < channels; ++c)
      parts_.bias[c] = folded_bias(fold, parts_.bias[c], sums[c], input.lo, input.zero_point);
    parts_.weights = {};
    choose_line(context);
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    infer_conv(node_, parts_, in, out);
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override;
  void run(const RunArgs& args) const override;

 private:
  [[nodiscard]] size_t element_bytes() const { return parts_.integer ? 1 : sizeof(float); }

  // 16-bit sums where the window fits them, unless a row is forced.
  static const DepthwiseKernel& choose(bool few, const OpContext& context) {
    const DepthwiseKernel& exact = select_depthwise(Family::depthwise_dot32, context.isa, context.forced_kernel);
    if (!few || context.forced_kernel == exact.name) return exact;
    return select_depthwise(Family::depthwise_dot16, context.isa, context.forced_kernel);
  }

  void choose_line(const OpContext& context);
  void run_pixels(const RunArgs& args, const DepthwiseState& state, int64_t first, int64_t end,
                  std::byte* scratch) const;
  void run_line(const RunArgs& args, const DepthwiseState& state, int64_t line, std::byte* scratch) const;
  void finish(const RunArgs& args, const std::byte* sums, int64_t first, int64_t count) const;

  ConvParts parts_;
  Epilogue epilogue_;
  const DepthwiseKernel* kernel_ = nullptr;
  const DepthwiseLineKernel* line_ = nullptr;  // null: by pixels
  AlignedBytes packed_;
  AlignedBytes padding_;
  AlignedBytes scales_;  // of lines that are requantized on the spot
  StoreU8 store_{};
};

void DepthwiseOp::choose_line(const OpContext& context) {
  const Window& window = parts_.window;
  if (window.kernel[0] != 3 || window.kernel[1] != 3 || window.dilations[1] != 1 || window.strides[1] > 2) return;
  line_ = find_line_kernel(*kernel_);
  const auto rule = epilogue_.float_rule();
  const size_t channels = parts_.bias.size();
  if (line_ == nullptr || !rule || !depthwise_is_direct(parts_.bias.data(), rule->multiplier.data(), channels)) return;
  store_ = rule->store;
  scales_ = AlignedBytes(context.budget.charge(depthwise_scales_bytes(*kernel_, channels), "scales"));
  pack_depthwise_scales(*kernel_, parts_.bias.data(), rule->multiplier.data(), channels, scales_.data());
}

std::unique_ptr<OpState> DepthwiseOp::prepare(const PrepareArgs& args) const {
  auto state = std::make_unique<DepthwiseState>();
  const Dims& from = args.in[0].dims;
  const Dims& to = args.out[0].dims;
  state->height = window_extent(parts_.window, 0, from[2], node_);
  state->width = window_extent(parts_.window, 1, from[3], node_);
  state->pixels = to[2] * to[3];
  state->macs = to.count() * parts_.shape.taps;
  ScratchLayout slot;
  if (line_ != nullptr) {
    const bool direct = scales_.size() != 0;
    state->chunk = std::clamp<int64_t>((direct ? kLineBytes : kSums) / to[1], 1, to[3]);
    if (!direct) slot.add<int32_t>(Size(state->chunk) * parts_.shape.groups);
    state->scratch_bytes_per_slot = slot.total();
    state->kernel = line_->name;
    state->form = "depthwise_line";
    return state;
  }
  args.budget.charge((Size(state->height.kernel) + state->width.kernel) * sizeof(int64_t), "the taps of its window");
  state->windows = {tap_axis(state->height), tap_axis(state->width), memory_size(from[1] * element_bytes())};
  state->chunk = std::max<int64_t>(1, std::min<int64_t>(kSums / to[1], kPointers / parts_.shape.taps));
  slot.add<int32_t>(Size(state->chunk) * parts_.shape.groups);
  state->rows_at = slot.add<void*>(Size(state->chunk) * parts_.shape.taps);
  state->scratch_bytes_per_slot = slot.total();
  state->kernel = kernel_->name;
  state->form = "depthwise";
  return state;
}

void DepthwiseOp::run(const RunArgs& args) const {
  const auto& state = static_cast<const DepthwiseState&>(args.state);
  const int64_t images = args.in_desc[0].dims[0];
  if (line_ != nullptr) {
    const int64_t grain = std::max<int64_t>(1, kGrain / (state.width.out * parts_.shape.groups));
    args.pool.parallel_for(images * state.height.out, grain, [&](int64_t begin, int64_t end, int slot) {
      for (int64_t line = begin; line < end; ++line) run_line(args, state, line, args.scratch_of(slot));
    });
    return;
  }
  const int64_t grain = state.chunk * std::max<int64_t>(1, 64 / state.chunk);
  args.pool.parallel_for(images * state.pixels, grain, [&](int64_t begin, int64_t end, int slot) {
    for (int64_t first = begin; first < end; first += state.chunk)
      run_pixels(args, state, first, std::min(end, first + state.chunk), args.scratch_of(slot));
  });
}

// Sums of `count` output pixels to the output.
void DepthwiseOp::finish(const RunArgs& args, const std::byte* sums, int64_t first, int64_t count) const {
  const auto channels = static_cast<size_t>(parts_.shape.groups);
  const size_t offset = static_cast<size_t>(first) * channels * epilogue_.output_bytes();
  epilogue_.run({.acc = sums,
                 .acc_stride = channels,
                 .rows = static_cast<size_t>(count),
                 .cols = channels,
                 .bias = parts_.integer ? parts_.bias.data() : nullptr,
                 .residual = args.in.size() == 2 ? args.input<std::byte>(1) + offset : nullptr,
                 .residual_stride = channels,
                 .out = args.output<std::byte>(0) + offset,
                 .out_stride = channels});
}

void DepthwiseOp::run_line(const RunArgs& args, const DepthwiseState& state, int64_t line, std::byte* scratch) const {
  const auto channels = static_cast<size_t>(parts_.shape.groups);
  const Extent& width = state.width;
  const int64_t image = line / state.height.out;
  const int64_t y = line % state.height.out;
  const auto* padding = reinterpret_cast<const uint8_t*>(padding_.data());
  DepthwiseLineTask task{.lines = {padding, padding, padding},
                         .steps = {0, 0, 0},
                         .padding = padding,
                         .width = static_cast<size_t>(width.in),
                         .first = 0,
                         .stride = static_cast<size_t>(width.stride),
                         .pixels = 0,
                         .channels = channels,
                         .weights = packed_.data(),
                         .sums = reinterpret_cast<int32_t*>(scratch),
                         .out = nullptr,
                         .scales = reinterpret_cast<const float*>(scales_.data()),
                         .store = store_};
  for (int64_t tap = 0; tap < 3; ++tap) {
    const int64_t from = state.height.source(y, tap);
    if (from < 0 || from >= state.height.in) continue;
    const auto i = static_cast<size_t>(tap);
    task.lines[i] =
        args.input<uint8_t>(0) + static_cast<size_t>((image * state.height.in + from) * width.in) * channels;
    task.steps[i] = channels;
  }
  for (int64_t x = 0; x < width.out; x += state.chunk) {
    const int64_t count = std::min<int64_t>(state.chunk, width.out - x);
    const int64_t pixel = line * width.out + x;
    task.first = static_cast<ptrdiff_t>(width.source(x, 0));
    task.pixels = static_cast<size_t>(count);
    if (scales_.size() != 0) task.out = args.output<uint8_t>(0) + static_cast<size_t>(pixel) * channels;
    line_->run(task);
    if (task.out == nullptr) finish(args, scratch, pixel, count);
  }
}

void DepthwiseOp::run_pixels(const RunArgs& args, const DepthwiseState& state, int64_t first, int64_t end,
                             std::byte* scratch) const {
  const Dims& from = args.in_desc[0].dims;
  const int64_t taps = parts_.shape.taps;
  const auto channels = static_cast<size_t>(parts_.shape.groups);
  const auto** rows = reinterpret_cast<const void**>(scratch + state.rows_at);
  const int64_t image_bytes = from[2] * from[3] * from[1] * element_bytes();
  PixelCursor at(first, state.windows);
  for (int64_t pixel = first; pixel < end;) {
    const int64_t run = at.run(end - pixel, state.windows);
    state.windows.point(args.input<std::byte>(0) + at.image * image_bytes, at.y, at.x, run, padding_.data(), rows, taps,
                        1);
    at.advance(run, state.windows);
    pixel += run;
    rows += run * taps;
  }
  kernel_->run({.rows = reinterpret_cast<const void* const*>(scratch + state.rows_at),
                .pixels = static_cast<size_t>(end - first),
                .taps = static_cast<size_t>(taps),
                .channels = channels,
                .weights = packed_.data(),
                .out = scratch,
                .out_stride = channels});
  finish(args, scratch, first, end - first);
}

}  // namespace

std::unique_ptr<Op> make_depthwise(const NodeDef& node, const OpContext& context, ConvParts parts) {
  return std::make_unique<DepthwiseOp>(node, context, std::move(parts));
}

}  // namespace fewbins
