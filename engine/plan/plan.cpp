// SPDX-License-Identifier: Apache-2.0
#include "plan/plan.h"

#include <algorithm>
#include <map>

#include "base/aligned.h"
#include "base/error.h"
#include "file/limits.h"
#include "ops/attrs.h"
#include "plan/arena.h"
#include "plan/inputs.h"

namespace fewbins {
namespace {

std::string shape_text(const std::vector<DimSpec>& shape) {
  std::string text = "[";
  for (const DimSpec& dim : shape) {
    if (text.size() > 1) text += ", ";
    text += dim.is_free() ? dim.symbol : std::to_string(dim.size);
  }
  return text + "]";
}

bool fits(const std::vector<DimSpec>& shape, const Dims& dims) {
  if (static_cast<size_t>(dims.rank) != shape.size()) return false;
  for (int axis = 0; axis < dims.rank; ++axis) {
    const DimSpec& spec = shape[static_cast<size_t>(axis)];
    if (!spec.is_free() && spec.size != dims[axis]) return false;
  }
  return true;
}

// Where a free size was first met.
struct FreeSize {
  int64_t size;
  const Value* input;
  int axis;
};

bool is_empty(const Dims& dims) {
  for (const int64_t size : dims.span())
    if (size == 0) return true;
  return false;
}

}  // namespace

void check_input_dims(const Program& program, std::span<const Dims> dims) {
  const auto& inputs = program.inputs();
  if (dims.size() != inputs.size())
    fail(ErrorCode::shape, dims.size(), " inputs were given; the model takes ", inputs.size());
  std::map<std::string_view, FreeSize> sizes;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& value = program.values()[inputs[i]];
    const std::vector<DimSpec>& shape = value.info->shape;
    if (!fits(shape, dims[i]))
      fail(ErrorCode::shape, "input '", value.name, "' has shape ", dims[i].text(), "; the model takes ",
           shape_text(shape));
    if (!dims[i].within_limits() || is_empty(dims[i]))
      fail(ErrorCode::shape, "input '", value.name, "' has shape ", dims[i].text(),
           "; every size must be at least 1 and a tensor at most ", kMaxElements, " elements");
    for (int axis = 0; axis < dims[i].rank; ++axis) {
      const DimSpec& spec = shape[static_cast<size_t>(axis)];
      if (!spec.is_free() || spec.symbol.starts_with('?')) continue;
      const FreeSize& met = sizes.emplace(spec.symbol, FreeSize{dims[i][axis], &value, axis}).first->second;
      if (met.size == dims[i][axis]) continue;
      if (met.input == &value)
        fail(ErrorCode::shape, "input '", value.name, "' has shape ", dims[i].text(), "; the model takes ",
             shape_text(shape), ", so its axes ", met.axis, " and ", axis, " must be of one size");
      fail(ErrorCode::shape, "input '", value.name, "' has ", spec.symbol, " = ", dims[i][axis], ", but input '",
           met.input->name, "' has ", met.size, "; sizes of one name must be equal");
    }
  }
}

std::optional<std::vector<Dims>> dims_of_empty_batch(const Program& program, std::span<const Dims> inputs) {
  bool empty = false;
  std::vector<Dims> one(inputs.begin(), inputs.end());
  std::vector<Dims> two = one;
  for (size_t i = 0; i < inputs.size() && i < program.inputs().size(); ++i) {
    if (inputs[i].rank == 0 || inputs[i][0] != 0 || program.values()[program.inputs()[i]].desc.dims[0] >= 0) continue;
    one[i][0] = 1;
    two[i][0] = 2;
    empty = true;
  }
  if (!empty) return std::nullopt;
  const Plan first(program, std::move(one), 1, Reuse::yes);
  const Plan second(program, std::move(two), 1, Reuse::yes);
  std::vector<Dims> dims;
  for (size_t value = 0; value < program.values().size(); ++value) {
    dims.push_back(first.desc(value).dims);
    for (int axis = 0; axis < dims.back().rank; ++axis)
      if (second.desc(value).dims[axis] != dims.back()[axis]) dims.back()[axis] = 0;
  }
  for (const size_t output : program.outputs())
    if (!is_empty(dims[output]))
      fail(ErrorCode::shape, "the batch is empty, and output '", program.values()[output].name, "' needs at least 1");
  return dims;
}

