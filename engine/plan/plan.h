// SPDX-License-Identifier: Apache-2.0
// What a program does for one set of input sizes: the sizes of all tensors, what the operators prepared, and where
// every tensor lies in the arena.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ops/op.h"
#include "plan/program.h"

namespace fewbins {

enum class Reuse : uint8_t {
  yes,  // tensors share memory as their lives allow
  no,   // every tensor keeps its memory to the end: for traces
};

struct PlannedStep {
  std::unique_ptr<OpState> state;
  bool skip = false;    // a view: its output is its input's memory
  int from_input = -1;  // a Quantize that reads the caller's memory of this graph input: quantize_input()
  size_t scratch = 0;   // offsets into the arena
  size_t slot_scratch = 0;
  size_t slot_stride = 0;
};

class Plan {
 public:
  // Throws Error(shape) when the sizes do not fit the model, Error(out_of_memory) above the arena limit.
  Plan(const Program& program, std::vector<Dims> input_dims, int threads, Reuse reuse);

  [[nodiscard]] const std::vector<Dims>& input_dims() const { return input_dims_; }
  [[nodiscard]] const TensorDesc& desc(size_t value) const { return descs_[value]; }
  [[nodiscard]] const std::vector<TensorDesc>& descs() const { return descs_; }
  [[nodiscard]] size_t offset(size_t value) const { return offsets_[value]; }  // of activations
  [[nodiscard]] const std::vector<PlannedStep>& steps() const { return steps_; }
  // Whether float32 values of this graph input need no copy in the arena.
  [[nodiscard]] bool is_fused(size_t input) const { return fused_[input]; }
  [[nodiscard]] size_t arena_bytes() const { return arena_bytes_; }

 private:
  void infer(const Program& program);
  void prepare(const Program& program, int threads);
  void fuse_inputs(const Program& program);
  void place(const Program& program, int threads, Reuse reuse);

  std::vector<Dims> input_dims_;
  std::vector<bool> fused_;
  std::vector<TensorDesc> descs_;
  std::vector<size_t> offsets_;
  std::vector<PlannedStep> steps_;
  size_t arena_bytes_ = 0;
};

// The sizes of all values for an empty batch: input sizes whose free first axes are 0. Operators never see it: an axis
// is 0 where it grows with the batch. std::nullopt when the batch is not empty. Throws Error(shape) where the sizes do
// not fit the model, or a graph output has elements although there are no inputs.
std::optional<std::vector<Dims>> dims_of_empty_batch(const Program& program, std::span<const Dims> inputs);

// Whether the sizes fit the model's inputs: rank, fixed sizes, equal names equal sizes, nothing empty, within the
// limits. Throws Error(shape) that names the input and says what the model takes.
void check_input_dims(const Program& program, std::span<const Dims> dims);

}  // namespace fewbins
