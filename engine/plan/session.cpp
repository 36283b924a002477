// SPDX-License-Identifier: Apache-2.0
#include "plan/session.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <unordered_set>

#include "base/error.h"
#include "base/float_mode.h"
#include "base/fork.h"
#include "kernels/kernels.h"
#include "ops/layout.h"
#include "plan/inputs.h"

namespace fewbins {
namespace {

constexpr size_t kKeptPlans = 4;
constexpr size_t kKeptArenas = 16;

std::vector<Dims> dims_of(std::span<const InputView> inputs) {
  std::vector<Dims> dims;
  for (const InputView& input : inputs) dims.push_back(input.dims);
  return dims;
}

std::string forced_kernel(const SessionOptions& options) {
  if (!options.kernel.empty()) return options.kernel;
  const char* text = std::getenv("FEWBINS_KERNEL");
  return text == nullptr ? "" : text;
}

// "kernel 'x'", and where it was asked for.
std::string named(const std::string& kernel, const SessionOptions& options) {
  return "kernel '" + kernel + (options.kernel.empty() ? "' (FEWBINS_KERNEL)" : "'");
}

ProgramOptions program_options(const SessionOptions& options) {
  const Isa isa = choose_isa(options.isa);
  std::string kernel = forced_kernel(options);
  if (kernel.empty()) return {isa, {}};
  const KernelRow* row = find_kernel(kernel);
  if (row == nullptr)
    fail(ErrorCode::invalid_argument, named(kernel, options),
         " is unknown; `fewbins doctor --kernels` lists the kernels");
  if (!isa_includes(isa, row->isa))
    fail(ErrorCode::invalid_argument, named(kernel, options), " needs ", isa_name(row->isa),
         ", and this session may use ", isa_name(isa), " at most");
  return {isa, std::move(kernel)};
}

// A kernel that was asked for and that no layer takes is a mistake. A float model under FEWBINS_KERNEL is not: the
// variable is meant for the quantized model, and calibration and comparisons open the float one beside it.
void check_forced_kernel(const Program& program, const SessionOptions& options) {
  const std::string& kernel = program.options().kernel;
  if (kernel.empty() || program.took_kernel()) return;
  const bool is_float =
      std::ranges::none_of(program.values(), [](const Value& value) { return value.desc.dtype == DType::levels; });
  if (options.kernel.empty() && is_float) return;
  fail(ErrorCode::invalid_argument, program.model().source, ": ", named(kernel, options),
       " fits no layer of this model; `fewbins inspect` shows what its layers take");
}

bool all_finite(const float* values, int64_t count) {
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) finite = finite && std::isfinite(values[i]);
  return finite;
}

struct Operands {
  std::vector<const void*> in;
  std::vector<void*> out;
  std::vector<TensorDesc> in_desc;
  std::vector<TensorDesc> out_desc;
};

void copy_out(const TensorDesc& desc, void* to, const std::byte* from, ThreadPool& pool) {
  const CopyBox box{desc.dims, logical_strides(desc.dims), memory_strides(desc.dims)};
  copy_box(box, to, from, dtype_bytes(desc.dtype), pool);
}

template <class Body>
auto with_memory_errors(Body&& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::out_of_memory, "there is not enough memory for this input size; use a smaller batch or image");
  }
}

}  // namespace

Isa choose_isa(const std::string& option) {
  std::string error;
  Isa isa = cap_from_env(error);
  if (!error.empty()) fail(ErrorCode::invalid_argument, error);
  if (option.empty()) return isa;
  Isa cap = Isa::scalar;
  if (!parse_isa(option, cap, error)) fail(ErrorCode::invalid_argument, "isa ", error);
  for (int i = kIsaCount - 1; i > 0; --i) {
    const auto both = static_cast<Isa>(i);
    if (runs_here(both) && isa_includes(isa, both) && isa_includes(cap, both)) return both;
  }
  return Isa::scalar;
}

std::unique_ptr<Session> Session::open(const std::string& path, const SessionOptions& options) {
  std::shared_ptr<const Program> program = Program::open(path, program_options(options));
  check_forced_kernel(*program, options);
  return std::make_unique<Session>(std::move(program), options);
}

