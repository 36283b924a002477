// SPDX-License-Identifier: Apache-2.0
// The inner loops of the AVX-512 tile kernels in assembly, for the reason that tile_avx2.h gives. One loop serves both
// families: a step takes 4 bytes of each row and 4 bytes of every column of the panel.
//
// Registers: zmm0..zmm15 the accumulators, two per row (a panel of 16 columns uses the even ones); zmm16 and
// zmm17 the panel, zmm18 and zmm19 the row's 4 bytes in every lane, zmm20 and zmm21 products; r8..r15 one pointer per
// row.
#pragma once

#include <stddef.h>
#include <stdint.h>

// clang-format off: one instruction a line
// X(first accumulator, second one, lane register, pointer, offset of the pointer in the table of rows)
#define FB_ROWS_1(X) X("0", "1", "18", "r8", "0")
#define FB_ROWS_2(X) FB_ROWS_1(X) X("2", "3", "19", "r9", "8")
#define FB_ROWS_3(X) FB_ROWS_2(X) X("4", "5", "18", "r10", "16")
#define FB_ROWS_4(X) FB_ROWS_3(X) X("6", "7", "19", "r11", "24")
#define FB_ROWS_5(X) FB_ROWS_4(X) X("8", "9", "18", "r12", "32")
#define FB_ROWS_6(X) FB_ROWS_5(X) X("10", "11", "19", "r13", "40")
#define FB_ROWS_7(X) FB_ROWS_6(X) X("12", "13", "18", "r14", "48")
#define FB_ROWS_8(X) FB_ROWS_7(X) X("14", "15", "19", "r15", "56")

#define FB_STEP_DOT32(acc0, acc1, lanes, row, offset)                                                                \
  "vpbroadcastd (%%" row ",%[index]),%%zmm" lanes "\n"                                                               \
  "vpdpbusd %%zmm16,%%zmm" lanes ",%%zmm" acc0 "\n"                                                                  \
  "vpdpbusd %%zmm17,%%zmm" lanes ",%%zmm" acc1 "\n"
#define FB_STEP_I16(acc0, acc1, lanes, row, offset)                                                                  \
  "vpbroadcastd (%%" row ",%[index]),%%zmm" lanes "\n"                                                               \
  "vpmaddwd %%zmm16,%%zmm" lanes ",%%zmm20\n"                                                                        \
  "vpaddd %%zmm20,%%zmm" acc0 ",%%zmm" acc0 "\n"                                                                     \
  "vpmaddwd %%zmm17,%%zmm" lanes ",%%zmm21\n"                                                                        \
  "vpaddd %%zmm21,%%zmm" acc1 ",%%zmm" acc1 "\n"
#define FB_STEP_I16_VNNI(acc0, acc1, lanes, row, offset)                                                             \
  "vpbroadcastd (%%" row ",%[index]),%%zmm" lanes "\n"                                                               \
  "vpdpwssd %%zmm16,%%zmm" lanes ",%%zmm" acc0 "\n"                                                                  \
  "vpdpwssd %%zmm17,%%zmm" lanes ",%%zmm" acc1 "\n"
#define FB_STEP_F32(acc0, acc1, lanes, row, offset)                                                                  \
  "vbroadcastss (%%" row ",%[index]),%%zmm" lanes "\n"                                                               \
  "vfmadd231ps %%zmm16,%%zmm" lanes ",%%zmm" acc0 "\n"                                                               \
  "vfmadd231ps %%zmm17,%%zmm" lanes ",%%zmm" acc1 "\n"
#define FB_STEP_DOT32_NARROW(acc0, acc1, lanes, row, offset)                                                         \
  "vpbroadcastd (%%" row ",%[index]),%%zmm" lanes "\n"                                                               \
  "vpdpbusd %%zmm16,%%zmm" lanes ",%%zmm" acc0 "\n"
#define FB_STEP_F32_NARROW(acc0, acc1, lanes, row, offset)                                                           \
  "vfmadd231ps (%%" row ",%[index])%{1to16%},%%zmm16,%%zmm" acc0 "\n"

#define FB_ROW_POINTER(acc0, acc1, lanes, row, offset) "mov " offset "(%[rows]),%%" row "\nadd %[length],%%" row "\n"
#define FB_ZERO(acc0, acc1, lanes, row, offset)                                                                      \
  "vpxord %%zmm" acc0 ",%%zmm" acc0 ",%%zmm" acc0 "\n"                                                               \
  "vpxord %%zmm" acc1 ",%%zmm" acc1 ",%%zmm" acc1 "\n"