Plan::Plan(const Program& program, std::vector<Dims> input_dims, int threads, Reuse reuse)
    : input_dims_(std::move(input_dims)), fused_(input_dims_.size(), false) {
  check_input_dims(program, input_dims_);
  infer(program);
  prepare(program, threads);
  if (reuse == Reuse::yes) fuse_inputs(program);
  place(program, threads, reuse);
}

void Plan::infer(const Program& program) {
  descs_.reserve(program.values().size());
  for (const Value& value : program.values()) descs_.push_back(value.desc);
  for (size_t i = 0; i < input_dims_.size(); ++i) descs_[program.inputs()[i]].dims = input_dims_[i];
  for (const ProgramStep& step : program.steps()) {
    std::vector<TensorDesc> in;
    std::vector<TensorDesc> out;
    for (const size_t value : step.inputs) in.push_back(descs_[value]);
    for (const size_t value : step.outputs) {
      out.push_back(descs_[value]);
      out.back().dims = {};
    }
    with_node_name(*step.node, [&] { step.op->infer(in, out); });
    for (size_t i = 0; i < out.size(); ++i) {
      const Value& value = program.values()[step.outputs[i]];
      const Dims& dims = out[i].dims;
      const std::string& node = step.node->name;
      if (!dims.within_limits() || is_empty(dims))
        fail(ErrorCode::shape, "node '", node, "' (", step.node->op, "): its output would have shape ", dims.text(),
             ", which is empty or over the limits; the input size does not fit the model");
      if (!fits(value.info->shape, dims))
        fail(ErrorCode::shape, "node '", node, "' (", step.node->op, "): its output has shape ", dims.text(),
             " but the file says ", shape_text(value.info->shape));
      descs_[step.outputs[i]].dims = dims;
    }
  }
}

void Plan::prepare(const Program& program, int threads) {
  uint64_t input_bytes = 0;
  for (const size_t value : program.inputs()) input_bytes += descs_[value].bytes();
  MemoryBudget budget(
      ErrorCode::out_of_memory, kFreePlanBytes + kPlanBytesPerByte * input_bytes,
      std::to_string(kFreePlanBytes) + " and " + std::to_string(kPlanBytesPerByte) + " for each byte of the inputs");
  steps_.reserve(program.steps().size());
  for (const ProgramStep& step : program.steps()) {
    std::vector<TensorDesc> in;
    std::vector<TensorDesc> out;
    for (const size_t value : step.inputs) in.push_back(descs_[value]);
    for (const size_t value : step.outputs) out.push_back(descs_[value]);
    PlannedStep planned;
    budget.set_place(step.node->text());
    planned.state = with_node_name(*step.node, [&] { return step.op->prepare({in, out, threads, budget}); });
    steps_.push_back(std::move(planned));
  }
}

// Finds the Quantize steps that are the only readers of a rank-4 graph input.
void Plan::fuse_inputs(const Program& program) {
  std::vector<int> readers(descs_.size(), 0);
  for (const ProgramStep& step : program.steps())
    for (const size_t value : step.inputs) ++readers[value];
  for (const size_t value : program.outputs()) ++readers[value];
  for (size_t s = 0; s < steps_.size(); ++s) {
    const ProgramStep& step = program.steps()[s];
    if (step.node->op != "Quantize" || readers[step.inputs[0]] != 1) continue;
    if (!quantizes_planes(program.model(), *step.node, descs_[step.inputs[0]].dims)) continue;
    const auto input = std::ranges::find(program.inputs(), step.inputs[0]);
    if (input == program.inputs().end()) continue;
    steps_[s].from_input = static_cast<int>(input - program.inputs().begin());
    fused_[static_cast<size_t>(steps_[s].from_input)] = true;
  }
}