std::unique_ptr<Session> Session::open(std::span<const std::byte> bytes, const SessionOptions& options) {
  const auto copy = std::make_shared<AlignedBytes>(bytes.size());
  std::ranges::copy(bytes, copy->data());
  Model model = load_model({copy->data(), copy->size()}, "<memory>", copy);
  auto program = std::make_shared<const Program>(std::move(model), program_options(options));
  check_forced_kernel(*program, options);
  return std::make_unique<Session>(std::move(program), options);
}

Session::Session(std::shared_ptr<const Program> program, const SessionOptions& options)
    : program_(std::move(program)), check_finite_(options.check_finite), pool_(options.threads) {}

Session::~Session() = default;

std::shared_ptr<const Plan> Session::plan_for(std::span<const Dims> dims) {
  {
    const std::lock_guard lock(fork_safe_mutex());
    const auto it =
        std::ranges::find_if(plans_, [&](const auto& plan) { return std::ranges::equal(plan->input_dims(), dims); });
    if (it != plans_.end()) {
      plans_.splice(plans_.begin(), plans_, it);
      return plans_.front();
    }
  }
  // Made outside the lock; two threads with the same new size may both make it.
  auto plan =
      std::make_shared<const Plan>(*program_, std::vector<Dims>(dims.begin(), dims.end()), pool_.size(), Reuse::yes);
  std::shared_ptr<const Plan> dropped;
  const std::lock_guard lock(fork_safe_mutex());
  plans_.push_front(plan);
  if (plans_.size() > kKeptPlans) {
    dropped = std::move(plans_.back());
    plans_.pop_back();
  }
  return plan;
}

AlignedBytes Session::take_arena(size_t bytes) {
  {
    const std::lock_guard lock(fork_safe_mutex());
    auto best = arenas_.end();
    for (auto it = arenas_.begin(); it != arenas_.end(); ++it)
      if (it->size() >= bytes && (best == arenas_.end() || it->size() < best->size())) best = it;
    if (best != arenas_.end()) {
      AlignedBytes arena = std::move(*best);
      arenas_.erase(best);
      return arena;
    }
    // None is large enough: this run's will take the place of one that was too small.
    if (!arenas_.empty()) arenas_.pop_back();
  }
  return AlignedBytes(bytes);
}

void Session::return_arena(AlignedBytes arena) {
  const std::lock_guard lock(fork_safe_mutex());
  if (arenas_.size() < kKeptArenas) arenas_.push_back(std::move(arena));
}

std::vector<Dims> Session::output_dims(std::span<const Dims> inputs) {
  return with_memory_errors([&] {
    const FloatMode mode;
    std::vector<Dims> dims;
    if (const auto empty = dims_of_empty_batch(*program_, inputs)) {
      for (const size_t value : program_->outputs()) dims.push_back((*empty)[value]);
      return dims;
    }
    const std::shared_ptr<const Plan> plan = plan_for(inputs);
    for (const size_t value : program_->outputs()) dims.push_back(plan->desc(value).dims);
    return dims;
  });
}

void Session::load_inputs(const Plan& plan, std::span<const InputView> inputs, std::byte* arena) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const size_t value = program_->inputs()[i];
    const TensorDesc& desc = plan.desc(value);
    std::byte* to = arena + plan.offset(value);
    const std::string& name = program_->values()[value].name;
    if (inputs[i].pixels && desc.dtype == DType::f32) {
      pixels_to_input(program_->model().preprocessing, name, desc.dims, static_cast<const uint8_t*>(inputs[i].data),
                      reinterpret_cast<float*>(to), pool_);
      continue;
    }
    if (inputs[i].dtype != desc.dtype || inputs[i].pixels)
      fail(ErrorCode::shape, "input '", name, "' was given as ",
           inputs[i].pixels ? "pixels" : dtype_name(inputs[i].dtype), "; the model takes ", dtype_name(desc.dtype));
    if (check_finite_ && desc.dtype == DType::f32 &&
        !all_finite(static_cast<const float*>(inputs[i].data), desc.dims.count()))
      fail(ErrorCode::invalid_argument, "input '", program_->values()[value].name,
           "' holds NaN or infinity, and check_finite is on");
    if (plan.is_fused(i)) continue;  // its Quantize reads the caller's memory
    const CopyBox box{desc.dims, memory_strides(desc.dims), logical_strides(desc.dims)};
    copy_box(box, to, inputs[i].data, dtype_bytes(desc.dtype), pool_);
    if (desc.dtype == DType::b8)  // a caller's truth may be any byte but 0; operators know 1 only
      std::transform(to, to + desc.bytes(), to, [](std::byte b) { return std::byte{b != std::byte{0}}; });
  }
}

