// SPDX-License-Identifier: Apache-2.0
// The choice among rows: what costs least by the table of this CPU (costs.h). Where only plain rows have been measured,
// as on a CPU that the defaults do not know, rows are taken by rule. A row that nobody has measured does not displace
// measured ones: AMX, tested by emulation, is taken once `fewbins doctor --calibrate-cost` has run it.
#include "kernels/costs.h"
#include "kernels/kernels.h"
#include "kernels/pack_u4.h"

namespace fewbins {
namespace {

/// Blocks of fewer quads than this are short: measured on Zen 5, where tiles of 3 and 6 rows are equal at 9.
constexpr std::size_t kShortBlock = 9;

std::size_t padded_columns(const GemmKernel& kernel, std::size_t n) {
  return (n + kernel.nr - 1) / kernel.nr * kernel.nr;
}

/// Bytes of weights that no longer stay in a last-level cache from one run to the next.
constexpr std::size_t kOutOfCache = std::size_t{32} << 20;

/// Whether `kernel` computes what was asked for: dot16 is a wish that dot32 fulfils too.
bool can_do(const GemmKernel& kernel, Family wanted, std::size_t block) {
  if (wanted != Family::dot16) return kernel.family == wanted;
  return kernel.family == Family::dot32 || (kernel.family == Family::dot16 && block > 0);
}

/// The rule: newest instruction set, then 16-bit sums (no slower than exact 8-bit ones of the same set even in blocks
/// of one quad, and their panels have half the bytes), then fewest columns of padding, then the tile for the length of
/// its blocks, then file order.
bool is_better(const GemmKernel& a, const GemmKernel& b, const GemmProblem& problem) {
  if (a.isa != b.isa) return a.isa > b.isa;
  if (a.family != b.family) return a.family == Family::dot16;
  const std::size_t columns_a = padded_columns(a, problem.n);
  const std::size_t columns_b = padded_columns(b, problem.n);
  if (columns_a != columns_b) return columns_a < columns_b;
  const unsigned wanted = problem.block < kShortBlock ? kernel_flag::short_blocks : 0;
  return (a.flags & kernel_flag::short_blocks) == wanted && (b.flags & kernel_flag::short_blocks) != wanted;
}

const GemmKernel* newest_dot16(Isa cap) {
  const GemmKernel* newest = nullptr;
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.family != Family::dot16 || !isa_includes(cap, kernel.isa)) continue;
    if (newest == nullptr || kernel.isa > newest->isa) newest = &kernel;
  }
  return newest;
}

}  // namespace

const GemmKernel& select_gemm(Family family, Isa cap, const GemmProblem& problem, std::string_view forced) {
  if (family == Family::u4) check_u4_depth(problem.taps, problem.channels);
  const GemmKernel* by_rule = nullptr;
  const GemmKernel* by_cost = nullptr;
  const GemmKernel* for_few_rows = nullptr;  // memory bounds these, and the table says nothing of it
  double least = 0;
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (!isa_includes(cap, kernel.isa) || !can_do(kernel, family, problem.block)) continue;
    if (forced == kernel.name) return kernel;
    if ((kernel.flags & kernel_flag::few_rows) != 0) {
      const bool fits = problem.m >= 1 && problem.m <= kernel.mr;
      if (fits && (for_few_rows == nullptr || kernel.isa > for_few_rows->isa)) for_few_rows = &kernel;
      continue;
    }
    if (by_rule == nullptr || is_better(kernel, *by_rule, problem)) by_rule = &kernel;
    const std::optional<double> cost = predict_gemm(kernel, problem);
    if (cost && (by_cost == nullptr || *cost < least)) {
      by_cost = &kernel;
      least = *cost;
    }
  }
  if (for_few_rows != nullptr) return *for_few_rows;
  const bool measured = by_cost != nullptr && (by_cost->isa != Isa::scalar || by_rule->isa == Isa::scalar);
  return measured ? *by_cost : *by_rule;  // every family has a scalar row
}

const GemmKernel* select_lut4(Isa cap, const GemmProblem& problem, std::string_view forced) {
  const GemmKernel* best = nullptr;
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.family != Family::lut4 || !isa_includes(cap, kernel.isa)) continue;
    if (forced == kernel.name) return &kernel;
    if (best == nullptr || kernel.isa > best->isa) best = &kernel;
  }
  if (best->isa == Isa::scalar || problem.m == 0 || problem.m > best->mr) return nullptr;
  // Measured on Zen 5: without an 8-bit dot product, ymm decode at 34 GB/s, which is more than DRAM needs and less than
  // the last-level cache does; xmm decode at half of that.
  if (best->isa == Isa::ssse3) return nullptr;
  if (best->isa == Isa::avx2 && problem.n * problem.taps * problem.channels < kOutOfCache) return nullptr;
  return best;
}

GemmChoice choose_gemm(Family family, Isa cap, const WeightView& weights, ActivationLevels levels,
                       std::string_view forced, std::size_t m) {
  // The rows differ in how products share lanes, so each has blocks of its own. The newest row's stand for all in the
  // choice; the row that is chosen gets its own, and dot32 takes its place where it has none.
  const GemmKernel* newest = family == Family::dot16 ? newest_dot16(cap) : nullptr;
  GemmProblem problem{weights.n, weights.taps, weights.channels, 0, m};
  if (newest != nullptr) problem.block = block_for(*newest, weights, levels);
  const GemmKernel& kernel = select_gemm(family, cap, problem, forced);
  if (kernel.family != Family::dot16) return {&kernel, 0};
  const std::size_t block = kernel.packer == newest->packer ? problem.block : block_for(kernel, weights, levels);
  if (block > 0) return {&kernel, block};
  problem.block = 0;
  return {&select_gemm(Family::dot32, cap, problem), 0};
}

const DepthwiseKernel& select_depthwise(Family family, Isa cap, std::string_view forced) {
  const DepthwiseKernel* best = nullptr;
  for (const DepthwiseKernel& kernel : depthwise_kernels()) {
    if (kernel.family != family || !isa_includes(cap, kernel.isa)) continue;
    if (forced == kernel.name) return kernel;
    if (best == nullptr || kernel.isa > best->isa) best = &kernel;
  }
  return *best;
}

const DepthwiseLineKernel* find_line_kernel(const DepthwiseKernel& kernel) {
  for (const DepthwiseLineKernel& line : depthwise_line_kernels()) {
    if (line.family == kernel.family && line.isa == kernel.isa) return &line;
  }
  return nullptr;
}

const WinogradKernel& select_winograd(WinogradForm form, Isa cap) {
  const WinogradKernel* best = nullptr;
  for (const WinogradKernel& kernel : winograd_kernels()) {
    if (kernel.form != form || !isa_includes(cap, kernel.isa)) continue;
    if (best == nullptr || kernel.isa > best->isa) best = &kernel;
  }
  return *best;  // every form has a scalar row
}

const ElementwiseKernels& select_elementwise(Isa cap) {
  const ElementwiseKernels* best = elementwise_kernels().data();
  for (const ElementwiseKernels& kernels : elementwise_kernels()) {
    if (isa_includes(cap, kernels.isa)) best = &kernels;
  }
  return *best;
}

}  // namespace fewbins
