// SPDX-License-Identifier: Apache-2.0
// Resize of height and width. Nearest moves elements; linear mixes four: exactly in int32 with 11-bit weights on
// levels, in double on floats. Coordinates are computed by one of the two rules of docs/numerics.md, section 5.
#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "base/thread_pool.h"
#include "ops/epilogue.h"
#include "ops/factories.h"
#include "ops/gather.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

enum class Coordinates : uint8_t {
  half_pixel,
  pytorch_half_pixel,
  align_corners,
  asymmetric,
  half_pixel_symmetric,
  tf_half_pixel_for_nn
};
enum class Nearest : uint8_t { round_prefer_floor, round_prefer_ceil, floor, ceil };

// A place this near to the middle between two elements is in the middle, under places "float32".
constexpr double kTie = 1e-6;

// Two neighbours along one axis and how much of the second one is taken.
struct Mix {
  int64_t first = 0;
  int64_t second = 0;
  double part = 0.0;
  int32_t weight = 0;  // rint(part * 2048)
};

struct ResizeState final : OpState {
  std::optional<AxisGather> gather;  // nearest
  std::vector<Mix> rows;             // linear
  std::vector<Mix> columns;
};

class ResizeOp final : public NodeOp {
 public:
  ResizeOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 1, 1);
    const Attrs attrs(node);
    linear_ = attrs.choice("mode", {"nearest", "linear"}) == 1;
    coordinates_ = static_cast<Coordinates>(
        attrs.choice("coordinates", {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric",
                                     "half_pixel_symmetric", "tf_half_pixel_for_nn"}));
    nearest_ =
        static_cast<Nearest>(attrs.choice("nearest", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}));
    float32_ = attrs.choice("places", {"float32", "float64"}) == 0;
    if (attrs.has("sizes") == attrs.has("scales")) fail_node(node, "exactly one of sizes and scales must be given");
    if (attrs.has("sizes")) sizes_ = attrs.integers<2>("sizes", 1, kMaxDim);
    if (attrs.has("scales")) {
      const auto scales = attrs.numbers("scales");
      if (scales.size() != 2 || !(std::min(scales[0], scales[1]) > 0))
        fail_node(node, "scales are not two positive numbers");
      scales_ = {scales[0], scales[1]};
    }
    if (const auto rule = attrs.requantize()) {
      if (!linear_) fail_node(node, "nearest moves levels and takes no requantization");
      require_input(node, context, 0, DType::levels);
      epilogue_ = Epilogue::uniform(node, context, *rule, false);
    } else {
      require_same_real_type(node, context);
      if (linear_) require_input(node, context, 0, DType::f32);
    }
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    require_rank(node_, in[0], 4);
    out[0].dims = in[0].dims;
    for (int axis = 0; axis < 2; ++axis) {
      const int64_t size = in[0].dims[2 + axis];
      const int64_t to = output_size(axis, size);
      if (size < 1 || to < 1)
        fail_shape(node_, "input ", in[0].dims.text(), " resized to ", to, axis == 0 ? " rows" : " columns");
      out[0].dims[2 + axis] = to;
    }
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = std::make_unique<ResizeState>();
    const Dims& from = args.in[0].dims;
    const Dims& to = args.out[0].dims;
    if (linear_) {
      state->form = "linear";
      args.budget.charge((Size(to[2]) + to[3]) * 2 * sizeof(Mix), "tables of its rows and columns");
      state->rows = mixes(0, from, to);
      state->columns = mixes(1, from, to);
      state->scratch_bytes_per_slot = memory_size(from[1] * sizeof(int32_t));
      return state;
    }
    state->form = "nearest";
    args.budget.charge(AxisGather::bytes_of(to), "index tables");
    std::vector<std::vector<int64_t>> tables(4);
    for (int64_t i = 0; i < from[0]; ++i) tables[0].push_back(i);
    for (int64_t i = 0; i < from[1]; ++i) tables[1].push_back(i);
    for (int axis = 0; axis < 2; ++axis)
      for (int64_t i = 0; i < to[2 + axis]; ++i)
        tables[static_cast<size_t>(2 + axis)].push_back(nearest_index(place(axis, from, to, i), from[2 + axis]));
    state->gather.emplace(from, to, tables);
    return state;
  }

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const ResizeState&>(args.state);
    if (!linear_) {
      constexpr float kFill = 0.0F;  // no index is outside
      return state.gather->run(args.in[0], args.out[0], dtype_bytes(args.out_desc[0].dtype), &kFill, args.pool);
    }
    const Dims& to = args.out_desc[0].dims;
    args.pool.parallel_for(to[0] * to[2], 1, [&](int64_t begin, int64_t end, int slot) {
      for (int64_t line = begin; line < end; ++line) {
        if (epilogue_)
          mix_levels(args, state, line, slot);
        else
          mix_floats(args, state, line);
      }
    });
  }

 private:
  [[nodiscard]] int64_t output_size(int axis, int64_t size) const {
    if (sizes_) return (*sizes_)[static_cast<size_t>(axis)];
    // In float32, as ONNX's shape inference computes it.
    const float exact =
        std::floor(static_cast<float>(size) * static_cast<float>((*scales_)[static_cast<size_t>(axis)]));
    return exact > static_cast<float>(kMaxDim / 2) ? kMaxDim + 1 : static_cast<int64_t>(exact);
  }

  // Where output index i of an axis lies in the input.
  [[nodiscard]] double place(int axis, const Dims& from, const Dims& to, int64_t i) const {
    const int64_t size = from[2 + axis];
    const int64_t out = to[2 + axis];
    if (float32_) {
      const bool unchanged = from[2] == to[2] && from[3] == to[3];
      return float32_place(axis, size, out, unchanged, static_cast<float>(i));
    }
    return float64_place(axis, size, out, static_cast<double>(i));
  }

  [[nodiscard]] double float64_place(int axis, int64_t size, int64_t out, double at) const {
    const auto in = static_cast<double>(size);
    const auto to = static_cast<double>(out);
    const double scale = sizes_ ? to / in : (*scales_)[static_cast<size_t>(axis)];
    if (out == size && scale == 1.0) return at;
    switch (coordinates_) {
      case Coordinates::align_corners:
        return out > 1 ? at * (in - 1.0) / (to - 1.0) : 0.0;
      case Coordinates::asymmetric:
        return at / scale;
      case Coordinates::tf_half_pixel_for_nn:
        return (at + 0.5) / scale;
      case Coordinates::pytorch_half_pixel:
        return out == 1 ? 0.0 : (at + 0.5) / scale - 0.5;
      case Coordinates::half_pixel_symmetric:
        return (in / 2.0) * (1.0 - to / (scale * in)) + (at + 0.5) / scale - 0.5;
      case Coordinates::half_pixel:
        break;
    }
    return (at + 0.5) / scale - 0.5;
  }

  [[nodiscard]] float float32_place(int axis, int64_t size, int64_t out, bool unchanged, float at) const {
    const auto in = static_cast<float>(size);
    const auto to = static_cast<float>(out);
    const float scale = sizes_ ? to / in : static_cast<float>((*scales_)[static_cast<size_t>(axis)]);
    if (unchanged || scale == 1.0F) return at;
    switch (coordinates_) {
      case Coordinates::align_corners:
        return out > 1 ? at * (in - 1.0F) / (to - 1.0F) : 0.0F;
      case Coordinates::asymmetric:
        return at / scale;
      case Coordinates::tf_half_pixel_for_nn:
        return (at + 0.5F) / scale;
      case Coordinates::pytorch_half_pixel:
        return out == 1 ? 0.0F : (at + 0.5F) / scale - 0.5F;
      case Coordinates::half_pixel_symmetric: {
        // ONNX Runtime adds in double here, and rounds once.
        const float offset = (in / 2.0F) * (1.0F - to / (scale * in));
        const double place = static_cast<double>(offset) + (static_cast<double>(at) + 0.5) / static_cast<double>(scale);
        return static_cast<float>(place - 0.5);
      }
      case Coordinates::half_pixel:
        break;
    }
    return (at + 0.5F) / scale - 0.5F;
  }

  [[nodiscard]] int64_t nearest_index(double x, int64_t size) const {
    double index = 0.0;
    if (float32_ && std::abs(x - std::floor(x) - 0.5) < kTie) x = std::floor(x) + 0.5;
    switch (nearest_) {
      case Nearest::round_prefer_floor:
        index = std::ceil(x - 0.5);
        break;
      case Nearest::round_prefer_ceil:
        index = std::floor(x + 0.5);
        break;
      case Nearest::floor:
        index = std::floor(x);
        break;
      case Nearest::ceil:
        index = std::ceil(x);
        break;
    }
    return static_cast<int64_t>(std::clamp(index, 0.0, static_cast<double>(size - 1)));
  }

  [[nodiscard]] std::vector<Mix> mixes(int axis, const Dims& from, const Dims& to) const {
    std::vector<Mix> result;
    const int64_t size = from[2 + axis];
    for (int64_t i = 0; i < to[2 + axis]; ++i) {
      const double x = std::clamp(place(axis, from, to, i), 0.0, static_cast<double>(size - 1));
      Mix mix;
      mix.first = static_cast<int64_t>(std::floor(x));
      mix.second = std::min(mix.first + 1, size - 1);
      mix.part = x - std::floor(x);
      mix.weight = static_cast<int32_t>(std::nearbyint(mix.part * 2048.0));
      result.push_back(mix);
    }
    return result;
  }

  // The first elements of the four pixels that output pixel (line, column) mixes.
  template <class T>
  struct Corners {
    const T* x00;
    const T* x01;
    const T* x10;
    const T* x11;
  };
  template <class T>
  static Corners<T> corners(const RunArgs& args, const Mix& row, const Mix& column, int64_t image) {
    const Dims& from = args.in_desc[0].dims;
    const auto at = [&](int64_t y, int64_t x) {
      return args.input<T>(0) + ((image * from[2] + y) * from[3] + x) * from[1];
    };
    return {at(row.first, column.first), at(row.first, column.second), at(row.second, column.first),
            at(row.second, column.second)};
  }

  void mix_floats(const RunArgs& args, const ResizeState& state, int64_t line) const {
    const Dims& to = args.out_desc[0].dims;
    const Mix& row = state.rows[static_cast<size_t>(line % to[2])];
    float* y = args.output<float>(0) + line * to[3] * to[1];
    for (const Mix& column : state.columns) {
      const auto x = corners<float>(args, row, column, line / to[2]);
      const auto mix = [](double part, double a, double b) { return (1.0 - part) * a + part * b; };
      const auto wide = [](float value) { return static_cast<double>(value); };
      for (int64_t c = 0; c < to[1]; ++c)
        *y++ = static_cast<float>(mix(row.part, mix(column.part, wide(x.x00[c]), wide(x.x01[c])),
                                      mix(column.part, wide(x.x10[c]), wide(x.x11[c]))));
    }
  }

  void mix_levels(const RunArgs& args, const ResizeState& state, int64_t line, int slot) const {
    const Dims& to = args.out_desc[0].dims;
    const AffineInfo& affine = args.in_desc[0].affine;
    // The four weights add up to 2^22, so the zero point is taken out of the whole.
    const int32_t centre = (affine.lo - affine.zero_point) * (1 << 22);
    const Mix& row = state.rows[static_cast<size_t>(line % to[2])];
    auto* y = args.output<std::byte>(0) + static_cast<size_t>(line * to[3] * to[1]) * epilogue_->output_bytes();
    auto* acc = reinterpret_cast<int32_t*>(args.scratch_of(slot));
    for (const Mix& column : state.columns) {
      const auto x = corners<uint8_t>(args, row, column, line / to[2]);
      const int32_t w11 = row.weight * column.weight;
      const int32_t w10 = row.weight * (2048 - column.weight);
      const int32_t w01 = (2048 - row.weight) * column.weight;
      const int32_t w00 = (2048 - row.weight) * (2048 - column.weight);
      for (int64_t c = 0; c < to[1]; ++c)
        acc[c] = w00 * x.x00[c] + w01 * x.x01[c] + w10 * x.x10[c] + w11 * x.x11[c] + centre;
      epilogue_->apply(acc, to[1], y);
      y += static_cast<size_t>(to[1]) * epilogue_->output_bytes();
    }
  }

  bool linear_ = false;
  bool float32_ = true;
  Coordinates coordinates_ = Coordinates::half_pixel;
  Nearest nearest_ = Nearest::round_prefer_floor;
  std::optional<std::array<int64_t, 2>> sizes_;
  std::optional<std::array<double, 2>> scales_;
  std::optional<Epilogue> epilogue_;
};

}  // namespace

std::unique_ptr<Op> make_resize(const NodeDef& node, const OpContext& context) {
  return std::make_unique<ResizeOp>(node, context);
}

}  // namespace fewbins