void Session::check_step_input(const Plan& plan, size_t step, const std::byte* arena) const {
  const ProgramStep& row = program_->steps()[step];
  if (row.node->op != "Quantize") return;
  const size_t value = row.inputs[0];
  const auto* data = reinterpret_cast<const float*>(arena + plan.offset(value));
  if (!program_->values()[value].is_constant() && !all_finite(data, plan.desc(value).dims.count()))
    fail(ErrorCode::invalid_argument, "node '", row.node->name, "' (Quantize): its input '",
         program_->values()[value].name, "' holds NaN or infinity, and check_finite is on");
}

void Session::run_step(const Plan& plan, size_t step, std::span<const InputView> inputs, std::byte* arena) {
  const PlannedStep& planned = plan.steps()[step];
  if (planned.skip) return;
  if (planned.from_input >= 0 && !inputs[static_cast<size_t>(planned.from_input)].pixels) {
    const size_t value = program_->steps()[step].outputs[0];
    quantize_input(plan.desc(value), offset_of(program_->model(), *program_->steps()[step].node),
                   program_->options().isa,
                   static_cast<const float*>(inputs[static_cast<size_t>(planned.from_input)].data),
                   reinterpret_cast<uint8_t*>(arena + plan.offset(value)), pool_);
    return;
  }
  if (check_finite_) check_step_input(plan, step, arena);
  const ProgramStep& row = program_->steps()[step];
  Operands operands;
  for (const size_t value : row.inputs) {
    const Value& input = program_->values()[value];
    operands.in.push_back(input.is_constant() ? input.constant : arena + plan.offset(value));
    operands.in_desc.push_back(plan.desc(value));
  }
  for (const size_t value : row.outputs) {
    operands.out.push_back(arena + plan.offset(value));
    operands.out_desc.push_back(plan.desc(value));
  }
  row.op->run({.in = operands.in,
               .out = operands.out,
               .in_desc = operands.in_desc,
               .out_desc = operands.out_desc,
               .state = *planned.state,
               .scratch = arena + planned.scratch,
               .slot_scratch = arena + planned.slot_scratch,
               .slot_stride = planned.slot_stride,
               .pool = pool_});
}

void Session::run(std::span<const InputView> inputs, std::span<void* const> outputs) {
  with_memory_errors([&] {
    const FloatMode mode;
    const std::vector<Dims> dims = dims_of(inputs);
    if (dims_of_empty_batch(*program_, dims)) return;
    const std::shared_ptr<const Plan> plan = plan_for(dims);
    AlignedBytes arena = take_arena(plan->arena_bytes());
    load_inputs(*plan, inputs, arena.data());
    for (size_t step = 0; step < plan->steps().size(); ++step) run_step(*plan, step, inputs, arena.data());
    for (size_t i = 0; i < outputs.size(); ++i) {
      const size_t value = program_->outputs()[i];
      copy_out(plan->desc(value), outputs[i], arena.data() + plan->offset(value), pool_);
    }
    return_arena(std::move(arena));
  });
}

std::vector<TracedTensor> Session::trace(std::span<const InputView> inputs, std::span<const std::string> names) {
  return with_memory_errors([&] {
    const FloatMode mode;
    std::unordered_set<std::string_view> wanted(names.begin(), names.end());
    for (const std::string_view name : wanted)
      if (std::ranges::none_of(program_->values(),
                               [&](const Value& value) { return value.name == name && !value.is_constant(); }))
        fail(ErrorCode::invalid_argument, "the model has no activation tensor '", name, "'");
    std::vector<TracedTensor> tensors;
    const auto is_wanted = [&](const Value& value) {
      return !value.is_constant() && (names.empty() || wanted.contains(value.name));
    };
    const std::vector<Dims> dims = dims_of(inputs);
    if (const auto empty = dims_of_empty_batch(*program_, dims)) {
      for (size_t i = 0; i < empty->size(); ++i)
        if (const Value& value = program_->values()[i]; is_wanted(value))
          tensors.push_back({value.name, value.desc.dtype, (*empty)[i], {}});
      return tensors;
    }
    const Plan plan(*program_, dims, pool_.size(), Reuse::no);
    AlignedBytes arena(plan.arena_bytes());
    load_inputs(plan, inputs, arena.data());
    for (size_t step = 0; step < plan.steps().size(); ++step) run_step(plan, step, inputs, arena.data());
    for (size_t i = 0; i < program_->values().size(); ++i) {
      const Value& value = program_->values()[i];
      if (!is_wanted(value)) continue;
      const TensorDesc& desc = plan.desc(i);
      tensors.push_back({value.name, desc.dtype, desc.dims, std::vector<std::byte>(desc.bytes())});
      copy_out(desc, tensors.back().data.data(), arena.data() + plan.offset(i), pool_);
    }
    return tensors;
  });
}

