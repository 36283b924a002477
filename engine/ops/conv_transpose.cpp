// SPDX-License-Identifier: Apache-2.0
// ConvTranspose, as a gather: output row y takes tap k where y + pad - k * dilation is a multiple of the stride.
// Outputs whose row and column leave the same remainders ("a phase") meet the same taps, so each phase is one product
// that stores every stride-th pixel.
#include <algorithm>
#include <vector>

#include "ops/conv.h"
#include "ops/factories.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

// The taps of one axis that outputs with remainder `phase` meet.
struct Phase {
  int64_t phase = 0;
  std::vector<int64_t> taps;
};

struct Piece {
  Phase rows;
  Phase columns;
  Product product;
};

struct TransposeState final : OpState {
  struct Call {
    RowSource source;
    RowTarget target;
    int64_t rows = 0;
  };
  std::vector<Call> calls;  // one per piece
};

std::vector<Phase> phases_of(const Window& window, size_t axis) {
  std::vector<Phase> phases;
  for (int64_t phase = 0; phase < window.strides[axis]; ++phase) {
    Phase next{phase, {}};
    for (int64_t tap = 0; tap < window.kernel[axis]; ++tap)
      if ((phase + window.pads_begin[axis] - tap * window.dilations[axis]) % window.strides[axis] == 0)
        next.taps.push_back(tap);
    phases.push_back(std::move(next));
  }
  return phases;
}

class ConvTransposeOp final : public NodeOp {
 public:
  ConvTransposeOp(const NodeDef& node, const OpContext& context);

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    require_rank(node_, in[0], 4);
    const Dims& dims = in[0].dims;
    const int64_t channels = shape_.groups * shape_.channels;
    if (dims[1] != channels) fail_shape(node_, "its input has ", dims[1], " channels, its weight ", channels);
    out[0].dims = {dims[0], shape_.groups * shape_.columns, output_size(0, dims[2]), output_size(1, dims[3])};
    require_residual(node_, in, out[0].dims);
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override;

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const TransposeState&>(args.state);
    for (size_t i = 0; i < pieces_.size(); ++i) {
      const TransposeState::Call& call = state.calls[i];
      if (call.rows == 0) continue;
      pieces_[i].product.run({.data = args.input<std::byte>(0),
                              .residual = args.in.size() == 2 ? args.in[1] : nullptr,
                              .out = args.out[0],
                              .rows = call.rows,
                              .source = call.source,
                              .target = call.target,
                              .epilogue = *epilogue_},
                             args);
    }
  }

 private:
  [[nodiscard]] int64_t output_size(int axis, int64_t in) const {
    const auto i = static_cast<size_t>(axis);
    const int64_t out = (in - 1) * window_.strides[i] + (window_.kernel[i] - 1) * window_.dilations[i] + 1 +
                        output_padding_[i] - window_.pads_begin[i] - window_.pads_end[i];
    if (in < 1 || out < 1 || out > kMaxDim)
      fail_shape(node_, "an input of ", in, axis == 0 ? " rows" : " columns", " gives ", out);
    return out;
  }

  // Where tap `tap` of output `o` reads, or -1.
  [[nodiscard]] int64_t source(size_t axis, int64_t o, int64_t tap, int64_t size) const {
    const int64_t at = o + window_.pads_begin[axis] - tap * window_.dilations[axis];
    return at < 0 || at / window_.strides[axis] >= size ? -1 : at / window_.strides[axis];
  }

  Window window_;
  std::array<int64_t, 2> output_padding_{};
  ProductShape shape_;  // taps: all of them
  std::optional<Epilogue> epilogue_;
  std::vector<Piece> pieces_;
};

// One phase's weights as [group][column][tap][channel] from (I, O/groups, kH, kW). A phase without taps gets a
// single zero weight per column: its outputs are the bias.
template <class T>
std::vector<T> phase_weights(const std::vector<T>& weights, const ProductShape& all, int64_t kernel_width,
                             const Phase& rows, const Phase& columns, const ProductShape& phase) {
  std::vector<T> result(static_cast<size_t>(phase.groups * phase.columns * phase.taps * phase.channels), T{0});
  for (int64_t group = 0; group < all.groups; ++group) {
    for (int64_t n = 0; n < all.columns; ++n) {
      int64_t t = 0;
      for (const int64_t ky : rows.taps) {
        for (const int64_t kx : columns.taps) {
          for (int64_t c = 0; c < all.channels; ++c) {
            const int64_t from = ((group * all.channels + c) * all.columns + n) * all.taps + ky * kernel_width + kx;
            const int64_t to = ((group * all.columns + n) * phase.taps + t) * all.channels + c;
            result[static_cast<size_t>(to)] = weights[static_cast<size_t>(from)];
          }
          ++t;
        }
      }
    }
  }
  return result;
}

