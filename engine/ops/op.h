// SPDX-License-Identifier: Apache-2.0
// The interface between the plan and the operators.
//
// Memory: an activation of rank 4 with logical (ONNX) dims N, C, H, W lies as N, H, W, C; every other rank lies
// row-major in logical order. Levels are uint8 (u = q - lo), the rest float32. Buffers start on 64 bytes and have at
// least 64 readable bytes after their end (their values mean nothing). Constant operands of a node (NodeDef::inputs)
// are brought to the same layout by the plan; params (NodeDef::params) stay as the file has them: logical order.
//
// Life of an operator: the factory reads the node, checks attributes and params and packs weights (once per model);
// infer() gives sizes and prepare() builds what depends on them (once per set of input sizes); run() does the work. An
// Op and an OpState are immutable when built: runs of several threads share them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpu.h"
#include "base/memory_budget.h"
#include "base/shape.h"
#include "file/model.h"

namespace fewbins {

class ThreadPool;

struct TensorDesc {
  DType dtype = DType::f32;
  Dims dims;  // logical order
  AffineInfo affine;

  [[nodiscard]] size_t bytes() const { return memory_size(dims.count() * dtype_bytes(dtype)); }
};

// What a factory may know besides the node: the whole model (already checked), and what the kernels may use.
struct OpContext {
  const Model& model;
  MemoryBudget& budget;  // of the load; charge it before allocating by a number that comes from the file
  Isa isa = Isa::scalar;
  std::string_view forced_kernel;  // name of a row of kernels.inc, or empty
  bool* forced_taken = nullptr;    // where it is noted that a layer took that row

  // The dtype, affine and shape of a node's operand or output. Free sizes are -1 in dims.
  [[nodiscard]] TensorDesc desc(std::string_view tensor) const;
  // Called by an operator with the kernel that it has chosen.
  void note_kernel(std::string_view name) const {
    if (forced_taken != nullptr && name == forced_kernel) *forced_taken = true;
  }
  // nullptr when the operand is not a constant.
  [[nodiscard]] const Constant* constant(std::string_view tensor) const { return model.find_constant(tensor); }
};

// How run() uses memory, so that the plan can save some.
enum class Alias : uint8_t {
  none,      // output and input 0 are different buffers
  in_place,  // output 0 may lie in the same buffer as input 0 (equal bytes), or not; run() works both ways
  view,  // output 0 has the same bytes in the same order as input 0: the plan may skip run() when it shares the buffer
};

// What an operator prepared for one set of input sizes. Operators derive from it what else they need.
struct OpState {
  OpState() = default;
  OpState(const OpState&) = delete;
  OpState& operator=(const OpState&) = delete;
  virtual ~OpState() = default;

  size_t scratch_bytes = 0;           // of the whole step; 64-byte aligned
  size_t scratch_bytes_per_slot = 0;  // of each slot of the thread pool; 64-byte aligned
  Alias alias = Alias::none;

  // For people: Session.plan() and profile.
  std::string kernel;  // name of the kernel's row, or "scalar"
  std::string form;    // "direct", "pointwise", "depthwise", ...
  int64_t macs = 0;
};

struct PrepareArgs {
  std::span<const TensorDesc> in;
  std::span<const TensorDesc> out;
  int threads = 1;       // size of the pool that will run it
  MemoryBudget& budget;  // of the plan; charge it before allocating by a size of a tensor
};

struct RunArgs {
  std::span<const void* const> in;
  std::span<void* const> out;
  std::span<const TensorDesc> in_desc;
  std::span<const TensorDesc> out_desc;
  const OpState& state;
  std::byte* scratch = nullptr;       // state.scratch_bytes
  std::byte* slot_scratch = nullptr;  // pool.size() times slot_stride
  size_t slot_stride = 0;
  ThreadPool& pool;

  template <class T>
  [[nodiscard]] const T* input(size_t i) const {
    return static_cast<const T*>(in[i]);
  }
  template <class T>
  [[nodiscard]] T* output(size_t i) const {
    return static_cast<T*>(out[i]);
  }
  // The scratch of one slot of ThreadPool::parallel_for.
  [[nodiscard]] std::byte* scratch_of(int slot) const { return slot_scratch + static_cast<size_t>(slot) * slot_stride; }
};

class Op {
 public:
  Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;
  virtual ~Op() = default;

  // Sets the dims of `out` from the dims of `in`; dtype and affine are already there. Throws Error(shape)
  // that names the node when the sizes do not fit. The plan checks limits afterwards.
  virtual void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const = 0;

  // Never returns nullptr.
  [[nodiscard]] virtual std::unique_ptr<OpState> prepare(const PrepareArgs& args) const;

  // `args` fit what prepare() saw. Sizes of zero never reach it.
  virtual void run(const RunArgs& args) const = 0;
};

// The operator of a node. Throws Error(model_file) for an unknown operator and for attributes that are not its own.
[[nodiscard]] std::unique_ptr<Op> make_op(const NodeDef& node, const OpContext& context);

// The operators of the registry, by name.
[[nodiscard]] const std::vector<std::string_view>& op_names();

}  // namespace fewbins
