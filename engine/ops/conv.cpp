// SPDX-License-Identifier: Apache-2.0
// Conv. Forms:
//   pointwise  1x1, stride 1: the input's pixels are the rows
//   rows       few channels: the input is copied once with its padding, so that a whole kernel row is one tap
//   direct     any other
//   depthwise  see depthwise.cpp
//   winograd   see conv_winograd.cpp
#include <algorithm>
#include <cstring>
#include <optional>

#include "base/thread_pool.h"
#include "ops/conv.h"
#include "ops/conv_winograd.h"
#include "ops/factories.h"
#include "ops/node_op.h"
#include "ops/product.h"
#include "ops/weights.h"

namespace fewbins {

ConvParts read_conv(const NodeDef& node, const OpContext& context) {
  check_arity(node, 1, 2);
  const Attrs attrs(node);
  ConvParts parts;
  parts.window = read_window(attrs, true);
  parts.integer = attrs.requantize().has_value();
  parts.input = require_input(node, context, 0, parts.integer ? DType::levels : DType::f32).affine;
  const Constant& stored = Params(node, context).required("weight");
  const Size per_channel = stored.dims.rank == 4 && stored.dims[0] > 0 ? stored.dims.count() / stored.dims[0] : Size(1);
  parts.weights = read_weights(node, context, parts.integer, 4, [&](int64_t i) { return i / per_channel; });
  const Dims& dims = parts.weights.dims;
  const int64_t groups = attrs.integer("groups", 1, kMaxDim);
  if (dims[0] % groups != 0)
    fail_node(node, "output channels (", dims[0], ") are not a multiple of groups (", groups, ")");
  if (dims[2] != parts.window.kernel[0] || dims[3] != parts.window.kernel[1])
    fail_node(node, "its weight has shape ", dims.text(), ", which does not fit kernel ", parts.window.kernel[0], "x",
              parts.window.kernel[1]);
  if (dims[1] > kMaxDim / groups) fail_node(node, "it has too many input channels");
  parts.shape = {.groups = groups, .columns = dims[0] / groups, .taps = dims[2] * dims[3], .channels = dims[1]};
  if (parts.integer) parts.bias = read_bias(node, context, dims[0]);
  return parts;
}

void infer_conv(const NodeDef& node, const ConvParts& parts, std::span<const TensorDesc> in,
                std::span<TensorDesc> out) {
  require_rank(node, in[0], 4);
  const Dims& dims = in[0].dims;
  const int64_t channels = parts.shape.groups * parts.shape.channels;
  if (dims[1] != channels) fail_shape(node, "its input has ", dims[1], " channels, its weight ", channels);
  out[0].dims = {dims[0], parts.shape.groups * parts.shape.columns, window_extent(parts.window, 0, dims[2], node).out,
                 window_extent(parts.window, 1, dims[3], node).out};
  require_residual(node, in, out[0].dims);
}

namespace {

enum class Form : uint8_t { pointwise, rows, direct };

struct ConvState final : OpState {
  Form way = Form::direct;
  RowSource source;
  RowTarget target;
  int64_t rows = 0;  // of the product
  Extent height;
  Extent width;
  int64_t padded_height = 0;  // form rows
  int64_t padded_width = 0;
};

// Up to this many channels a tap per pixel is too short for the kernels: the copy costs less than it saves (on C = 16
// and 32, 3x3: 20 % and 7 % faster, AVX2 and VNNI).
constexpr int64_t kFewChannels = 32;

bool joins_rows(const ConvParts& parts) {
  return parts.shape.groups == 1 && parts.window.dilations[1] == 1 && parts.window.kernel[1] > 1 &&
         parts.shape.channels <= kFewChannels;
}

class ConvOp final : public NodeOp {
 public:
  ConvOp(const NodeDef& node, const OpContext& context, ConvParts parts)
      : NodeOp(node),
        parts_(std::move(parts)),
        by_rows_(joins_rows(parts_)),
        epilogue_(node, context, parts_.shape.groups * parts_.shape.columns, node.inputs.size() == 2) {
    ProductShape shape = parts_.shape;
    if (by_rows_) {
      shape.taps = parts_.window.kernel[0];
      shape.channels *= parts_.window.kernel[1];
    }
    shape.rows = expected_rows(context.desc(node.outputs[0]).dims, 1);
    const Weights& weights = parts_.weights;
    const Size bytes =
        Size(weights.integers.size()) + weights.indices.size() + Size(weights.floats.size()) * sizeof(float);
    const auto loan = context.budget.borrow(bytes, "weights by taps");
    if (parts_.integer)
      product_.emplace(context, shape, IntegerWeights{by_tap(weights.integers), by_tap(weights.indices), weights.table},
                       parts_.bias, parts_.input);
    else
      product_.emplace(context, shape, by_tap(weights.floats));
    parts_.weights = {};
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    infer_conv(node_, parts_, in, out);
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override;
  void run(const RunArgs& args) const override;

  [[nodiscard]] std::string_view kernel_name() const { return product_->kernel_name(); }

 private:
  // (O, I, kH, kW) to [O][kH * kW][I].
  template <class T>
  std::vector<T> by_tap(const std::vector<T>& weights) const {
    const ProductShape& shape = parts_.shape;
    const auto taps = static_cast<size_t>(shape.taps);
    const auto channels = static_cast<size_t>(shape.channels);
    std::vector<T> result(weights.size());
    if (weights.empty()) return result;
    for (size_t n = 0; n < static_cast<size_t>(shape.groups * shape.columns); ++n)
      for (size_t c = 0; c < channels; ++c)
        for (size_t t = 0; t < taps; ++t)
          result[(n * taps + t) * channels + c] = weights[(n * channels + c) * taps + t];
    return result;
  }

  [[nodiscard]] size_t element_bytes() const { return parts_.integer ? 1 : sizeof(float); }
  void pad_images(const RunArgs& args, const ConvState& state) const;

  ConvParts parts_;
  bool by_rows_;
  Epilogue epilogue_;
  std::optional<Product> product_;
};

std::unique_ptr<OpState> ConvOp::prepare(const PrepareArgs& args) const {
  auto state = std::make_unique<ConvState>();
  const Dims& from = args.in[0].dims;
  const Dims& to = args.out[0].dims;
  const Size channels = from[1];
  state->height = window_extent(parts_.window, 0, from[2], node_);
  state->width = window_extent(parts_.window, 1, from[3], node_);
  const Extent& height = state->height;
  const Extent& width = state->width;
  state->rows = to[0] * to[2] * to[3];
  state->target = {.run = state->rows, .step = to[1]};
  const size_t pixel_bytes = memory_size(channels * element_bytes());
  args.budget.charge((Size(height.kernel) + width.kernel) * sizeof(int64_t), "the taps of its window");
  state->source.image_step = from[2] * from[3] * channels;
  const bool same_size = parts_.shape.taps == 1 && to[2] == from[2] && to[3] == from[3] && height.stride == 1 &&
                         width.stride == 1 && height.pad_begin == 0 && width.pad_begin == 0;
  if (by_rows_) {
    state->way = Form::rows;
    state->form = "rows";
    state->padded_height = height.covered();
    state->padded_width = width.covered();
    const Size padded = height.covered() * width.covered();
    if (padded > kMaxElements / channels) fail_shape(node_, "its padded input is too large");
    state->source.image_step = padded * channels;
    // In the copy nothing is outside, and only the first column of a window is looked up.
    Extent tall = height;
    tall.in = height.covered();
    tall.pad_begin = 0;
    Extent wide = width;
    wide.in = width.covered();
    wide.pad_begin = 0;
    wide.kernel = 1;
    state->source.windows = {tap_axis(tall), tap_axis(wide), pixel_bytes};
    state->scratch_bytes = memory_size(Size(from[0]) * state->source.image_step * element_bytes() + kReadPadding);
  } else if (same_size) {
    state->way = Form::pointwise;
    state->form = "pointwise";
    state->source.step = channels;
  } else {
    state->form = "direct";
    state->source.windows = {tap_axis(height), tap_axis(width), pixel_bytes};
  }
  state->kernel = product_->kernel_name();
  state->scratch_bytes_per_slot = product_->scratch_bytes_per_slot();
  state->macs = state->rows * to[1] * parts_.shape.taps * parts_.shape.channels;
  return state;
}

void ConvOp::pad_images(const RunArgs& args, const ConvState& state) const {
  const size_t bytes = element_bytes();
  const Dims& from = args.in_desc[0].dims;
  const size_t pixel = static_cast<size_t>(from[1]) * bytes;
  const size_t line_bytes = static_cast<size_t>(state.padded_width) * pixel;
  // Level z of padding as it lies in memory; all zero bytes are 0.0.
  const int level = parts_.integer ? parts_.input.zero_point - parts_.input.lo : 0;
  const int64_t left = state.width.pad_begin;
  const int64_t inside = std::clamp<int64_t>(from[3], 0, std::max<int64_t>(0, state.padded_width - left));
  const int64_t grain = std::max<int64_t>(1, 16384 / static_cast<int64_t>(line_bytes));
  args.pool.parallel_for(from[0] * state.padded_height, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t line = begin; line < end; ++line) {
      std::byte* to = args.scratch + static_cast<size_t>(line) * line_bytes;
      const int64_t y = line % state.padded_height - state.height.pad_begin;
      if (y < 0 || y >= from[2]) {
        std::memset(to, level, line_bytes);
        continue;
      }
      const int64_t source = (line / state.padded_height * from[2] + y) * from[3];
      const size_t first = std::min(line_bytes, static_cast<size_t>(left) * pixel);
      const size_t middle = static_cast<size_t>(inside) * pixel;
      std::memset(to, level, first);
      std::memcpy(to + first, args.input<std::byte>(0) + static_cast<size_t>(source) * pixel, middle);
      std::memset(to + first + middle, level, line_bytes - first - middle);
    }
  });
}

void ConvOp::run(const RunArgs& args) const {
  const auto& state = static_cast<const ConvState&>(args.state);
  const std::byte* data = args.input<std::byte>(0);
  if (state.way == Form::rows) {
    pad_images(args, state);
    data = args.scratch;
  }
  product_->run({.data = data,
                 .residual = args.in.size() == 2 ? args.in[1] : nullptr,
                 .out = args.out[0],
                 .rows = state.rows,
                 .source = state.source,
                 .target = state.target,
                 .epilogue = epilogue_},
                args);
}

}  // namespace

std::unique_ptr<Op> make_conv(const NodeDef& node, const OpContext& context) {
  ConvParts parts = read_conv(node, context);
  const ProductShape& shape = parts.shape;
  if (shape.groups > 1 && shape.channels == 1 && shape.columns == 1)
    return make_depthwise(node, context, std::move(parts));
  // A forced row of products asks for the direct form where it can do this layer, and for nothing where it cannot.
  if (!context.forced_kernel.empty()) {
    auto direct = std::make_unique<ConvOp>(node, context, parts);
    if (direct->kernel_name() == context.forced_kernel) return direct;
  }
  if (auto winograd = make_winograd(node, context, parts)) return winograd;
  return std::make_unique<ConvOp>(node, context, std::move(parts));
}

}  // namespace fewbins
