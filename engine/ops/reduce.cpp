// SPDX-License-Identifier: Apache-2.0
// Reduce: sum, mean, product, maximum or minimum over some axes. Float sums and products run in double, in row-major
// logical order, and round once; sums of levels are exact int32 and then requantized with constants that depend on how
// many elements were summed.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "base/thread_pool.h"
#include "ops/epilogue.h"
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

enum class Function : uint8_t { mean, sum, max, min, prod };

struct Axis {
  int64_t size = 1;
  int64_t in = 0;   // input step
  int64_t out = 0;  // output step, of kept axes
};

// Neighbouring outputs that are computed together: accumulators in registers or L1.
constexpr int64_t kBlock = 128;

struct ReduceState final : OpState {
  std::vector<Axis> outer;    // kept axes but the inner one
  std::vector<Axis> reduced;  // in logical order
  Axis inner;                 // a kept axis of input step 1, or a single element
  Size lines = 1;             // combinations of the outer axes
  Size terms = 1;             // elements per output
  std::optional<Epilogue> epilogue;
};

// Calls visit(pointer) for every combination of the reduced axes, the last one fastest.
template <class T, class Visit>
void for_each_term(const std::vector<Axis>& axes, size_t depth, const T* x, const Visit& visit) {
  if (depth == axes.size()) return visit(x);
  for (int64_t i = 0; i < axes[depth].size; ++i) for_each_term(axes, depth + 1, x + i * axes[depth].in, visit);
}

template <class T, class Sum, class Combine>
void accumulate(const ReduceState& state, const T* x, int64_t count, Sum* acc, Sum start, Combine combine) {
  std::fill_n(acc, count, start);
  for_each_term(state.reduced, 0, x, [&](const T* row) {
    for (int64_t j = 0; j < count; ++j) acc[j] = combine(acc[j], static_cast<Sum>(row[j]));
  });
}

