// SPDX-License-Identifier: Apache-2.0
// The inner loops of the AVX2 tile kernels, in assembly so that no compiler can spill an accumulator (GCC 12 does, and
// loses 40 % on 16-bit sums). One loop serves all families: a step takes 4 bytes of each row and 64 bytes of the panel
// (16 columns x 4 bytes), so f32 steps one depth, bytes four and 16-bit operands two.
//
// Registers: ymm0..ymm11 two accumulators per row, ymm12 and ymm13 the panel, ymm14 the row's 4 bytes in every lane,
// ymm15 a product; r8..r13 one pointer per row. The rows' index runs from -(bytes of the tap) up to 0.
#pragma once

#include <stddef.h>
#include <stdint.h>

// clang-format off: one instruction a line
// Register names of row i, and the list of what is done for rows 0..count-1.
#define FB_ROWS_1(X) X("0", "1", "r8", "0")
#define FB_ROWS_2(X) FB_ROWS_1(X) X("2", "3", "r9", "8")
#define FB_ROWS_3(X) FB_ROWS_2(X) X("4", "5", "r10", "16")
#define FB_ROWS_4(X) FB_ROWS_3(X) X("6", "7", "r11", "24")
#define FB_ROWS_5(X) FB_ROWS_4(X) X("8", "9", "r12", "32")
#define FB_ROWS_6(X) FB_ROWS_5(X) X("10", "11", "r13", "40")

// One row's part of a step: 32 products of bytes, 16 of int16, 16 of float.
#define FB_STEP_DOT16(acc0, acc1, row, offset)     \
  "vpbroadcastd (%%" row ",%[index]),%%ymm14\n"    \
  "vpmaddubsw %%ymm12,%%ymm14,%%ymm15\n"           \
  "vpaddw %%ymm15,%%ymm" acc0 ",%%ymm" acc0 "\n"   \
  "vpmaddubsw %%ymm13,%%ymm14,%%ymm15\n"           \
  "vpaddw %%ymm15,%%ymm" acc1 ",%%ymm" acc1 "\n"
#define FB_STEP_I16(acc0, acc1, row, offset)     \
  "vpbroadcastd (%%" row ",%[index]),%%ymm14\n"    \
  "vpmaddwd %%ymm12,%%ymm14,%%ymm15\n"             \
  "vpaddd %%ymm15,%%ymm" acc0 ",%%ymm" acc0 "\n"   \
  "vpmaddwd %%ymm13,%%ymm14,%%ymm15\n"             \
  "vpaddd %%ymm15,%%ymm" acc1 ",%%ymm" acc1 "\n"
// AVX-VNNI; {vex}, since an assembler may take the AVX-512 form for granted.
#define FB_STEP_DOT32_VNNI(acc0, acc1, row, offset)       \
  "vpbroadcastd (%%" row ",%[index]),%%ymm14\n"           \
  "%{vex%} vpdpbusd %%ymm12,%%ymm14,%%ymm" acc0 "\n"      \
  "%{vex%} vpdpbusd %%ymm13,%%ymm14,%%ymm" acc1 "\n"
#define FB_STEP_I16_VNNI(acc0, acc1, row, offset)         \
  "vpbroadcastd (%%" row ",%[index]),%%ymm14\n"           \
  "%{vex%} vpdpwssd %%ymm12,%%ymm14,%%ymm" acc0 "\n"      \
  "%{vex%} vpdpwssd %%ymm13,%%ymm14,%%ymm" acc1 "\n"
#define FB_STEP_F32(acc0, acc1, row, offset)       \
  "vbroadcastss (%%" row ",%[index]),%%ymm14\n"    \
  "vfmadd231ps %%ymm12,%%ymm14,%%ymm" acc0 "\n"    \
  "vfmadd231ps %%ymm13,%%ymm14,%%ymm" acc1 "\n"

#define FB_ROW_POINTER(acc0, acc1, row, offset) "mov " offset "(%[rows]),%%" row "\nadd %[end],%%" row "\n"

// Accumulators: zero, or the lane starts at the panel.
#define FB_ZERO(acc0, acc1, row, offset) \
  "vpxor %%xmm" acc0 ",%%xmm" acc0 ",%%xmm" acc0 "\nvpxor %%xmm" acc1 ",%%xmm" acc1 ",%%xmm" acc1 "\n"
#define FB_START(acc0, acc1, row, offset) \
  "vmovdqa %%ymm12,%%ymm" acc0 "\nvmovdqa %%ymm13,%%ymm" acc1 "\n"
#define FB_STORE(acc0, acc1, row, offset) \
  "vmovdqa %%ymm" acc0 ",8*" offset "(%[tile])\nvmovdqa %%ymm" acc1 ",8*" offset "+32(%[tile])\n"