std::vector<StepRow> Session::plan_rows(std::span<const Dims> inputs) {
  return with_memory_errors([&] {
    const FloatMode mode;
    const std::shared_ptr<const Plan> plan = plan_for(inputs);
    std::vector<StepRow> rows;
    for (size_t s = 0; s < plan->steps().size(); ++s) {
      const ProgramStep& step = program_->steps()[s];
      const PlannedStep& planned = plan->steps()[s];
      StepRow row;
      row.step = s;
      row.op = step.node->op;
      row.name = step.node->name;
      row.kernel = planned.skip ? "" : planned.state->kernel;
      row.form = planned.skip ? "view" : planned.from_input >= 0 ? "from input" : planned.state->form;
      row.macs = planned.state->macs;
      row.output_shape = plan->desc(step.outputs[0]).dims.text();
      for (const size_t value : step.inputs) row.bytes += static_cast<int64_t>(plan->desc(value).bytes());
      for (const size_t value : step.outputs) row.bytes += static_cast<int64_t>(plan->desc(value).bytes());
      for (const auto& [role, name] : step.node->params)
        row.bytes += static_cast<int64_t>(program_->model().find_constant(name)->bytes);
      describe_arithmetic(step, *plan, row);
      rows.push_back(std::move(row));
    }
    return rows;
  });
}

void Session::describe_arithmetic(const ProgramStep& step, const Plan& plan, StepRow& row) const {
  const boost::json::value* requantize = step.node->attrs.if_contains("requantize");
  if (requantize != nullptr && requantize->is_object())
    if (const boost::json::value* kind = requantize->get_object().if_contains("kind"); kind && kind->is_string())
      row.requantize = std::string(kind->get_string());
  const TensorDesc& input = plan.desc(step.inputs[0]);
  if (input.dtype != DType::levels) return;
  row.bins = std::to_string(input.affine.hi - input.affine.lo + 1);
  const auto weight = step.node->params.find("weight");
  if (weight == step.node->params.end()) return;
  const Constant* constant = program_->model().find_constant(weight->second);
  if (constant->weight_affine)
    row.bins.append("x").append(std::to_string(constant->weight_affine->hi - constant->weight_affine->lo + 1));
}

std::vector<StepRow> Session::profile(std::span<const InputView> inputs, int repeats) {
  if (repeats < 1 || repeats > 1'000'000)
    fail(ErrorCode::invalid_argument, "repeats is ", repeats, "; it must be 1..1000000");
  return with_memory_errors([&] {
    using Clock = std::chrono::steady_clock;
    const FloatMode mode;
    std::vector<StepRow> rows = plan_rows(dims_of(inputs));
    const std::shared_ptr<const Plan> plan = plan_for(dims_of(inputs));
    AlignedBytes arena = take_arena(plan->arena_bytes());
    std::vector<std::vector<double>> times(rows.size());
    for (int repeat = 0; repeat <= repeats; ++repeat) {
      load_inputs(*plan, inputs, arena.data());
      for (size_t step = 0; step < rows.size(); ++step) {
        const Clock::time_point start = Clock::now();
        run_step(*plan, step, inputs, arena.data());
        const double ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
        if (repeat > 0) times[step].push_back(ms);
      }
    }
    return_arena(std::move(arena));
    for (size_t step = 0; step < rows.size(); ++step) {
      std::ranges::sort(times[step]);
      const size_t n = times[step].size();
      rows[step].min_ms = times[step].front();
      rows[step].median_ms = (times[step][(n - 1) / 2] + times[step][n / 2]) / 2.0;
    }
    return rows;
  });
}

}  // namespace fewbins
