// SPDX-License-Identifier: Apache-2.0
// Normalize: LayerNormalization, GroupNormalization and InstanceNormalization. Mean and variance of the elements that
// share them run in double, in memory order and in eight lanes (docs/numerics.md, section 5), so that every instruction
// set adds in the same order; the result rounds once.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

// Elements that are finished together, and neighbours that are summed together: what they need stays in L1.
constexpr int64_t kBlock = 64;
constexpr int64_t kLanes = kSumLanes;
constexpr int kParams = 2;  // scale and bias
using Steps = std::array<int64_t, kParams>;

// An axis of the loops over memory, outermost first; axis 1 counts as two where it is cut into groups.
struct Axis {
  int64_t size = 1;
  int64_t step = 0;  // of input and output
  Steps param{};     // 0 where a param is the same all along
};

struct Place {
  int64_t x = 0;
  Steps param{};
};

struct NormalizeState final : OpState {
  std::vector<Axis> kept;     // one mean for each combination
  std::vector<Axis> reduced;  // what shares a mean
  // The innermost axis, of step 1: elements that share a mean, or neighbours of which each has its own.
  Axis inner;
  bool inner_is_reduced = false;
  int64_t lines = 1;  // combinations of `kept`
  int64_t terms = 1;  // elements that share a mean
};

Size combinations(const std::vector<Axis>& axes) {
  Size count = 1;
  for (const Axis& axis : axes) count *= axis.size;
  return count;
}

void advance(Place& place, const Axis& axis, int64_t count) {
  place.x += count * axis.step;
  for (size_t p = 0; p < kParams; ++p) place.param[p] += count * axis.param[p];
}

Place place_of(const std::vector<Axis>& axes, int64_t index) {
  Place place;
  for (size_t i = axes.size(); i-- > 0;) {
    advance(place, axes[i], index % axes[i].size);
    index /= axes[i].size;
  }
  return place;
}

// Calls visit(place) for every combination of the axes, the last one fastest.
template <class Visit>
void for_each_place(const std::vector<Axis>& axes, size_t depth, const Place& from, const Visit& visit) {
  if (depth == axes.size()) return visit(from);
  Place place = from;
  for (int64_t i = 0; i < axes[depth].size; ++i, advance(place, axes[depth], 1))
    for_each_place(axes, depth + 1, place, visit);
}

// lanes[8][count] to one sum each: 4 and 4, 2 and 2, 1 and 1.
void join_lanes(double* lanes, int64_t count) {
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t i = 0; i < half * count; ++i) lanes[i] += lanes[i + half * count];
}

