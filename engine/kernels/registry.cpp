// SPDX-License-Identifier: Apache-2.0
// The tables made from kernels.inc.
#include "kernels/kernels.h"

namespace fewbins {

// The kernels themselves; their files are compiled with flags of their own.
#define KERNEL(isa, family, name, mr, nr, ks, packer, max_product, flags) void name(const GemmTask& task);
#define DEPTHWISE(isa, family, name, lanes, packer, flags) void name(const DepthwiseTask& task);
#define DEPTHWISE_LINE(isa, family, name, flags) void name(const DepthwiseLineTask& task);
#define WINOGRAD(isa, form, name, flags)                \
  void input_##form##__##isa(const WinogradInputTask&); \
  void output_##form##__##isa(const WinogradOutputTask&);
#define ELEMENTWISE(isa, op, name, task, flags) void name(const task&);
#include "kernels/kernels.inc"

namespace {

using kernel_flag::centred;
using kernel_flag::exact;
using kernel_flag::few_rows;
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

constexpr DepthwiseLineKernel kDepthwiseLineKernels[] = {
#define DEPTHWISE_LINE(isa, family, name, flags) {#name, Isa::isa, Family::family, flags, name},
#include "kernels/kernels.inc"
};

constexpr WinogradKernel kWinogradKernels[] = {
#define WINOGRAD(isa, form, name, flags) \
  {#name, Isa::isa, WinogradForm::form, flags, input_##form##__##isa, output_##form##__##isa},
#include "kernels/kernels.inc"
};

constexpr KernelRow kRows[] = {
#define KERNEL(isa, family, name, mr, nr, ks, packer, max_product, flags) {#name, Family::family, Isa::isa, flags},
#define DEPTHWISE(isa, family, name, lanes, packer, flags) {#name, Family::family, Isa::isa, flags},
#define DEPTHWISE_LINE(isa, family, name, flags) {#name, Family::family, Isa::isa, flags},
#define WINOGRAD(isa, form, name, flags) {#name, Family::winograd, Isa::isa, flags},
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
    elementwise_of(Isa::ssse3),
    elementwise_of(Isa::avx2),
    elementwise_of(Isa::avx512bw),
#elif defined(__aarch64__)
    elementwise_of(Isa::neon),
#endif
};

}  // namespace

const char* family_name(Family family) {
  constexpr const char* kNames[] = {"f32",        "dot32",         "dot16",           "dot32_i16",       "u4",
                                    "lut4",       "depthwise_f32", "depthwise_dot32", "depthwise_dot16", "winograd",
                                    "elementwise"};
  return kNames[static_cast<std::size_t>(family)];
}

std::span<const KernelRow> kernel_rows() { return kRows; }
std::span<const GemmKernel> gemm_kernels() { return kGemmKernels; }
std::span<const DepthwiseKernel> depthwise_kernels() { return kDepthwiseKernels; }
std::span<const DepthwiseLineKernel> depthwise_line_kernels() { return kDepthwiseLineKernels; }
std::span<const WinogradKernel> winograd_kernels() { return kWinogradKernels; }
std::span<const ElementwiseKernels> elementwise_kernels() { return kElementwiseKernels; }

const KernelRow* find_kernel(std::string_view name) {
  for (const KernelRow& row : kRows) {
    if (same(row.name, name)) return &row;
  }
  return nullptr;
}

}  // namespace fewbins
