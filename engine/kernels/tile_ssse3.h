// SPDX-License-Identifier: Apache-2.0
// The inner loops of the SSSE3 tile kernels, in assembly as those of tile_avx2.h. One loop serves all families: a step
// takes 8 bytes of each of up to 3 rows and 64 bytes of the panel (8 columns x 8 bytes): 8 depths of 8 bits, 4 widened
// to 16 bits, 2 floats.
//
// SSE has no load that puts 4 bytes into every lane; a load and a shuffle make a tile of 6 x 8 reach 78 GMAC/s on Zen 5
// where the multiplier could do 115. movddup loads 8 bytes into both halves without a shuffle: 109. So an accumulator
// holds two columns of two (32 bits) or four (16 bits) lanes, which are joined at the end of the tile.
// Multiplications overwrite an operand: the row's copy, made by a movdqa that CPUs rename away.
//
// Registers: row i has the accumulators xmm(4i)..xmm(4i+3), two columns each; xmm12 and xmm13 the first four columns of
// the panel, xmm14 the row's 8 bytes twice, xmm15 a product; r8..r10 one pointer per row. The rows' index runs from
// -(bytes) up to 0.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <tmmintrin.h>

#include "kernels/tasks.h"

// clang-format off: one instruction a line
// Accumulators of row i, its pointer's register, 8 i. Offsets in a tile of 16 lanes a row are 8 times the last.
#define FB_ROWS_1(X) X("0", "1", "2", "3", "r8", "0")
#define FB_ROWS_2(X) FB_ROWS_1(X) X("4", "5", "6", "7", "r9", "8")
#define FB_ROWS_3(X) FB_ROWS_2(X) X("8", "9", "10", "11", "r10", "16")

// One row against eight columns, with the row's bytes in xmm14: 64 products of bytes, 32 of int16, 16 of float. Zen 5
// takes six instructions with vector registers per cycle into its vector units, loads and copies among them, so what
// counts is their number: half of the panel is multiplied from memory.
#define FB_PRODUCTS(copy, multiply, add, acc0, acc1, acc2, acc3)                                                    \
  copy " %%xmm14,%%xmm15\n"                                                                                         \
  multiply " %%xmm12,%%xmm15\n"                                                                                     \
  add " %%xmm15,%%xmm" acc0 "\n"                                                                                    \
  copy " %%xmm14,%%xmm15\n"                                                                                         \
  multiply " %%xmm13,%%xmm15\n"                                                                                     \
  add " %%xmm15,%%xmm" acc1 "\n"                                                                                    \
  copy " %%xmm14,%%xmm15\n"                                                                                         \
  multiply " 32(%[panel]),%%xmm15\n"                                                                                \
  add " %%xmm15,%%xmm" acc2 "\n"                                                                                    \
  multiply " 48(%[panel]),%%xmm14\n"                                                                                \
  add " %%xmm14,%%xmm" acc3 "\n"

#define FB_ROW8(row) "movddup (%%" row ",%[index]),%%xmm14\n"
#define FB_ROW4(row) "movd (%%" row "),%%xmm14\nmovddup %%xmm14,%%xmm14\n"  // 4 bytes and 4 zeros, twice

// A row's part of a step; and of the step that ends rows with 4 bytes.
#define FB_DOT16(acc0, acc1, acc2, acc3, row, offset)                                                               \
  FB_ROW8(row) FB_PRODUCTS("movdqa", "pmaddubsw", "paddw", acc0, acc1, acc2, acc3)
#define FB_LAST_DOT16(acc0, acc1, acc2, acc3, row, offset)                                                          \
  FB_ROW4(row) FB_PRODUCTS("movdqa", "pmaddubsw", "paddw", acc0, acc1, acc2, acc3)
#define FB_U4 FB_DOT16
#define FB_LAST_U4 FB_LAST_DOT16
#define FB_DOT32(acc0, acc1, acc2, acc3, row, offset)                                                               \
  FB_ROW8(row) FB_PRODUCTS("movdqa", "pmaddwd", "paddd", acc0, acc1, acc2, acc3)
#define FB_LAST_DOT32(acc0, acc1, acc2, acc3, row, offset)                                                          \
  FB_ROW4(row) FB_PRODUCTS("movdqa", "pmaddwd", "paddd", acc0, acc1, acc2, acc3)
