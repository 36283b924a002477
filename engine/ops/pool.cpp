// SPDX-License-Identifier: Apache-2.0
// MaxPool and AveragePool. Padding never wins a maximum and adds nothing to a sum. An average divides by the count that
// ONNX gives each window, so windows at the border have constants of their own.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "ops/epilogue.h"
#include "ops/factories.h"
#include "ops/node_op.h"
#include "ops/window.h"

namespace fewbins {
namespace {

struct PoolState final : OpState {
  Extent rows;
  Extent columns;
  std::vector<int64_t> row_counts;     // per output row: taps that count in an average
  std::vector<int64_t> column_counts;  // per output column
  std::map<int64_t, Epilogue> means;   // by how many elements are averaged
};

// The taps of one output row or column that lie inside the input: source indices, tap by tap.
void sources(const Extent& extent, int64_t o, std::vector<int64_t>& into) {
  into.clear();
  for (int64_t tap = 0; tap < extent.kernel; ++tap) {
    const int64_t at = extent.source(o, tap);
    if (at >= 0 && at < extent.in) into.push_back(at);
  }
}

// How many taps of output `o` an average counts: those inside the input, or inside the padded input.
int64_t counted(const Extent& extent, int64_t o, bool with_padding) {
  const int64_t before = with_padding ? extent.pad_begin : 0;
  const int64_t after = with_padding ? extent.pad_end : 0;
  int64_t count = 0;
  for (int64_t tap = 0; tap < extent.kernel; ++tap) {
    const int64_t at = extent.source(o, tap);
    count += at >= -before && at < extent.in + after ? 1 : 0;
  }
  return count;
}

class PoolOp : public NodeOp {
 public:
  PoolOp(const NodeDef& node, const OpContext& context)
      : NodeOp(node), isa_(context.isa), kernels_(select_elementwise(context.isa)) {
    check_arity(node, 1, 1);
    const Attrs attrs(node);
    window_ = read_window(attrs, true);
    window_.ceil_mode = attrs.boolean("ceil_mode");
    for (size_t axis = 0; axis < 2; ++axis) {
      const int64_t span = (window_.kernel[axis] - 1) * window_.dilations[axis] + 1;
      if (window_.pads_begin[axis] >= span || window_.pads_end[axis] >= span)
        fail_node(node, "pads must be smaller than the window, which spans ", span);
    }
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    require_rank(node_, in[0], 4);
    const Dims& dims = in[0].dims;
    out[0].dims = {dims[0], dims[1], window_extent(window_, 0, dims[2], node_).out,
                   window_extent(window_, 1, dims[3], node_).out};
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = std::make_unique<PoolState>();
    const Dims& dims = args.in[0].dims;
    state->rows = window_extent(window_, 0, dims[2], node_);
    state->columns = window_extent(window_, 1, dims[3], node_);
    state->form = "direct";
    state->scratch_bytes_per_slot = scratch_bytes(dims[1]);
    prepare_means(args, *state);
    return state;
  }

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const PoolState&>(args.state);
    const Dims& dims = args.in_desc[0].dims;
    const int64_t out_rows = state.rows.out;
    args.pool.parallel_for(dims[0] * out_rows, 1, [&](int64_t begin, int64_t end, int slot) {
      std::vector<int64_t> ys;
      std::vector<int64_t> xs;
      std::vector<const void*> taps;
      const size_t bytes = dtype_bytes(args.in_desc[0].dtype);
      for (int64_t line = begin; line < end; ++line) {
        const auto* image =
            args.input<std::byte>(0) + static_cast<size_t>(line / out_rows * dims[2] * dims[3] * dims[1]) * bytes;
        const int64_t oy = line % out_rows;
        sources(state.rows, oy, ys);
        for (int64_t ox = 0; ox < state.columns.out; ++ox) {
          sources(state.columns, ox, xs);
          taps.clear();
          for (const int64_t y : ys)
            for (const int64_t x : xs) taps.push_back(image + static_cast<size_t>((y * dims[3] + x) * dims[1]) * bytes);
          pool_one(args, state, {oy, ox, (line * state.columns.out + ox) * dims[1], slot}, taps);
        }
      }
    });
  }

 protected:
  // One output pixel: where it is, and its first element in the output.
  struct Place {
    int64_t row;
    int64_t column;
    int64_t offset;
    int slot;
  };

  // Computes the channels of one output pixel from the pixels under its window.
  virtual void pool_one(const RunArgs& args, const PoolState& state, const Place& place,
                        const std::vector<const void*>& taps) const = 0;
  [[nodiscard]] virtual size_t scratch_bytes(int64_t channels) const = 0;
  virtual void prepare_means(const PrepareArgs& args, PoolState& state) const = 0;

  Isa isa_;
  const ElementwiseKernels& kernels_;
  Window window_;
};

class MaxPoolOp final : public PoolOp {
 public:
  MaxPoolOp(const NodeDef& node, const OpContext& context) : PoolOp(node, context) { require_same_type(node, context); }