class ReduceOp final : public NodeOp {
 public:
  ReduceOp(const NodeDef& node, const OpContext& context) : NodeOp(node), isa_(context.isa) {
    check_arity(node, 1, 1);
    const Attrs attrs(node);
    function_ = static_cast<Function>(attrs.choice("function", {"mean", "sum", "max", "min", "prod"}));
    axes_ = attrs.integers("axes", 0, kMaxRank - 1);
    if (axes_.empty() || std::ranges::adjacent_find(axes_, std::greater_equal{}) != axes_.end())
      fail_node(node, "axes are not ascending");
    keepdims_ = attrs.boolean("keepdims");
    requantize_ = attrs.requantize();
    if (!requantize_) {
      require_same_real_type(node, context);
      const bool moves = function_ == Function::max || function_ == Function::min;
      if (context.desc(node.outputs[0]).dtype == DType::levels && !moves)
        fail_node(node, "a sum of levels needs a requantization");
    } else {
      if (function_ != Function::mean && function_ != Function::sum)
        fail_node(node, "only a mean or a sum is requantized");
      require_input(node, context, 0, DType::levels);
      check_requantized_output(node, *requantize_, context.desc(node.outputs[0]));
    }
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const Dims& from = in[0].dims;
    if (axes_.back() >= from.rank) fail_shape(node_, "axis ", axes_.back(), " is not one of ", from.text());
    Dims dims;
    for (int axis = 0; axis < from.rank; ++axis) {
      const bool gone = is_reduced(axis);
      if (gone && from[axis] == 0) fail_shape(node_, "nothing to reduce in an input of shape ", from.text());
      if (!gone || keepdims_) dims[dims.rank++] = gone ? Size(1) : from[axis];
    }
    out[0].dims = dims;
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = std::make_unique<ReduceState>();
    const Dims& from = args.in[0].dims;
    const Strides in = memory_strides(from);
    const Strides out = memory_strides(args.out[0].dims);
    size_t place = 0;
    for (int axis = 0; axis < from.rank; ++axis) {
      const auto i = static_cast<size_t>(axis);
      if (is_reduced(axis)) {
        state->reduced.push_back({from[axis], in[i], 0});
        state->terms *= from[axis];
        place += keepdims_ ? 1 : 0;
        continue;
      }
      const Axis kept{from[axis], in[i], out[place++]};
      if (kept.in == 1 && kept.out == 1 && kept.size > 1) {
        state->inner = kept;
      } else {
        state->outer.push_back(kept);
        state->lines *= kept.size;
      }
    }
    if (requantize_) {
      const Size divisor = function_ == Function::mean ? state->terms : Size(1);
      if (state->terms * (args.in[0].affine.hi - args.in[0].affine.lo) > std::numeric_limits<int32_t>::max())
        fail_shape(node_, "a sum of ", state->terms, " levels does not fit 32 bits");
      state->epilogue = Epilogue::mean(node_, isa_, *requantize_, args.in[0].affine, divisor, args.out[0]);
    }
    return state;
  }

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const ReduceState&>(args.state);
    const int64_t blocks = (state.inner.size + kBlock - 1) / kBlock;
    const int64_t grain = std::max<int64_t>(1, 16384 / (state.terms * std::min(state.inner.size, kBlock)));
    args.pool.parallel_for(state.lines * blocks, grain, [&](int64_t begin, int64_t end, int) {
      for (int64_t task = begin; task < end; ++task) {
        int64_t line = task / blocks;
        const int64_t first = task % blocks * kBlock;
        int64_t in = first;
        int64_t out = first;
        for (size_t i = state.outer.size(); i-- > 0;) {
          const Axis& axis = state.outer[i];
          in += line % axis.size * axis.in;
          out += line % axis.size * axis.out;
          line /= axis.size;
        }
        const int64_t count = std::min(kBlock, state.inner.size - first);
        if (args.in_desc[0].dtype == DType::f32)
          reduce_floats(state, args.input<float>(0) + in, args.output<float>(0) + out, count);
        else
          reduce_levels(state, args, args.input<uint8_t>(0) + in, out, count);
      }
    });
  }

 private:
  [[nodiscard]] bool is_reduced(int axis) const { return std::ranges::find(axes_, axis) != axes_.end(); }

  void reduce_floats(const ReduceState& state, const float* x, float* y, int64_t count) const {
    std::array<double, kBlock> acc;
    const auto store = [&](double factor) {
      for (int64_t j = 0; j < count; ++j) y[j] = static_cast<float>(acc[static_cast<size_t>(j)] / factor);
    };
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    switch (function_) {
      case Function::mean:
      case Function::sum:
        accumulate(state, x, count, acc.data(), 0.0, [](double a, double b) { return a + b; });
        return store(function_ == Function::mean ? static_cast<double>(state.terms) : 1.0);
      case Function::prod:
        accumulate(state, x, count, acc.data(), 1.0, [](double a, double b) { return a * b; });
        return store(1.0);
      case Function::max:
        return accumulate(state, x, count, y, -kInfinity,
                          [](float a, float b) { return b > a || std::isnan(b) ? b : a; });
      case Function::min:
        return accumulate(state, x, count, y, kInfinity,
                          [](float a, float b) { return b < a || std::isnan(b) ? b : a; });
    }
  }

  void reduce_levels(const ReduceState& state, const RunArgs& args, const uint8_t* x, int64_t out,
                     int64_t count) const {
    if (function_ == Function::max || function_ == Function::min) {
      auto* y = args.output<uint8_t>(0) + out;
      if (function_ == Function::max)
        accumulate(state, x, count, y, uint8_t{0}, [](uint8_t a, uint8_t b) { return std::max(a, b); });
      else
        accumulate(state, x, count, y, uint8_t{255}, [](uint8_t a, uint8_t b) { return std::min(a, b); });
      return;
    }
    std::array<int32_t, kBlock> acc;
    const AffineInfo& affine = args.in_desc[0].affine;
    const auto start = static_cast<int32_t>(state.terms * (affine.lo - affine.zero_point));
    accumulate(state, x, count, acc.data(), start, [](int32_t a, int32_t b) { return a + b; });
    state.epilogue->apply(acc.data(), count,
                          args.output<std::byte>(0) + out * static_cast<int64_t>(state.epilogue->output_bytes()));
  }

  Isa isa_;
  Function function_ = Function::mean;
  std::vector<int64_t> axes_;
  bool keepdims_ = true;
  std::optional<Requantize> requantize_;
};

}  // namespace

std::unique_ptr<Op> make_reduce(const NodeDef& node, const OpContext& context) {
  return std::make_unique<ReduceOp>(node, context);
}

}  // namespace fewbins
