// SPDX-License-Identifier: Apache-2.0
// Runs a program. One session may be used from several threads at once: each run takes a plan and an arena of its own.
#pragma once

#include <list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "plan/plan.h"
#include "plan/program.h"

namespace fewbins {

struct SessionOptions {
  int threads = 0;  // 0: FEWBINS_NUM_THREADS, else what affinity and cgroup allow
  std::string isa;  // cap on the instruction set; empty: FEWBINS_ISA, else the best of this CPU
  // Layers take it where it fits them and choose as usual elsewhere; an error where it fits none. Empty:
  // FEWBINS_KERNEL.
  std::string kernel;
  bool check_finite = false;  // NaN and infinities in float inputs and before quantization are errors
};

// One input of a run: of the model's dtype in logical order, or pixels where that is float32.
struct InputView {
  const void* data = nullptr;
  Dims dims;                 // logical order (N, C, H, W), for pixels too
  bool pixels = false;       // uint8 in N, H, W, C order; the file's preprocessing turns them into float32
  DType dtype = DType::f32;  // of the data
};

// What a step is and does, for people.
struct StepRow {
  size_t step = 0;
  std::string op;
  std::string name;
  std::string kernel;
  std::string form;
  std::string bins;        // "256x255": of the input and the weight; empty for float steps
  std::string requantize;  // kind, or empty
  std::string output_shape;
  int64_t macs = 0;
  int64_t bytes = 0;        // inputs, outputs and constants that the step touches
  double median_ms = -1.0;  // profile only
  double min_ms = -1.0;
};

struct TracedTensor {
  std::string name;
  DType dtype = DType::f32;  // levels: uint8 u = q - lo
  Dims dims;
  std::vector<std::byte> data;  // logical order
};

class Session {
 public:
  // From a file, or from bytes that are copied. Throws Error.
  static std::unique_ptr<Session> open(const std::string& path, const SessionOptions& options);
  static std::unique_ptr<Session> open(std::span<const std::byte> bytes, const SessionOptions& options);

  Session(std::shared_ptr<const Program> program, const SessionOptions& options);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  [[nodiscard]] const Program& program() const { return *program_; }
  // How many threads a run has at most: fewer than were asked for where the system refused some.
  [[nodiscard]] int threads() { return pool_.running(); }

  // The sizes of the outputs for these sizes of the inputs.
  std::vector<Dims> output_dims(std::span<const Dims> inputs);

  // Runs on the caller's memory. Output i has output_dims()[i].count() elements of output_dtype(i) in logical order.
  void run(std::span<const InputView> inputs, std::span<void* const> outputs);
  [[nodiscard]] DType output_dtype(size_t i) const { return program_->values()[program_->outputs()[i]].desc.dtype; }

  // Runs once and keeps activations: those named, or all where `names` is empty. An unknown name is an error.
  std::vector<TracedTensor> trace(std::span<const InputView> inputs, std::span<const std::string> names);

  std::vector<StepRow> plan_rows(std::span<const Dims> inputs);
  // plan_rows with the times of `repeats` runs, after one that is not counted.
  std::vector<StepRow> profile(std::span<const InputView> inputs, int repeats);

 private:
  std::shared_ptr<const Plan> plan_for(std::span<const Dims> dims);
  AlignedBytes take_arena(size_t bytes);
  void return_arena(AlignedBytes arena);
  void load_inputs(const Plan& plan, std::span<const InputView> inputs, std::byte* arena);
  void run_step(const Plan& plan, size_t step, std::span<const InputView> inputs, std::byte* arena);
  void describe_arithmetic(const ProgramStep& step, const Plan& plan, StepRow& row) const;
  void check_step_input(const Plan& plan, size_t step, const std::byte* arena) const;

  std::shared_ptr<const Program> program_;
  bool check_finite_;
  ThreadPool pool_;
  // Both guarded by fork_safe_mutex().
  std::list<std::shared_ptr<const Plan>> plans_;  // latest first
  std::vector<AlignedBytes> arenas_;
};

// The instruction set that an option allows: the smallest of it, FEWBINS_ISA and this CPU's. Throws
// Error(invalid_argument) for unknown names.
Isa choose_isa(const std::string& option);

}  // namespace fewbins