ConvTransposeOp::ConvTransposeOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
  check_arity(node, 1, 2);
  const Attrs attrs(node);
  window_ = read_window(attrs, false);
  output_padding_ = attrs.integers<2>("output_padding", 0, int64_t{1} << 20);
  for (size_t axis = 0; axis < 2; ++axis)
    if (output_padding_[axis] >= std::max(window_.strides[axis], window_.dilations[axis]))
      fail_node(node, "output_padding ", output_padding_[axis], " is not below the larger of stride and dilation");
  constexpr int64_t kMostPhases = 4096;
  if (window_.strides[0] * window_.strides[1] > kMostPhases)
    fail_node(node, "strides ", window_.strides[0], "x", window_.strides[1], " are over the limit of ", kMostPhases);
  const bool integer = attrs.requantize().has_value();
  const TensorDesc input = require_input(node, context, 0, integer ? DType::levels : DType::f32);
  const int64_t groups = attrs.integer("groups", 1, kMaxDim);
  const Dims stored = Params(node, context).required("weight").dims;
  const bool fits = stored.rank == 4 && stored[0] > 0 && stored[0] % groups == 0 && stored[1] > 0 &&
                    stored[1] <= kMaxDim / groups && stored[2] == window_.kernel[0] && stored[3] == window_.kernel[1];
  if (!fits) fail_node(node, "its weight has shape ", stored.text(), ", which does not fit its kernel and groups");
  shape_ = {.groups = groups, .columns = stored[1], .taps = stored[2] * stored[3], .channels = stored[0] / groups};
  const Weights weights = read_weights(node, context, integer, 4, [&](int64_t i) {
    const int64_t row = i / shape_.taps;  // input channel times O/groups, plus the output channel in its group
    return row / shape_.columns / shape_.channels * shape_.columns + row % shape_.columns;
  });
  const int64_t channels = groups * shape_.columns;
  epilogue_.emplace(node, context, channels, node.inputs.size() == 2);
  const std::vector<int32_t> bias = integer ? read_bias(node, context, channels) : std::vector<int32_t>{};
  for (const Phase& rows : phases_of(window_, 0)) {
    for (const Phase& columns : phases_of(window_, 1)) {
      ProductShape phase = shape_;
      phase.taps = static_cast<int64_t>(rows.taps.size() * columns.taps.size());
      if (phase.taps == 0) phase.taps = phase.channels = 1;
      const auto part = [&](const auto& all) {
        return phase_weights(all, shape_, window_.kernel[1], rows, columns, phase);
      };
      if (integer)
        pieces_.push_back({rows, columns, Product(context, phase, {part(weights.integers)}, bias, input.affine)});
      else
        pieces_.push_back({rows, columns, Product(context, phase, part(weights.floats))});
    }
  }
}

std::unique_ptr<OpState> ConvTransposeOp::prepare(const PrepareArgs& args) const {
  auto state = std::make_unique<TransposeState>();
  const Dims& from = args.in[0].dims;
  const Dims& to = args.out[0].dims;
  const auto count = [](int64_t size, int64_t phase, int64_t stride) {
    return phase < size ? (size - 1 - phase) / stride + 1 : 0;
  };
  constexpr int64_t kMostOffsets = int64_t{1} << 29;
  if (shape_.taps > kMostOffsets / (to[2] * to[3])) fail_shape(node_, "its output is too large: ", to[2], "x", to[3]);
  for (const Piece& piece : pieces_) {
    const int64_t lines = count(to[2], piece.rows.phase, window_.strides[0]);
    const int64_t run = count(to[3], piece.columns.phase, window_.strides[1]);
    TransposeState::Call call;
    call.rows = from[0] * lines * run;
    call.source.rows_per_image = lines * run;
    call.source.image_step = from[2] * from[3] * from[1];
    call.target = {.start = (piece.rows.phase * to[3] + piece.columns.phase) * to[1],
                   .run = std::max<int64_t>(1, run),
                   .step = window_.strides[1] * to[1],
                   .lines = std::max<int64_t>(1, lines),
                   .line_step = window_.strides[0] * to[3] * to[1],
                   .image_step = to[2] * to[3] * to[1]};
    const bool empty = piece.rows.taps.empty() || piece.columns.taps.empty();
    for (int64_t line = 0; line < lines; ++line) {
      for (int64_t column = 0; column < run; ++column) {
        if (empty) call.source.offsets.push_back(-1);
        for (const int64_t ky : piece.rows.taps) {
          const int64_t y = source(0, piece.rows.phase + line * window_.strides[0], ky, from[2]);
          for (const int64_t kx : piece.columns.taps) {
            const int64_t x = source(1, piece.columns.phase + column * window_.strides[1], kx, from[3]);
            const bool inside = y >= 0 && x >= 0;
            call.source.offsets.push_back(inside ? static_cast<int32_t>((y * from[3] + x) * from[1]) : -1);
          }
        }
      }
    }
    state->scratch_bytes_per_slot = std::max(state->scratch_bytes_per_slot, piece.product.scratch_bytes_per_slot());
    state->calls.push_back(std::move(call));
  }
  state->kernel = pieces_.front().product.kernel_name();
  state->form = "phases";
  state->macs = from.count() * shape_.columns * shape_.taps;
  return state;
}

}  // namespace

std::unique_ptr<Op> make_conv_transpose(const NodeDef& node, const OpContext& context) {
  return std::make_unique<ConvTransposeOp>(node, context);
}

}  // namespace fewbins
