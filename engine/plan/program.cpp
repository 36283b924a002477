// SPDX-License-Identifier: Apache-2.0
#include "plan/program.h"

#include <sys/stat.h>

#include <map>
#include <mutex>
#include <new>
#include <tuple>

#include "base/error.h"
#include "base/float_mode.h"
#include "base/fork.h"
#include "base/thread_pool.h"
#include "ops/layout.h"

namespace fewbins {

Program::Program(Model model, ProgramOptions options) : model_(std::move(model)), options_(std::move(options)) {
  const FloatMode mode;
  try {
    add_values();
    add_steps();
  } catch (const Error& error) {
    fail(error.code(), model_.source, ": ", error.what());
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::out_of_memory, model_.source, ": there is not enough memory to prepare the model");
  }
}

void Program::add_values() {
  const OpContext context{model_, model_.budget, options_.isa, options_.kernel};
  const auto add = [&](const std::string& name) {
    numbers_.emplace(name, values_.size());
    values_.push_back({name, model_.find_tensor(name), context.desc(name), nullptr});
    return values_.size() - 1;
  };
  for (const std::string& name : model_.inputs) inputs_.push_back(add(name));
  for (const NodeDef& node : model_.nodes)
    for (const std::string& name : node.outputs) add(name);
  for (const std::string& name : model_.outputs) outputs_.push_back(numbers_.at(name));
}

// The number of an operand; a constant gets one, and its memory in activation layout, when it is first read.
size_t Program::value_of(const std::string& name) {
  if (const auto it = numbers_.find(name); it != numbers_.end()) return it->second;
  const Constant* constant = model_.find_constant(name);
  if (constant->dims.count() < 1)
    fail(ErrorCode::model_file, "constant '", name, "' has shape ", constant->dims.text(), " and holds nothing");
  AlignedBytes bytes(model_.budget.charge(constant->bytes, "the layout of constant '" + name + "'"));
  ThreadPool alone(1);
  const CopyBox box{constant->dims, memory_strides(constant->dims), logical_strides(constant->dims)};
  copy_box(box, bytes.data(), constant->data, dtype_bytes(constant->dtype), alone);
  numbers_.emplace(name, values_.size());
  values_.push_back({name, nullptr, {constant->dtype, constant->dims, constant->affine}, bytes.data()});
  laid_out_.push_back(std::move(bytes));
  return values_.size() - 1;
}

void Program::add_steps() {
  const OpContext context{model_, model_.budget, options_.isa, options_.kernel, &took_kernel_};
  steps_.reserve(model_.nodes.size());
  for (const NodeDef& node : model_.nodes) {
    model_.budget.set_place(node.text());
    ProgramStep step{&node, make_op(node, context), {}, {}};
    for (const std::string& name : node.inputs) step.inputs.push_back(value_of(name));
    for (const std::string& name : node.outputs) step.outputs.push_back(numbers_.at(name));
    steps_.push_back(std::move(step));
  }
}

namespace {

// A file's identity: while all of it is equal, its contents are taken to be.
using FileKey = std::tuple<std::string, uint64_t, uint64_t, int64_t, int64_t, int64_t, Isa, std::string>;

FileKey key_of(const std::string& path, const ProgramOptions& options) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return {path, 0, 0, -1, 0, 0, options.isa, options.kernel};
  return {path,
          static_cast<uint64_t>(info.st_dev),
          static_cast<uint64_t>(info.st_ino),
          static_cast<int64_t>(info.st_size),
          static_cast<int64_t>(info.st_mtim.tv_sec),
          static_cast<int64_t>(info.st_mtim.tv_nsec),
          options.isa,
          options.kernel};
}

}  // namespace

std::shared_ptr<const Program> Program::open(const std::string& path, const ProgramOptions& options) {
  // Weak pointers: a program lives as long as a session uses it. Never destroyed, since sessions may outlive statics.
  static auto& programs = *new std::map<FileKey, std::weak_ptr<const Program>>;
  const FileKey key = key_of(path, options);
  {
    const std::lock_guard lock(fork_safe_mutex());
    std::erase_if(programs, [](const auto& row) { return row.second.expired(); });
    if (const auto it = programs.find(key); it != programs.end())
      if (std::shared_ptr<const Program> program = it->second.lock()) return program;
  }
  // Two threads that open the same file at once each make one; the later one is remembered.
  auto program = std::make_shared<const Program>(load_model_file(path), options);
  if (key == key_of(path, options)) {
    const std::lock_guard lock(fork_safe_mutex());
    programs[key] = program;
  }
  return program;
}

}  // namespace fewbins