#define FB_F32(acc0, acc1, acc2, acc3, row, offset)                                                                 \
  FB_ROW8(row) FB_PRODUCTS("movaps", "mulps", "addps", acc0, acc1, acc2, acc3)
#define FB_LAST_F32(acc0, acc1, acc2, acc3, row, offset)                                                            \
  FB_ROW4(row) FB_PRODUCTS("movaps", "mulps", "addps", acc0, acc1, acc2, acc3)

// A step of all rows; `step` is what the panel holds per step, 64 bytes where a panel has 8 columns.
#define FB_STEP(ROWS, ROW)                                                                                          \
  "movdqa (%[panel]),%%xmm12\nmovdqa 16(%[panel]),%%xmm13\n"                                                        \
  ROWS(ROW)                                                                                                         \
  "add %[step],%[panel]\n"
// Steps until the index is 0.
#define FB_STEPS(label, ROWS, ROW)                                                                                  \
  ".p2align 4\n" label ":\n"                                                                                        \
  FB_STEP(ROWS, ROW)                                                                                                \
  "add $8,%[index]\n"                                                                                               \
  "jnz " label "b\n"

#define FB_ADVANCE(acc0, acc1, acc2, acc3, row, offset) "add %[index],%%" row "\n"
#define FB_POINTER(acc0, acc1, acc2, acc3, row, offset) "mov " offset "(%[rows]),%%" row "\n"
#define FB_ZERO(acc0, acc1, acc2, acc3, row, offset)                                                                \
  "pxor %%xmm" acc0 ",%%xmm" acc0 "\npxor %%xmm" acc1 ",%%xmm" acc1 "\n"                                            \
  "pxor %%xmm" acc2 ",%%xmm" acc2 "\npxor %%xmm" acc3 ",%%xmm" acc3 "\n"
// Sums of 16 lanes a row, behind each other, for tiles that are computed in parts.
#define FB_LOAD(acc0, acc1, acc2, acc3, row, offset)                                                                \
  "movdqa 8*" offset "(%[sums]),%%xmm" acc0 "\nmovdqa 8*" offset "+16(%[sums]),%%xmm" acc1 "\n"                     \
  "movdqa 8*" offset "+32(%[sums]),%%xmm" acc2 "\nmovdqa 8*" offset "+48(%[sums]),%%xmm" acc3 "\n"
#define FB_STORE(acc0, acc1, acc2, acc3, row, offset)                                                               \
  "movdqa %%xmm" acc0 ",8*" offset "(%[sums])\nmovdqa %%xmm" acc1 ",8*" offset "+16(%[sums])\n"                     \
  "movdqa %%xmm" acc2 ",8*" offset "+32(%[sums])\nmovdqa %%xmm" acc3 ",8*" offset "+48(%[sums])\n"

// A row's sums, its two lanes a column joined, into a tile of int32 or float. U4 has four lanes of 16 bits and joins
// them modulo 2^16: what pmaddwd takes for negative is wrong by a multiple of that. xmm14 holds ones, xmm15 0xffff.
#define FB_JOIN(add, acc0, acc1, acc2, acc3)                                                                        \
  add " %%xmm" acc1 ",%%xmm" acc0 "\n" add " %%xmm" acc3 ",%%xmm" acc2 "\n"
#define FB_PUT(acc0, acc2, offset)                                                                                  \
  "movaps %%xmm" acc0 ",4*" offset "(%[tile])\nmovaps %%xmm" acc2 ",4*" offset "+16(%[tile])\n"
#define FB_END_F32(acc0, acc1, acc2, acc3, row, offset) \
  FB_JOIN("haddps", acc0, acc1, acc2, acc3) FB_PUT(acc0, acc2, offset)
#define FB_END_DOT32(acc0, acc1, acc2, acc3, row, offset) \
  FB_JOIN("phaddd", acc0, acc1, acc2, acc3) FB_PUT(acc0, acc2, offset)
#define FB_ONES "pcmpeqw %%xmm14,%%xmm14\npsrlw $15,%%xmm14\n"
#define FB_WIDEN(acc0, acc1, acc2, acc3, row, offset)                                                               \
  "pmaddwd %%xmm14,%%xmm" acc0 "\npmaddwd %%xmm14,%%xmm" acc1 "\n"                                                  \
  "pmaddwd %%xmm14,%%xmm" acc2 "\npmaddwd %%xmm14,%%xmm" acc3 "\n"