 protected:
  void pool_one(const RunArgs& args, const PoolState& /*state*/, const Place& place,
                const std::vector<const void*>& taps) const override {
    const auto channels = static_cast<size_t>(args.in_desc[0].dims[1]);
    if (args.in_desc[0].dtype == DType::f32) {
      auto* y = args.output<float>(0) + place.offset;
      std::fill_n(y, channels, -std::numeric_limits<float>::infinity());
      for (const void* tap : taps) {
        const auto* x = static_cast<const float*>(tap);
        for (size_t c = 0; c < channels; ++c) y[c] = x[c] > y[c] || std::isnan(x[c]) ? x[c] : y[c];
      }
      return;
    }
    auto* y = args.output<uint8_t>(0) + place.offset;
    if (taps.empty()) {
      std::fill_n(y, channels, uint8_t{0});
      return;
    }
    kernels_.max_rows({.rows = reinterpret_cast<const uint8_t* const*>(taps.data()),
                       .row_count = taps.size(),
                       .channels = channels,
                       .out = y});
  }

  [[nodiscard]] size_t scratch_bytes(int64_t /*channels*/) const override { return 0; }
  void prepare_means(const PrepareArgs& /*args*/, PoolState& /*state*/) const override {}
};

class AveragePoolOp final : public PoolOp {
 public:
  AveragePoolOp(const NodeDef& node, const OpContext& context) : PoolOp(node, context) {
    const Attrs attrs(node);
    include_pad_ = attrs.boolean("count_include_pad");
    rule_ = attrs.requantize();
    if (rule_) {
      require_input(node, context, 0, DType::levels);
      check_requantized_output(node, *rule_, context.desc(node.outputs[0]));
    } else {
      require_input(node, context, 0, DType::f32);
      require_output(node, context, DType::f32);
    }
  }

 protected:
  void prepare_means(const PrepareArgs& args, PoolState& state) const override {
    for (int64_t o = 0; o < state.rows.out; ++o) state.row_counts.push_back(counted(state.rows, o, include_pad_));
    for (int64_t o = 0; o < state.columns.out; ++o)
      state.column_counts.push_back(counted(state.columns, o, include_pad_));
    if (!rule_) return;
    for (const int64_t row : state.row_counts) {
      for (const int64_t column : state.column_counts) {
        const int64_t n = std::max<int64_t>(1, row * column);
        if (n > std::numeric_limits<int32_t>::max() / 255)
          fail_shape(node_, "a window of ", n, " elements is too large");
        if (!state.means.contains(n))
          state.means.emplace(n, Epilogue::mean(node_, isa_, *rule_, args.in[0].affine, n, args.out[0]));
      }
    }
  }

  // Sums of one pixel: double for floats, int32 for levels.
  [[nodiscard]] size_t scratch_bytes(int64_t channels) const override {
    return static_cast<size_t>(channels) * sizeof(double);
  }

  void pool_one(const RunArgs& args, const PoolState& state, const Place& place,
                const std::vector<const void*>& taps) const override {
    const auto channels = static_cast<size_t>(args.in_desc[0].dims[1]);
    const int64_t n = std::max<int64_t>(
        1, state.row_counts[static_cast<size_t>(place.row)] * state.column_counts[static_cast<size_t>(place.column)]);
    if (!rule_) {
      auto* sums = reinterpret_cast<double*>(args.scratch_of(place.slot));
      std::fill_n(sums, channels, 0.0);
      for (const void* tap : taps) {
        const auto* x = static_cast<const float*>(tap);
        for (size_t c = 0; c < channels; ++c) sums[c] += static_cast<double>(x[c]);
      }
      auto* y = args.output<float>(0) + place.offset;
      for (size_t c = 0; c < channels; ++c) y[c] = static_cast<float>(sums[c] / static_cast<double>(n));
      return;
    }
    auto* sums = reinterpret_cast<int32_t*>(args.scratch_of(place.slot));
    kernels_.sum_rows({.rows = reinterpret_cast<const uint8_t* const*>(taps.data()),
                       .row_count = taps.size(),
                       .channels = channels,
                       .out = sums});
    const AffineInfo& affine = args.in_desc[0].affine;
    const int32_t centre = static_cast<int32_t>(taps.size()) * (affine.lo - affine.zero_point);
    for (size_t c = 0; c < channels; ++c) sums[c] += centre;
    const Epilogue& mean = state.means.at(n);
    mean.apply(sums, static_cast<int64_t>(channels),
               args.output<std::byte>(0) + place.offset * static_cast<int64_t>(mean.output_bytes()));
  }

 private:
  bool include_pad_ = false;
  std::optional<Requantize> rule_;
};

}  // namespace

std::unique_ptr<Op> make_max_pool(const NodeDef& node, const OpContext& context) {
  return std::make_unique<MaxPoolOp>(node, context);
}

std::unique_ptr<Op> make_average_pool(const NodeDef& node, const OpContext& context) {
  return std::make_unique<AveragePoolOp>(node, context);
}

}  // namespace fewbins