class NormalizeOp final : public NodeOp {
 public:
  NormalizeOp(const NodeDef& node, const OpContext& context) : NodeOp(node), kernels_(select_elementwise(context.isa)) {
    check_arity(node, 1, 1);
    const TensorDesc input = require_input(node, context, 0, DType::f32);
    require_output(node, context, DType::f32);
    const Attrs attrs(node);
    axes_ = attrs.integers("axes", 0, kMaxRank - 1);
    if (axes_.empty() || std::ranges::adjacent_find(axes_, std::greater_equal{}) != axes_.end())
      fail_node(node, "axes are not ascending");
    groups_ = attrs.integer("groups", 1, kMaxDim);
    if (groups_ > 1 && !is_reduced(1)) fail_node(node, "groups without axis 1 among the axes");
    epsilon_ = attrs.number("epsilon");
    if (epsilon_ < 0.0) fail_node(node, "epsilon is negative");
    constexpr std::array<const char*, kParams> kRoles = {"scale", "bias"};
    for (size_t p = 0; p < kParams; ++p) {
      const Constant* param = Params(node, context).optional(kRoles[p], DType::f32);
      if (param != nullptr) (void)context.budget.charge(Size(param->dims.count()) * sizeof(float), kRoles[p]);
      read_param(context.budget, params_[p], param, input.dims.rank, p == 0 ? 1.0F : 0.0F, kRoles[p]);
    }
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const Dims& dims = in[0].dims;
    if (axes_.back() >= dims.rank) fail_shape(node_, "axis ", axes_.back(), " is not one of ", dims.text());
    if (groups_ > 1 && dims[1] % groups_ != 0)
      fail_shape(node_, "the channels of ", dims.text(), " cannot be cut into ", groups_, " groups");
    for (const Param& param : params_) {
      for (int axis = 0; axis < param.dims.rank; ++axis)
        if (param.dims.rank != dims.rank || (param.dims[axis] != 1 && param.dims[axis] != dims[axis]))
          fail_shape(node_, "a param of shape ", param.dims.text(), " does not broadcast against ", dims.text());
    }
    out[0].dims = dims;
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = std::make_unique<NormalizeState>();
    const Dims& dims = args.in[0].dims;
    const Strides strides = memory_strides(dims);
    struct Loop {
      Axis axis;
      bool reduced;
    };
    std::vector<Loop> loops;
    const auto add = [&](int64_t size, bool reduced, int64_t step, Steps param) {
      if (size == 1) return;
      if (!loops.empty() && loops.back().reduced == reduced) {
        Axis& last = loops.back().axis;
        bool joins = last.step == Size(step) * size;
        for (size_t p = 0; p < kParams; ++p) joins = joins && last.param[p] == Size(param[p]) * size;
        if (joins) {
          last = {Size(last.size) * size, step, param};
          return;
        }
      }
      loops.push_back({{size, step, param}, reduced});
    };
    for (int place = 0; place < dims.rank; ++place) {
      // Rank 4 lies as N, H, W, C.
      constexpr std::array<int, 4> kOrder = {0, 2, 3, 1};
      const int axis = dims.rank == 4 ? kOrder[static_cast<size_t>(place)] : place;
      const auto i = static_cast<size_t>(axis);
      const Steps param = {params_[0].steps[i], params_[1].steps[i]};
      if (axis == 1 && groups_ > 1) {
        const int64_t size = dims[1] / groups_;
        add(groups_, false, strides[i] * size, {param[0] * size, param[1] * size});
        add(size, true, strides[i], param);
      } else {
        add(dims[axis], is_reduced(axis), strides[i], param);
      }
    }
    for (const Loop& loop : loops) {
      (loop.reduced ? state->reduced : state->kept).push_back(loop.axis);
      if (loop.reduced) state->terms *= loop.axis.size;
    }
    if (!loops.empty() && loops.back().axis.step == 1) {
      state->inner = loops.back().axis;
      state->inner_is_reduced = loops.back().reduced;
      (state->inner_is_reduced ? state->reduced : state->kept).pop_back();
    }
    state->lines = combinations(state->kept);
    state->scratch_bytes_per_slot = sizeof(Scratch);
    state->kernel = std::string("normalize__") + isa_name(kernels_.isa);
    state->alias = Alias::in_place;
    return state;
  }

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const NormalizeState&>(args.state);
    const int64_t width = state.inner_is_reduced ? 1 : std::min(kBlock, state.inner.size);
    const int64_t blocks = state.inner_is_reduced ? 1 : (state.inner.size + width - 1) / width;
    const int64_t grain = std::max<int64_t>(1, 16384 / (state.terms * width));
    args.pool.parallel_for(state.lines * blocks, grain, [&](int64_t begin, int64_t end, int slot) {
      auto& scratch = *reinterpret_cast<Scratch*>(args.scratch_of(slot));
      for (int64_t task = begin; task < end; ++task) {
        Place place = place_of(state.kept, task / blocks);
        if (state.inner_is_reduced) {
          normalize_line(state, args, place, scratch);
        } else {
          advance(place, state.inner, task % blocks * width);
          normalize_neighbours(state, args, place, std::min(width, state.inner.size - task % blocks * width), scratch);
        }
      }
    });
  }

 private:
  struct Param {
    std::vector<float> values;  // in memory order
    Dims dims;                  // padded in front to the input's rank; rank 0 where there is no param
    Strides steps{};            // by the input's axes, 0 where the param has size 1
  };

  struct Scratch {
    alignas(64) std::array<double, static_cast<size_t>(kLanes* kBlock)> lanes;
    std::array<double, static_cast<size_t>(kBlock)> mean;
    std::array<double, static_cast<size_t>(kBlock)> factor;
    std::array<std::array<float, static_cast<size_t>(kBlock)>, kParams> params;
  };

  [[nodiscard]] bool is_reduced(int axis) const { return std::ranges::find(axes_, axis) != axes_.end(); }

  void read_param(MemoryBudget& budget, Param& param, const Constant* constant, int rank, float missing,
                  const char* role) {
    if (constant == nullptr) {
      param.values = {missing};
      return;
    }
    if (constant->dims.rank > rank)
      fail_node(node_, "its ", role, " of shape ", constant->dims.text(), " has more axes than its input");
    param.dims.rank = rank;
    const int more = rank - constant->dims.rank;
    for (int axis = 0; axis < rank; ++axis)
      param.dims[axis] = axis < more ? int64_t{1} : int64_t{constant->dims[axis - more]};
    budget.charge(constant->bytes, role);
    const Strides from = logical_strides(param.dims);
    const Strides to = memory_strides(param.dims);
    const auto values = constant->as<float>();
    if (values.empty()) fail_node(node_, "its ", role, " is empty");
    param.values.resize(values.size());
    for (int64_t i = 0; i < static_cast<int64_t>(values.size()); ++i) {
      Size target = 0;
      for (int axis = 0; axis < rank; ++axis) {
        const auto a = static_cast<size_t>(axis);
        target += i / from[a] % param.dims[axis] * to[a];
        param.steps[a] = param.dims[axis] == 1 ? Size(0) : to[a];
      }
      param.values[static_cast<size_t>(target)] = values[static_cast<size_t>(i)];
    }
  }

  [[nodiscard]] double factor(double squares, int64_t terms) const {
    return 1.0 / std::sqrt(squares / static_cast<double>(terms) + epsilon_);
  }

  // One mean, whose elements lie in runs.
  void normalize_line(const NormalizeState& state, const RunArgs& args, const Place& line, Scratch& scratch) const {
    const auto* x = args.input<float>(0);
    double* lanes = scratch.lanes.data();
    const auto sum = [&](const double* mean) {
      std::fill_n(lanes, kLanes, 0.0);
      size_t first = 0;
      for_each_place(state.reduced, 0, line, [&](const Place& run) {
        const auto count = static_cast<size_t>(state.inner.size);
        kernels_.sum_lanes({.x = x + run.x, .count = count, .first = first, .mean = mean, .lanes = lanes});
        first += count;
      });
      join_lanes(lanes, 1);
      return lanes[0];
    };
    scratch.mean.fill(sum(nullptr) / static_cast<double>(state.terms));
    scratch.factor.fill(factor(sum(scratch.mean.data()), state.terms));
    for_each_place(state.reduced, 0, line, [&](const Place& run) {
      Place place = run;
      for (int64_t i = 0; i < state.inner.size; i += kBlock, advance(place, state.inner, kBlock))
        finish(state, args, place, std::min(kBlock, state.inner.size - i), scratch);
    });
  }

  // `count` neighbours, each with a mean of its own.
  void normalize_neighbours(const NormalizeState& state, const RunArgs& args, const Place& first, int64_t count,
                            Scratch& scratch) const {
    const auto* x = args.input<float>(0);
    double* lanes = scratch.lanes.data();
    const auto sum = [&](const double* mean) {
      std::fill_n(lanes, kLanes * count, 0.0);
      int64_t k = 0;
      for_each_place(state.reduced, 0, first, [&](const Place& row) {
        kernels_.sum_row(
            {.x = x + row.x, .count = static_cast<size_t>(count), .mean = mean, .sums = lanes + k++ % kLanes * count});
      });
      join_lanes(lanes, count);
    };
    sum(nullptr);
    const auto width = static_cast<size_t>(count);
    for (size_t j = 0; j < width; ++j) scratch.mean[j] = lanes[j] / static_cast<double>(state.terms);
    sum(scratch.mean.data());
    for (size_t j = 0; j < width; ++j) scratch.factor[j] = factor(lanes[j], state.terms);
    for_each_place(state.reduced, 0, first, [&](const Place& row) { finish(state, args, row, count, scratch); });
  }

  // `count` elements side by side, at most kBlock.
  void finish(const NormalizeState& state, const RunArgs& args, const Place& place, int64_t count,
              Scratch& scratch) const {
    std::array<const float*, kParams> params{};
    for (size_t p = 0; p < kParams; ++p) {
      params[p] = params_[p].values.data() + place.param[p];
      const int64_t step = state.inner.param[p];
      if (step == 1) continue;
      for (int64_t j = 0; j < count; ++j) scratch.params[p][static_cast<size_t>(j)] = params[p][j * step];
      params[p] = scratch.params[p].data();
    }
    kernels_.normalize({.x = args.input<float>(0) + place.x,
                        .count = static_cast<size_t>(count),
                        .mean = scratch.mean.data(),
                        .factor = scratch.factor.data(),
                        .scale = params[0],
                        .bias = params[1],
                        .out = args.output<float>(0) + place.x});
  }

  const ElementwiseKernels& kernels_;
  std::vector<int64_t> axes_;
  int64_t groups_ = 1;
  double epsilon_ = 0.0;
  std::array<Param, kParams> params_;
};

}  // namespace

std::unique_ptr<Op> make_normalize(const NodeDef& node, const OpContext& context) {
  return std::make_unique<NormalizeOp>(node, context);
}

}  // namespace fewbins
