// SPDX-License-Identifier: Apache-2.0
// ConvTranspose, as a gather: output row y takes tap k where y + pad - k * dilation is a multiple of the stride.
// Outputs whose row and column leave the same remainders ("a phase") meet the same taps, so each phase is one product
// that stores every stride-th pixel. Where the stride is longer than the kernel some phases meet no tap: their outputs
// are the bias.
#include <algorithm>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "ops/conv.h"
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

// The taps of one axis that outputs with remainder `phase` meet: output phase + stride * i reads input i + shifts[t]
// under tap taps[t].
struct Phase {
  int64_t phase = 0;
  std::vector<int64_t> taps;
  std::vector<int64_t> shifts;
};

struct ProductCall {
  RowSource source;
  RowTarget target;
  int64_t rows = 0;
};

struct TransposeState final : OpState {
  std::optional<ProductCall> background;
  std::vector<ProductCall> calls;  // one per product
};

// The phases that meet a tap, at most one for each tap.
std::vector<Phase> phases_of(const Window& window, size_t axis, MemoryBudget& budget) {
  const int64_t stride = window.strides[axis];
  budget.charge(Size(window.kernel[axis]) * (2 * sizeof(Phase) + 4 * sizeof(int64_t)), "the phases of its taps");
  std::map<int64_t, Phase> phases;
  for (int64_t tap = 0; tap < window.kernel[axis]; ++tap) {
    const int64_t first = tap * window.dilations[axis] - window.pads_begin[axis];  // the output of input 0
    const int64_t remainder = (first % stride + stride) % stride;
    Phase& phase = phases[remainder];
    phase.phase = remainder;
    phase.taps.push_back(tap);
    phase.shifts.push_back((remainder - first) / stride);
  }
  std::vector<Phase> result;
  for (auto& [remainder, phase] : phases) result.push_back(std::move(phase));
  return result;
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
    const auto run_one = [&](const Product& product, const ProductCall& call) {
      if (call.rows == 0) return;
      product.run({.data = args.input<std::byte>(0),
                   .residual = args.in.size() == 2 ? args.in[1] : nullptr,
                   .out = args.out[0],
                   .rows = call.rows,
                   .source = call.source,
                   .target = call.target,
                   .epilogue = *epilogue_},
                  args);
    };
    if (background_) run_one(*background_, *state.background);
    for (size_t i = 0; i < products_.size(); ++i) run_one(products_[i], state.calls[i]);
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

  [[nodiscard]] size_t pixel_bytes() const {
    return memory_size(shape_.groups * shape_.channels * (epilogue_->is_float() ? sizeof(float) : size_t{1}));
  }

  Window window_;
  std::array<int64_t, 2> output_padding_{};
  ProductShape shape_;  // taps: all of them
  std::optional<Epilogue> epilogue_;
  std::vector<Phase> rows_;
  std::vector<Phase> columns_;
  std::vector<Product> products_;      // [phase of rows][phase of columns]
  std::optional<Product> background_;  // the bias everywhere, where some phases meet no tap
};

// One phase's weights as [group][column][tap][channel] from (I, O/groups, kH, kW).
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
  output_padding_ = attrs.integers<2>("output_padding", 0, kMaxWindow);
  for (size_t axis = 0; axis < 2; ++axis)
    if (output_padding_[axis] >= std::max(window_.strides[axis], window_.dilations[axis]))
      fail_node(node, "output_padding ", output_padding_[axis], " is not below the larger of stride and dilation");
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
  const auto add = [&](auto& to, const ProductShape& phase, const auto& part) {
    if (integer)
      to.emplace_back(context, phase, IntegerWeights{part(weights.integers)}, bias, input.affine);
    else
      to.emplace_back(context, phase, part(weights.floats));
  };
  rows_ = phases_of(window_, 0, context.budget);
  columns_ = phases_of(window_, 1, context.budget);
  context.budget.charge(Size(rows_.size()) * columns_.size() * sizeof(Product), "the products of its phases");
  const auto loan = context.budget.borrow(Size(weights.dims.count()) * sizeof(float), "weights by phases");
  products_.reserve(rows_.size() * columns_.size());
  for (const Phase& rows : rows_) {
    for (const Phase& columns : columns_) {
      ProductShape phase = shape_;
      phase.taps = static_cast<int64_t>(rows.taps.size() * columns.taps.size());
      add(products_, phase,
          [&](const auto& all) { return phase_weights(all, shape_, window_.kernel[1], rows, columns, phase); });
    }
  }
  if (window_.strides[0] == rows_.size() && window_.strides[1] == columns_.size()) return;
  ProductShape nothing = shape_;
  nothing.taps = nothing.channels = 1;
  const auto zeros = context.budget.borrow(Size(channels) * sizeof(float), "weights of phases without taps");
  std::vector<Product> made;
  add(made, nothing,
      [&](const auto& all) { return std::remove_cvref_t<decltype(all)>(static_cast<size_t>(channels), 0); });
  background_.emplace(std::move(made.front()));
}

std::unique_ptr<OpState> ConvTransposeOp::prepare(const PrepareArgs& args) const {
  auto state = std::make_unique<TransposeState>();
  const Dims& from = args.in[0].dims;
  const Dims& to = args.out[0].dims;
  const auto count = [](int64_t size, int64_t phase, int64_t stride) {
    return phase < size ? (size - 1 - phase) / stride + 1 : 0;
  };
  const Strides strides = memory_strides(args.out[0].dims);
  const int64_t image = strides[0];
  const size_t pixel = pixel_bytes();
  if (background_) {
    ProductCall& call = state->background.emplace();
    call.rows = from[0] * to[2] * to[3];
    call.source.windows = {{.outputs = to[2], .size = 0}, {.outputs = to[3], .size = 0}, pixel};
    call.target = {.run = call.rows, .step = to[1]};
    state->scratch_bytes_per_slot = background_->scratch_bytes_per_slot();
  }
  args.budget.charge(Size(products_.size()) * sizeof(ProductCall), "the products of its phases");
  for (const Phase& rows : rows_) {
    for (const Phase& columns : columns_) {
      const int64_t lines = count(to[2], rows.phase, window_.strides[0]);
      const int64_t run = count(to[3], columns.phase, window_.strides[1]);
      const Product& product = products_[state->calls.size()];
      ProductCall call;
      call.rows = from[0] * lines * run;
      args.budget.charge(Size(product.shape().taps + 1) * sizeof(int64_t), "the taps of its window");
      call.source.windows = {{.outputs = lines, .size = from[2], .step = 1, .shifts = rows.shifts},
                             {.outputs = run, .size = from[3], .step = 1, .shifts = columns.shifts},
                             pixel};
      call.source.image_step = from[2] * from[3] * from[1];
      call.target = {.start = rows.phase * strides[2] + columns.phase * strides[3],
                     .run = std::max<int64_t>(1, run),
                     .step = window_.strides[1] * strides[3],
                     .lines = std::max<int64_t>(1, lines),
                     .line_step = window_.strides[0] * strides[2],
                     .image_step = image};
      state->scratch_bytes_per_slot = std::max(state->scratch_bytes_per_slot, product.scratch_bytes_per_slot());
      state->calls.push_back(std::move(call));
    }
  }
  state->kernel = products_.front().kernel_name();
  state->form = "phases";
  state->macs = from.count() * shape_.columns * shape_.taps;
  return state;
}

}  // namespace

std::unique_ptr<Op> make_conv_transpose(const NodeDef& node, const OpContext& context) {
  return std::make_unique<ConvTransposeOp>(node, context);
}

}  // namespace fewbins
