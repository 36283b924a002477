// SPDX-License-Identifier: Apache-2.0
// A model with its operators made: weights packed, constants laid out. Immutable; sessions share it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/cpu.h"
#include "file/model.h"
#include "ops/op.h"

namespace fewbins {

struct ProgramOptions {
  Isa isa = Isa::scalar;
  std::string kernel;  // name of a kernel that layers take where it fits them, or empty

  friend bool operator==(const ProgramOptions&, const ProgramOptions&) = default;
};

// A tensor by its number: activations and the constants that nodes read as operands.
struct Value {
  std::string name;
  const TensorInfo* info = nullptr;     // nullptr for constants
  TensorDesc desc;                      // of activations: dims as in the file, -1 where free
  const std::byte* constant = nullptr;  // the elements in activation layout; nullptr for activations

  [[nodiscard]] bool is_constant() const { return constant != nullptr; }
};

struct ProgramStep {
  const NodeDef* node = nullptr;
  std::unique_ptr<Op> op;
  std::vector<size_t> inputs;  // numbers of values
  std::vector<size_t> outputs;
};

class Program {
 public:
  // Throws Error(model_file or unsupported) where an operator cannot be made; names the file and the node.
  Program(Model model, ProgramOptions options);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // The program of a file. Sessions on the same unchanged file with the same options share one.
  static std::shared_ptr<const Program> open(const std::string& path, const ProgramOptions& options);

  [[nodiscard]] const Model& model() const { return model_; }
  [[nodiscard]] const ProgramOptions& options() const { return options_; }
  // Whether a layer took the kernel of the options.
  [[nodiscard]] bool took_kernel() const { return took_kernel_; }
  [[nodiscard]] const std::vector<Value>& values() const { return values_; }
  [[nodiscard]] const std::vector<ProgramStep>& steps() const { return steps_; }
  [[nodiscard]] const std::vector<size_t>& inputs() const { return inputs_; }
  [[nodiscard]] const std::vector<size_t>& outputs() const { return outputs_; }

 private:
  void add_values();
  void add_steps();
  size_t value_of(const std::string& name);

  Model model_;
  ProgramOptions options_;
  bool took_kernel_ = false;
  std::vector<Value> values_;
  std::unordered_map<std::string, size_t> numbers_;
  std::vector<AlignedBytes> laid_out_;  // constant operands
  std::vector<ProgramStep> steps_;
  std::vector<size_t> inputs_;
  std::vector<size_t> outputs_;
};

}  // namespace fewbins
