// SPDX-License-Identifier: Apache-2.0
// The tables made from kernels.inc, and the choice among their rows.
#include "kernels/kernels.h"

namespace fewbins {

// The kernels themselves; their files are compiled with flags of their own.
#define KERNEL(isa, family, name, mr, nr, ks, packer, max_product, flags) void name(const GemmTask& task);
#define DEPTHWISE(isa, family, name, lanes, packer, flags) void name(const DepthwiseTask& task);
#define ELEMENTWISE(isa, op, name, task, flags) void name(const task&);
#include "kernels/kernels.inc"

namespace {

using kernel_flag::exact;
using kernel_flag::reference;
using kernel_flag::short_blocks;

constexpr GemmKernel kGemmKernels[] = {
#define KERNEL(isa, family, name, mr, nr, ks, packer, max_product, flags) \
  {#name, Isa::isa, Family::family, mr, nr, ks, Packer::packer, max_product, flags, name},
#include "kernels/kernels.inc"
};

constexpr DepthwiseKernel kDepthwiseKernels[] = {
#define DEPTHWISE(isa, family, name, lanes, packer, flags) \
  {#name, Isa::isa, Family::family, lanes, Packer::packer, flags, name},
#include "kernels/kernels.inc"
};

constexpr KernelRow kRows[] = {
#define KERNEL(isa, family, name, mr, nr, ks, packer, max_product, flags) {#name, Family::family, Isa::isa, flags},
#define DEPTHWISE(isa, family, name, lanes, packer, flags) {#name, Family::family, Isa::isa, flags},
#define ELEMENTWISE(isa, op, name, task, flags) {#name, Family::elementwise, Isa::isa, flags},
#include "kernels/kernels.inc"
};

constexpr bool same(std::string_view a, std::string_view b) { return a == b; }

/// The elementwise rows of one instruction set as one struct; an operation without a row there is null.
constexpr ElementwiseKernels elementwise_of(Isa wanted) {
  ElementwiseKernels kernels{};
  kernels.isa = wanted;
#define ELEMENTWISE(isa, op, name, task, flags) \
  if (Isa::isa == wanted) kernels.op = name;
#include "kernels/kernels.inc"
  return kernels;
}

constexpr ElementwiseKernels kElementwiseKernels[] = {
    elementwise_of(Isa::scalar),
#if defined(__x86_64__)
    elementwise_of(Isa::avx2),
    elementwise_of(Isa::avx512bw),
#endif
};

/// Blocks of fewer quads than this are short: measured on Zen 5, where tiles of 3 and 6 rows are equal at 9.
constexpr std::size_t kShortBlock = 9;

std::size_t padded_columns(const GemmKernel& kernel, std::size_t n) {
  return (n + kernel.nr - 1) / kernel.nr * kernel.nr;
}

/// Whether `a` comes before `b` for a problem: newest instruction set, then fewest columns of padding, then the tile
/// for the length of its blocks, then file order.
bool is_better(const GemmKernel& a, const GemmKernel& b, const GemmProblem& problem) {
  if (a.isa != b.isa) return a.isa > b.isa;
  const std::size_t columns_a = padded_columns(a, problem.n);
  const std::size_t columns_b = padded_columns(b, problem.n);
  if (columns_a != columns_b) return columns_a < columns_b;
  const unsigned wanted = problem.block < kShortBlock ? short_blocks : 0;
  return (a.flags & short_blocks) == wanted && (b.flags & short_blocks) != wanted;
}

const GemmKernel* best_gemm(Family family, Isa cap, const GemmProblem& problem) {
  const GemmKernel* best = nullptr;
  for (const GemmKernel& kernel : kGemmKernels) {
    if (kernel.family != family || !isa_includes(cap, kernel.isa)) continue;
    if (best == nullptr || is_better(kernel, *best, problem)) best = &kernel;
  }
  return best;
}

bool can_do(const GemmKernel& kernel, Family wanted, std::size_t block) {
  if (wanted == Family::f32 || kernel.family == Family::f32) return kernel.family == wanted;
  return kernel.family == Family::dot32 || (wanted == Family::dot16 && block > 0);
}

}  // namespace

const char* family_name(Family family) {
  constexpr const char* kNames[] = {"f32",  "dot32",         "dot16",           "dot32_i16",       "u4",
                                    "lut4", "depthwise_f32", "depthwise_dot32", "depthwise_dot16", "winograd",
                                    "elementwise"};
  return kNames[static_cast<std::size_t>(family)];
}

std::span<const KernelRow> kernel_rows() { return kRows; }
std::span<const GemmKernel> gemm_kernels() { return kGemmKernels; }
std::span<const DepthwiseKernel> depthwise_kernels() { return kDepthwiseKernels; }
std::span<const ElementwiseKernels> elementwise_kernels() { return kElementwiseKernels; }

const KernelRow* find_kernel(std::string_view name) {
  for (const KernelRow& row : kRows) {
    if (same(row.name, name)) return &row;
  }
  return nullptr;
}

const GemmKernel& select_gemm(Family family, Isa cap, const GemmProblem& problem, std::string_view forced) {
  for (const GemmKernel& kernel : kGemmKernels) {
    if (same(kernel.name, forced) && isa_includes(cap, kernel.isa) && can_do(kernel, family, problem.block)) return kernel;
  }
  const GemmKernel* best = best_gemm(family, cap, problem);
  if (family == Family::dot16) {
    const GemmKernel* whole = best_gemm(Family::dot32, cap, problem);
    // An 8-bit dot product of a newer set beats 16-bit sums. On AVX2 they are no slower than exact 8-bit ones even in
    // blocks of one quad, and their panels have half the bytes.
    if (problem.block == 0 || whole->isa > best->isa) best = whole;
  }
  return *best;  // every family has a scalar row
}

GemmChoice choose_gemm(Family family, Isa cap, const WeightView& weights, ActivationLevels levels,
                       std::string_view forced) {
  const std::size_t block = family == Family::dot16 ? block_for(weights, levels) : 0;
  const GemmKernel& kernel = select_gemm(family, cap, {weights.n, weights.taps, weights.channels, block}, forced);
  return {&kernel, kernel.family == Family::dot16 ? block : 0};
}

const DepthwiseKernel& select_depthwise(Family family, Isa cap, std::string_view forced) {
  const DepthwiseKernel* best = nullptr;
  for (const DepthwiseKernel& kernel : kDepthwiseKernels) {
    if (kernel.family != family || !isa_includes(cap, kernel.isa)) continue;
    if (same(kernel.name, forced)) return kernel;
    if (best == nullptr || kernel.isa > best->isa) best = &kernel;
  }
  return *best;
}

const ElementwiseKernels& select_elementwise(Isa cap) {
  const ElementwiseKernels* best = &kElementwiseKernels[0];
  for (const ElementwiseKernels& kernels : kElementwiseKernels) {
    if (isa_includes(cap, kernels.isa)) best = &kernels;
  }
  return *best;
}

}  // namespace fewbins