#define FB_STORE(acc0, acc1, lanes, row, offset)                                                                     \
  "vmovdqa32 %%zmm" acc0 ",16*" offset "(%[rows])\n"                                                                 \
  "vmovdqa32 %%zmm" acc1 ",16*" offset "+64(%[rows])\n"
#define FB_STORE_NARROW(acc0, acc1, lanes, row, offset) "vmovdqa32 %%zmm" acc0 ",8*" offset "(%[rows])\n"

// Weights are asked for 8 KiB ahead, so that a panel from L3 or memory arrives in time even while rows and sums go through
// the second-level cache too: F(4x4) at 14x14x256 with weights from memory takes 372 us instead of 709, and warm it is
// not slower. Fetching whole panels at once, in front of a tile, was tried and lost.
#define FB_AHEAD "prefetcht0 8192(%[panel])\nprefetcht0 8256(%[panel])\n"
#define FB_PANEL_WIDE FB_AHEAD "vmovdqa32 (%[panel]),%%zmm16\nvmovdqa32 64(%[panel]),%%zmm17\nadd $128,%[panel]\n"
#define FB_PANEL_NARROW "vmovdqa32 (%[panel]),%%zmm16\nadd $64,%[panel]\n"

// A whole tile: for every tap fetch the row pointers, then run along the rows; the index goes from -length to 0.
#define FB_TILE(name, ROWS, PANEL, STEP, STORE)                                                                      \
  void name(const GemmTask& task, size_t length, size_t stride) {                                                    \
    const void* const* rows = task.rows;                                                                             \
    const void* panel = task.panel;                                                                                  \
    size_t taps = task.taps;                                                                                         \
    size_t index;                                                                                                    \
    __asm__ volatile(ROWS(FB_ZERO)                                                                                   \
                     "1:\n" ROWS(FB_ROW_POINTER)                                                                     \
                     "mov %[length],%[index]\n"                                                                      \
                     "neg %[index]\n"                                                                                \
                     ".p2align 4\n"                                                                                  \
                     "2:\n" PANEL ROWS(STEP)                                                                         \
                     "add $4,%[index]\n"                                                                             \
                     "jnz 2b\n"                                                                                      \
                     "add %[stride],%[rows]\n"                                                                       \
                     "dec %[taps]\n"                                                                                 \
                     "jnz 1b\n"                                                                                      \
                     "mov %[tile],%[rows]\n" ROWS(STORE)                                                             \
                     "vzeroupper\n"                                                                                  \
                     : [rows] "+r"(rows), [panel] "+r"(panel), [taps] "+r"(taps), [index] "=&r"(index)               \
                     : [length] "m"(length), [stride] "m"(stride), [tile] "m"(task.tile)                             \
                     : "cc", "memory", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", \
                       "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",   \
                       "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21");                      \
  }

// A whole kernel of 8 rows: a tile of every height, and the choice among them. `bytes_per_depth`: of a row per unit of
// GemmTask::depth. `prefix` keeps the tiles of two kernels in a file apart.
#define FB_KERNEL(name, prefix, PANEL, STEP, STORE, bytes_per_depth)                                                \
  namespace {                                                                                                       \
  FB_TILE(prefix##1, FB_ROWS_1, PANEL, STEP, STORE)                                                                 \
  FB_TILE(prefix##2, FB_ROWS_2, PANEL, STEP, STORE)                                                                 \
  FB_TILE(prefix##3, FB_ROWS_3, PANEL, STEP, STORE)                                                                 \
  FB_TILE(prefix##4, FB_ROWS_4, PANEL, STEP, STORE)                                                                 \
  FB_TILE(prefix##5, FB_ROWS_5, PANEL, STEP, STORE)                                                                 \
  FB_TILE(prefix##6, FB_ROWS_6, PANEL, STEP, STORE)                                                                 \
  FB_TILE(prefix##7, FB_ROWS_7, PANEL, STEP, STORE)                                                                 \
  FB_TILE(prefix##8, FB_ROWS_8, PANEL, STEP, STORE)                                                                 \
  }                                                                                                                 \
  void name(const GemmTask& task) {                                                                                 \
    constexpr size_t kMr = 8;                                                                                       \
    static constexpr void (*kTiles[])(const GemmTask&, size_t, size_t) = {prefix##1, prefix##2, prefix##3, prefix##4,\
                                                                   prefix##5, prefix##6, prefix##7, prefix##8};     \
    kTiles[(task.m != 0 ? task.m : kMr) - 1](task, task.depth * (bytes_per_depth), kMr * sizeof(void*));            \
  }
// clang-format on