#define FB_END_U4(acc0, acc1, acc2, acc3, row, offset)                                                              \
  FB_WIDEN(acc0, acc1, acc2, acc3, row, offset) FB_JOIN("phaddd", acc0, acc1, acc2, acc3)                           \
  "pand %%xmm15,%%xmm" acc0 "\npand %%xmm15,%%xmm" acc2 "\n" FB_PUT(acc0, acc2, offset)
#define FB_PREPARE_F32 ""
#define FB_PREPARE_DOT32 ""
#define FB_PREPARE_U4 FB_ONES "pcmpeqd %%xmm15,%%xmm15\npsrld $16,%%xmm15\n"

// A whole tile of rows of 4-byte units, floats, pairs of int16 or quads of bytes: FAMILY is F32, DOT32 or U4.
// 1: a tap; 2: a step of two units; 3: an odd last unit; 4: the next tap.
#define FB_TILE(count, FAMILY)                                                                                      \
  void tile##count(const GemmTask& task) {                                                                          \
    const void* const* rows = task.rows;                                                                            \
    const void* panel = task.panel;                                                                                 \
    size_t taps = task.taps;                                                                                        \
    const size_t even = task.depth / 2 * 8;                                                                         \
    const size_t odd = task.depth % 2;                                                                              \
    size_t index;                                                                                                   \
    __asm__ volatile(                                                                                               \
        FB_ROWS_##count(FB_ZERO)                                                                                    \
        "1:\n" FB_ROWS_##count(FB_POINTER)                                                                          \
        "mov %[even],%[index]\n" FB_ROWS_##count(FB_ADVANCE)                                                        \
        "neg %[index]\n"                                                                                            \
        "jz 3f\n"                                                                                                   \
        FB_STEPS("2", FB_ROWS_##count, FB_##FAMILY)                                                                 \
        "3:\n"                                                                                                      \
        "cmpq $0,%[odd]\n"                                                                                          \
        "je 4f\n"                                                                                                   \
        FB_STEP(FB_ROWS_##count, FB_LAST_##FAMILY)                                                                  \
        "4:\n"                                                                                                      \
        "add %[stride],%[rows]\n"                                                                                   \
        "dec %[taps]\n"                                                                                             \
        "jnz 1b\n" FB_PREPARE_##FAMILY FB_ROWS_##count(FB_END_##FAMILY)                                             \
        : [rows] "+r"(rows), [panel] "+r"(panel), [taps] "+r"(taps), [index] "=&r"(index)                           \
        : [even] "m"(even), [odd] "m"(odd), [tile] "r"(task.tile), [stride] "i"(kMr * sizeof(void*)),               \
          [step] "i"(kStepBytes)                                                                                    \
        : FB_CLOBBERS);                                                                                             \
  }
// The row of kernels.inc whose tiles these are.
#define FB_TILES(FAMILY)                                                                                            \
  FB_TILE(1, FAMILY)                                                                                                \
  FB_TILE(2, FAMILY)                                                                                                \
  FB_TILE(3, FAMILY)                                                                                                \
  void run_tile(const GemmTask& task) {                                                                             \
    constexpr void (*kTiles[])(const GemmTask&) = {tile1, tile2, tile3};                                            \
    kTiles[(task.m != 0 ? task.m : kMr) - 1](task);                                                                 \
  }

#define FB_CLOBBERS                                                                                                 \
  "cc", "memory", "r8", "r9", "r10", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",        \
      "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
// clang-format on

namespace fewbins {
namespace {

constexpr size_t kMr = 3;
constexpr size_t kNr = 8;
constexpr size_t kStepBytes = 64;  // of 8 columns
constexpr size_t kSums = 16;       // lanes of a row before they are joined

/// The two lanes of every column become one sum, modulo 2^32; `stride` elements from row to row of the tile.
[[maybe_unused]] inline void join_lanes(const int32_t* sums, size_t m, int32_t* tile, size_t stride = kNr) {
  for (size_t i = 0; i < m; ++i) {
    const __m128i* from = reinterpret_cast<const __m128i*>(sums + i * kSums);
    __m128i* to = reinterpret_cast<__m128i*>(tile + i * stride);
    _mm_store_si128(to, _mm_hadd_epi32(_mm_load_si128(from), _mm_load_si128(from + 1)));
    _mm_store_si128(to + 1, _mm_hadd_epi32(_mm_load_si128(from + 2), _mm_load_si128(from + 3)));
  }
}

}  // namespace
}  // namespace fewbins
