// SPDX-License-Identifier: Apache-2.0
// MaxPool and AveragePool. Padding never wins a maximum and adds nothing to a sum. An average divides by the count that
// ONNX gives each window, so windows at the border have constants of their own.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/scratch.h"
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
  size_t sums_at = 0;                  // in a slot's scratch memory, behind the pointers
};

// How many taps of output `o` an average counts: those inside the input, or inside the padded input.
int64_t counted(const Extent& extent, int64_t o, bool with_padding) {
  const auto [first, end] = with_padding ? extent.taps_between(o, -extent.pad_begin, extent.in + extent.pad_end)
                                         : extent.taps_between(o, 0, extent.in);
  return end - first;
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
      const Size span = window_span(window_, axis);
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
    ScratchLayout slot;
    slot.add<void*>(std::min(state->rows.kernel, dims[2]) * std::min(state->columns.kernel, dims[3]));
    state->sums_at = slot.add<double>(dims[1]);  // of one pixel: double for floats, int32 for levels
    state->scratch_bytes_per_slot = slot.total();
    prepare_means(args, *state);
    return state;
  }

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const PoolState&>(args.state);
    const int64_t rows = args.in_desc[0].dims[0] * state.rows.out;
    args.pool.parallel_for(rows, 1, [&](int64_t begin, int64_t end, int slot) {
      for (int64_t row = begin; row < end; ++row) pool_row(args, state, row, args.scratch_of(slot));
    });
  }

 protected:
  // One output pixel: the pixels under its window that lie inside the input, and where it goes.
  struct Pixel {
    std::span<const void* const> taps;
    int64_t row;
    int64_t column;
    int64_t offset;   // its first element in the output
    std::byte* sums;  // scratch
  };

  virtual void pool_one(const RunArgs& args, const PoolState& state, const Pixel& pixel) const = 0;
  virtual void prepare_means(const PrepareArgs& args, PoolState& state) const = 0;

  Isa isa_;
  const ElementwiseKernels& kernels_;
  Window window_;

 private:
  // `row` counts the output rows of all images.
  void pool_row(const RunArgs& args, const PoolState& state, int64_t row, std::byte* scratch) const {
    const Dims& dims = args.in_desc[0].dims;
    const auto pixel_bytes = static_cast<size_t>(dims[1]) * dtype_bytes(args.in_desc[0].dtype);
    const int64_t oy = row % state.rows.out;
    const auto* image =
        args.input<std::byte>(0) + static_cast<size_t>(row / state.rows.out * dims[2] * dims[3]) * pixel_bytes;
    const auto [top, bottom] = state.rows.taps_between(oy, 0, dims[2]);
    auto** pointers = reinterpret_cast<const void**>(scratch);
    for (int64_t ox = 0; ox < state.columns.out; ++ox) {
      const auto [left, right] = state.columns.taps_between(ox, 0, dims[3]);
      size_t count = 0;
      for (int64_t a = top; a < bottom; ++a) {
        const int64_t line = state.rows.source(oy, a) * dims[3];
        for (int64_t b = left; b < right; ++b)
          pointers[count++] = image + static_cast<size_t>(line + state.columns.source(ox, b)) * pixel_bytes;
      }
      pool_one(args, state,
               {{pointers, count}, oy, ox, (row * state.columns.out + ox) * dims[1], scratch + state.sums_at});
    }
  }
};

class MaxPoolOp final : public PoolOp {
 public:
  MaxPoolOp(const NodeDef& node, const OpContext& context) : PoolOp(node, context) {
    require_same_real_type(node, context);
  }

 protected:
  void pool_one(const RunArgs& args, const PoolState& /*state*/, const Pixel& pixel) const override {
    const auto channels = static_cast<size_t>(args.in_desc[0].dims[1]);
    if (args.in_desc[0].dtype == DType::f32) {
      auto* y = args.output<float>(0) + pixel.offset;
      std::fill_n(y, channels, -std::numeric_limits<float>::infinity());
      for (const void* tap : pixel.taps) {
        const auto* x = static_cast<const float*>(tap);
        for (size_t c = 0; c < channels; ++c) y[c] = x[c] > y[c] || std::isnan(x[c]) ? x[c] : y[c];
      }
      return;
    }
    auto* y = args.output<uint8_t>(0) + pixel.offset;
    if (pixel.taps.empty()) {
      std::fill_n(y, channels, uint8_t{0});
      return;
    }
    kernels_.max_rows({.rows = reinterpret_cast<const uint8_t* const*>(pixel.taps.data()),
                       .row_count = pixel.taps.size(),
                       .channels = channels,
                       .out = y});
  }

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
    args.budget.charge((Size(state.rows.out) + state.columns.out) * 2 * sizeof(int64_t), "counts of its windows");
    for (int64_t o = 0; o < state.rows.out; ++o) state.row_counts.push_back(counted(state.rows, o, include_pad_));
    for (int64_t o = 0; o < state.columns.out; ++o)
      state.column_counts.push_back(counted(state.columns, o, include_pad_));
    if (!rule_) return;
    // Each count once: most windows lie inside the input and have the same.
    constexpr size_t kMostCounts = 4096;
    std::set<int64_t> counts;
    const std::set<int64_t> rows(state.row_counts.begin(), state.row_counts.end());
    const std::set<int64_t> columns(state.column_counts.begin(), state.column_counts.end());
    for (const int64_t row : rows) {
      for (const int64_t column : columns) {
        const Size n = std::max<Size>(1, Size(row) * column);
        counts.insert(n);
        if (n > std::numeric_limits<int32_t>::max() / 255 || counts.size() > kMostCounts)
          fail_shape(node_, "its windows over the padded input are too large");
      }
    }
    args.budget.charge(Size(counts.size()) * Epilogue::kMeanBytes, "constants of its means");
    for (const int64_t n : counts)
      state.means.emplace(n, Epilogue::mean(node_, isa_, *rule_, args.in[0].affine, n, args.out[0]));
  }

  void pool_one(const RunArgs& args, const PoolState& state, const Pixel& pixel) const override {
    const auto channels = static_cast<size_t>(args.in_desc[0].dims[1]);
    const int64_t n = std::max<int64_t>(
        1, state.row_counts[static_cast<size_t>(pixel.row)] * state.column_counts[static_cast<size_t>(pixel.column)]);
    if (!rule_) {
      auto* sums = reinterpret_cast<double*>(pixel.sums);
      std::fill_n(sums, channels, 0.0);
      for (const void* tap : pixel.taps) {
        const auto* x = static_cast<const float*>(tap);
        for (size_t c = 0; c < channels; ++c) sums[c] += static_cast<double>(x[c]);
      }
      auto* y = args.output<float>(0) + pixel.offset;
      for (size_t c = 0; c < channels; ++c) y[c] = static_cast<float>(sums[c] / static_cast<double>(n));
      return;
    }
    auto* sums = reinterpret_cast<int32_t*>(pixel.sums);
    kernels_.sum_rows({.rows = reinterpret_cast<const uint8_t* const*>(pixel.taps.data()),
                       .row_count = pixel.taps.size(),
                       .channels = channels,
                       .out = sums});
    const AffineInfo& affine = args.in_desc[0].affine;
    const int32_t centre = static_cast<int32_t>(pixel.taps.size()) * (affine.lo - affine.zero_point);
    for (size_t c = 0; c < channels; ++c) sums[c] += centre;
    const Epilogue& mean = state.means.at(n);
    mean.apply(sums, static_cast<int64_t>(channels),
               args.output<std::byte>(0) + pixel.offset * static_cast<int64_t>(mean.output_bytes()));
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