// Decides who shares memory, then places the pieces. A piece belongs to a root value; views and in-place outputs join
// their input's root.
void Plan::place(const Program& program, int threads, Reuse reuse) {
  const size_t count = descs_.size();
  const auto steps = static_cast<int64_t>(steps_.size());
  std::vector<size_t> root(count);
  std::vector<int64_t> last(count, -1);  // last step that reads the value; before the first for unread ones
  for (size_t value = 0; value < count; ++value) root[value] = value;
  for (int64_t s = 0; s < steps; ++s)
    for (const size_t value : program.steps()[static_cast<size_t>(s)].inputs) last[value] = s;
  for (const size_t value : program.outputs()) last[value] = steps;

  // The lives of roots grow while steps join them, in the order of the steps.
  std::vector<int64_t> root_last = last;
  for (int64_t s = 0; s < steps && reuse == Reuse::yes; ++s) {
    const ProgramStep& step = program.steps()[static_cast<size_t>(s)];
    PlannedStep& planned = steps_[static_cast<size_t>(s)];
    const Alias alias = planned.state->alias;
    if (alias == Alias::none || program.values()[step.inputs[0]].is_constant()) continue;
    const size_t in = root[step.inputs[0]];
    const size_t out = step.outputs[0];
    if (descs_[step.inputs[0]].bytes() != descs_[out].bytes()) continue;
    if (alias == Alias::in_place) {
      // Written over, so nobody may read it later, nor this step through another shape.
      bool shared = root_last[in] > s;
      for (size_t i = 1; i < step.inputs.size(); ++i)
        shared = shared || (root[step.inputs[i]] == in && step.inputs[i] != step.inputs[0]);
      if (shared) continue;
    }
    root[out] = in;
    root_last[in] = std::max(root_last[in], last[out]);
    planned.skip = alias == Alias::view;
  }

  std::vector<Lifetime> pieces;
  std::vector<size_t> piece_of(count, SIZE_MAX);
  const auto add = [&](size_t bytes, int64_t from, int64_t to) {
    pieces.push_back({bytes, from, reuse == Reuse::yes ? to : steps, 0});
    return pieces.size() - 1;
  };
  for (const size_t value : program.inputs()) piece_of[value] = add(descs_[value].bytes(), -1, root_last[value]);
  std::vector<std::pair<size_t, size_t>> scratch_pieces;
  for (int64_t s = 0; s < steps; ++s) {
    const ProgramStep& step = program.steps()[static_cast<size_t>(s)];
    PlannedStep& planned = steps_[static_cast<size_t>(s)];
    for (const size_t value : step.outputs)
      if (root[value] == value) piece_of[value] = add(descs_[value].bytes(), s, std::max(s, root_last[value]));
    planned.slot_stride = memory_size(round_up(planned.state->scratch_bytes_per_slot, kAlignment));
    const size_t whole = pieces.size();
    pieces.push_back({planned.state->scratch_bytes, s, s, 0});
    pieces.push_back({memory_size(Size(planned.slot_stride) * threads), s, s, 0});
    scratch_pieces.emplace_back(whole, whole + 1);
  }
  arena_bytes_ = plan_arena(pieces, kMaxArenaBytes);

  offsets_.assign(count, 0);
  for (size_t value = 0; value < count; ++value)
    if (!program.values()[value].is_constant()) offsets_[value] = pieces[piece_of[root[value]]].offset;
  for (size_t s = 0; s < steps_.size(); ++s) {
    steps_[s].scratch = pieces[scratch_pieces[s].first].offset;
    steps_[s].slot_scratch = pieces[scratch_pieces[s].second].offset;
  }
}

}  // namespace fewbins