// ymm12 holds ones: the two 16-bit lanes of a column become one int32.
#define FB_WIDEN(acc0, acc1, row, offset) \
  "vpmaddwd %%ymm12,%%ymm" acc0 ",%%ymm" acc0 "\nvpmaddwd %%ymm12,%%ymm" acc1 ",%%ymm" acc1 "\n"
#define FB_ADD_TILE(acc0, acc1, row, offset)                               \
  "vpaddd 8*" offset "(%[tile]),%%ymm" acc0 ",%%ymm" acc0 "\n"             \
  "vpaddd 8*" offset "+32(%[tile]),%%ymm" acc1 ",%%ymm" acc1 "\n"

// Weights are asked for 8 KiB ahead, so that a panel from L3 or memory arrives in time even while rows and sums go through
// the second-level cache too: F(4x4) at 14x14x256 with weights from memory takes 372 us instead of 709, and warm it is
// not slower. Fetching whole panels at once, in front of a tile, was tried and lost.
#define FB_AHEAD "prefetcht0 8192(%[panel])\n"

// For every tap: fetch the row pointers, run along the rows.
#define FB_TAPS(ROWS, STEP)                    \
  "1:\n" ROWS(FB_ROW_POINTER)                  \
  "mov %[begin],%[index]\n"                    \
  ".p2align 4\n"                               \
  "2:\n" FB_AHEAD                              \
  "vmovdqa (%[panel]),%%ymm12\n"               \
  "vmovdqa 32(%[panel]),%%ymm13\n"             \
  ROWS(STEP)                                   \
  "add $64,%[panel]\n"                         \
  "add $4,%[index]\n"                          \
  "jnz 2b\n"                                   \
  "add %[stride],%[rows]\n"                    \
  "dec %[taps]\n"                              \
  "jnz 1b\n"

// A whole tile whose sums stay in registers from the first step to the last.
#define FB_TILE(name, ROWS, STEP)                                                                              \
  void name(const TileRun& run, const void* panel, void* tile) {                                               \
    const void* const* rows = run.rows;                                                                        \
    const size_t end = run.offset + run.bytes;                                                                 \
    const size_t begin = 0 - run.bytes;                                                                        \
    size_t taps = run.taps;                                                                                    \
    size_t index;                                                                                              \
    __asm__ volatile(ROWS(FB_ZERO) FB_TAPS(ROWS, STEP) ROWS(FB_STORE)                                          \
                     : [rows] "+r"(rows), [panel] "+r"(panel), [taps] "+r"(taps), [index] "=&r"(index)         \
                     : [end] "m"(end), [begin] "m"(begin), [stride] "m"(run.stride), [tile] "r"(tile)          \
                     : FB_CLOBBERS);                                                                           \
  }

// A whole kernel of 6 rows: a tile of every height, and the choice among them. `bytes_per_depth`: of a row per unit of
// GemmTask::depth.
#define FB_KERNEL(name, STEP, bytes_per_depth)                                                                 \
  namespace {                                                                                                  \
  FB_TILE(tile1, FB_ROWS_1, STEP)                                                                              \
  FB_TILE(tile2, FB_ROWS_2, STEP)                                                                              \
  FB_TILE(tile3, FB_ROWS_3, STEP)                                                                              \
  FB_TILE(tile4, FB_ROWS_4, STEP)                                                                              \
  FB_TILE(tile5, FB_ROWS_5, STEP)                                                                              \
  FB_TILE(tile6, FB_ROWS_6, STEP)                                                                              \
  }                                                                                                            \
  void name(const GemmTask& task) {                                                                            \
    constexpr size_t kMr = 6;                                                                                  \
    static constexpr void (*kTiles[])(const TileRun&, const void*, void*) = {tile1, tile2, tile3, tile4, tile5, tile6};\
    const TileRun run{task.rows, kMr * sizeof(void*), task.taps, 0, task.depth * (bytes_per_depth)};           \
    kTiles[(task.m != 0 ? task.m : kMr) - 1](run, task.panel, task.tile);                                      \
    leave_ymm();                                                                                               \
  }

#define FB_VECTORS                                                                                                \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",      \
      "xmm13", "xmm14", "xmm15"
#define FB_CLOBBERS "cc", "memory", "r8", "r9", "r10", "r11", "r12", "r13", FB_VECTORS
// clang-format on

namespace fewbins {
namespace {

/// What one run of a loop reads: `taps` >= 1 groups of row pointers, `bytes` >= 4 (a multiple of 4) of each row from
/// `offset` on, and the panel, which it moves on.
struct TileRun {
  const void* const* rows;
  size_t stride;  ///< bytes from one tap's row pointers to the next
  size_t taps;
  size_t offset;
  size_t bytes;
};

/// Behind the last loop of a kernel: code with legacy SSE instructions is slow on some CPUs while upper halves are in
/// use, and the compiler does not see that the assembly uses them.
inline void leave_ymm() { __asm__ volatile("vzeroupper" : : : FB_CLOBBERS); }

}  // namespace
}  // namespace fewbins
