// SPDX-License-Identifier: Apache-2.0
// 16-bit sums on AVX-512BW. 32 registers hold the 16-bit lanes of a block and the int32 sums of the tile at once, so
// that one tile serves long and short blocks. Per step (4 depths x 32 columns x 1 row = 128 MACs): 1 broadcast load,
// 2 vpmaddubsw, 2 vpaddw; per block and row 2 vpmaddwd and 2 vpaddd more. The multiplier bounds it: two vpmaddubsw or
// vpmaddwd per cycle. The narrow tile has one vpmaddubsw per broadcast and is for layers with few columns. See
// README.md for the proof that lanes cannot overflow.
//
// Registers, wide: zmm0..11 the 16-bit lanes, zmm20..31 the int32 sums, two of each per row; zmm12 and zmm13 the panel,
// zmm14 and zmm15 the row's 4 bytes in every lane, zmm16..19 products. Narrow: zmm0..7 lanes, zmm20..27 sums.
#include "kernels/tasks.h"

namespace fewbins {
namespace {

// clang-format off: one instruction a line
// X(first lanes, second, first sums, second, broadcast, two products, pointer, offset in the table of rows)
#define WIDE_1(X) X("0", "1", "20", "21", "14", "16", "17", "r8", "0")
#define WIDE_2(X) WIDE_1(X) X("2", "3", "22", "23", "15", "18", "19", "r9", "8")
#define WIDE_3(X) WIDE_2(X) X("4", "5", "24", "25", "14", "16", "17", "r10", "16")
#define WIDE_4(X) WIDE_3(X) X("6", "7", "26", "27", "15", "18", "19", "r11", "24")
#define WIDE_5(X) WIDE_4(X) X("8", "9", "28", "29", "14", "16", "17", "r12", "32")
#define WIDE_6(X) WIDE_5(X) X("10", "11", "30", "31", "15", "18", "19", "r13", "40")
#define NARROW_1(X) X("0", "", "20", "", "14", "16", "", "r8", "0")
#define NARROW_2(X) NARROW_1(X) X("1", "", "21", "", "15", "17", "", "r9", "8")
#define NARROW_3(X) NARROW_2(X) X("2", "", "22", "", "14", "18", "", "r10", "16")
#define NARROW_4(X) NARROW_3(X) X("3", "", "23", "", "15", "19", "", "r11", "24")
#define NARROW_5(X) NARROW_4(X) X("4", "", "24", "", "14", "16", "", "r12", "32")
#define NARROW_6(X) NARROW_5(X) X("5", "", "25", "", "15", "17", "", "r13", "40")
#define NARROW_7(X) NARROW_6(X) X("6", "", "26", "", "14", "18", "", "r14", "48")
#define NARROW_8(X) NARROW_7(X) X("7", "", "27", "", "15", "19", "", "r15", "56")

#define POINTER(a0, a1, s0, s1, lanes, p0, p1, row, offset) "mov " offset "(%[rows]),%%" row "\n"
#define ADVANCE(a0, a1, s0, s1, lanes, p0, p1, row, offset) "add %[length],%%" row "\n"

#define ZERO_WIDE(a0, a1, s0, s1, lanes, p0, p1, row, offset)                                                         \
  "vpxord %%zmm" s0 ",%%zmm" s0 ",%%zmm" s0 "\n"                                                                      \
  "vpxord %%zmm" s1 ",%%zmm" s1 ",%%zmm" s1 "\n"
#define START_WIDE(a0, a1, s0, s1, lanes, p0, p1, row, offset)                                                        \
  "vmovdqa64 %%zmm12,%%zmm" a0 "\n"                                                                                   \
  "vmovdqa64 %%zmm13,%%zmm" a1 "\n"
#define STEP_WIDE(a0, a1, s0, s1, lanes, p0, p1, row, offset)                                                         \
  "vpbroadcastd (%%" row ",%[index]),%%zmm" lanes "\n"                                                                \
  "vpmaddubsw %%zmm12,%%zmm" lanes ",%%zmm" p0 "\n"                                                                   \
  "vpaddw %%zmm" p0 ",%%zmm" a0 ",%%zmm" a0 "\n"                                                                      \
  "vpmaddubsw %%zmm13,%%zmm" lanes ",%%zmm" p1 "\n"                                                                   \
  "vpaddw %%zmm" p1 ",%%zmm" a1 ",%%zmm" a1 "\n"
// zmm14 holds ones: the two 16-bit lanes of a column become one int32.
#define WIDEN_WIDE(a0, a1, s0, s1, lanes, p0, p1, row, offset)                                                        \
  "vpmaddwd %%zmm14,%%zmm" a0 ",%%zmm" a0 "\n"                                                                        \
  "vpaddd %%zmm" a0 ",%%zmm" s0 ",%%zmm" s0 "\n"                                                                      \
  "vpmaddwd %%zmm14,%%zmm" a1 ",%%zmm" a1 "\n"                                                                        \
  "vpaddd %%zmm" a1 ",%%zmm" s1 ",%%zmm" s1 "\n"
#define STORE_WIDE(a0, a1, s0, s1, lanes, p0, p1, row, offset)                                                        \
  "vmovdqa32 %%zmm" s0 ",16*" offset "(%[rows])\n"                                                                    \
  "vmovdqa32 %%zmm" s1 ",16*" offset "+64(%[rows])\n"
#define PANEL_WIDE "prefetcht0 8192(%[panel])\nprefetcht0 8256(%[panel])\nvmovdqa64 (%[panel]),%%zmm12\nvmovdqa64 64(%[panel]),%%zmm13\nadd $128,%[panel]\n"

#define ZERO_NARROW(a0, a1, s0, s1, lanes, p0, p1, row, offset) "vpxord %%zmm" s0 ",%%zmm" s0 ",%%zmm" s0 "\n"
#define START_NARROW(a0, a1, s0, s1, lanes, p0, p1, row, offset) "vmovdqa64 %%zmm12,%%zmm" a0 "\n"
#define STEP_NARROW(a0, a1, s0, s1, lanes, p0, p1, row, offset)                                                       \
  "vpbroadcastd (%%" row ",%[index]),%%zmm" lanes "\n"                                                                \
  "vpmaddubsw %%zmm12,%%zmm" lanes ",%%zmm" p0 "\n"                                                                   \
  "vpaddw %%zmm" p0 ",%%zmm" a0 ",%%zmm" a0 "\n"
#define WIDEN_NARROW(a0, a1, s0, s1, lanes, p0, p1, row, offset)                                                      \
  "vpmaddwd %%zmm14,%%zmm" a0 ",%%zmm" a0 "\n"                                                                        \
  "vpaddd %%zmm" a0 ",%%zmm" s0 ",%%zmm" s0 "\n"
#define STORE_NARROW(a0, a1, s0, s1, lanes, p0, p1, row, offset) "vmovdqa32 %%zmm" s0 ",8*" offset "(%[rows])\n"
#define PANEL_NARROW "vmovdqa64 (%[panel]),%%zmm12\nadd $64,%[panel]\n"

// A whole tile. 1: a block starts, inside a tap or at one; 2: a tap; 3: what of the tap belongs to the block; 4: a step.
#define TILE(name, ROWS, PANEL, ZERO, START, STEP, WIDEN, STORE)                                                      \
  void name(const GemmTask& task, size_t stride) {                                                                    \
    const void* const* rows = task.rows;                                                                              \
    const void* panel = task.panel;                                                                                   \
    const size_t depth = task.depth * 4;                                                                              \
    const size_t block = task.block * 4;                                                                              \
    const size_t group = task.block > task.depth ? task.block / task.depth : 1;                                       \
    size_t taps = task.taps;                                                                                          \
    size_t left = 0;                                                                                                  \
    size_t taps_of_block;                                                                                             \
    size_t length;                                                                                                    \
    size_t index;                                                                                                     \
    __asm__ volatile(                                                                                                 \
        ROWS(ZERO)                                                                                                    \
        "1:\n"                                                                                                        \
        PANEL                                                                                                         \
        ROWS(START)                                                                                                   \
        "mov %[group],%[index]\n"                                                                                     \
        "mov %[index],%[taps_of_block]\n"                                                                             \
        "cmpq $0,%[left]\n"                                                                                           \
        "jnz 3f\n"                                                                                                    \
        "2:\n"                                                                                                        \
        ROWS(POINTER)                                                                                                 \
        "mov %[depth],%[length]\n"                                                                                    \
        "mov %[length],%[left]\n"                                                                                     \
        "3:\n"                                                                                                        \
        "mov %[left],%[index]\n"                                                                                      \
        "mov %[block],%[length]\n"                                                                                    \
        "cmp %[index],%[length]\n"                                                                                    \
        "cmova %[index],%[length]\n"                                                                                  \
        "sub %[length],%[left]\n"                                                                                     \
        ROWS(ADVANCE)                                                                                                 \
        "mov %[length],%[index]\n"                                                                                    \
        "neg %[index]\n"                                                                                              \
        ".p2align 4\n"                                                                                                \
        "4:\n"                                                                                                        \
        PANEL                                                                                                         \
        ROWS(STEP)                                                                                                    \
        "add $4,%[index]\n"                                                                                           \
        "jnz 4b\n"                                                                                                    \
        "cmpq $0,%[left]\n"                                                                                           \
        "jnz 5f\n"                                                                                                    \
        "add %[stride],%[rows]\n"                                                                                     \
        "decq %[taps]\n"                                                                                              \
        "jz 5f\n"                                                                                                     \
        "decq %[taps_of_block]\n"                                                                                     \
        "jnz 2b\n"                                                                                                    \
        "5:\n"                                                                                                        \
        "vpternlogd $255,%%zmm14,%%zmm14,%%zmm14\n"                                                                   \
        "vpsrlw $15,%%zmm14,%%zmm14\n"                                                                                \
        ROWS(WIDEN)                                                                                                   \
        "cmpq $0,%[taps]\n"                                                                                           \
        "jnz 1b\n"                                                                                                    \
        "mov %[tile],%[rows]\n"                                                                                       \
        ROWS(STORE)                                                                                                   \
        "vzeroupper\n"                                                                                                \
        : [rows] "+r"(rows), [panel] "+r"(panel), [length] "=&r"(length), [index] "=&r"(index), [taps] "+m"(taps),    \
          [left] "+m"(left), [taps_of_block] "=m"(taps_of_block)                                                      \
        : [depth] "m"(depth), [block] "m"(block), [group] "m"(group), [stride] "m"(stride), [tile] "m"(task.tile)     \
        : "cc", "memory", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3",       \
          "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",       \
          "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", \
          "xmm28", "xmm29", "xmm30", "xmm31");                                                                        \
  }
// clang-format on
#define WIDE(count) \
  TILE(wide##count, WIDE_##count, PANEL_WIDE, ZERO_WIDE, START_WIDE, STEP_WIDE, WIDEN_WIDE, STORE_WIDE)
WIDE(1)
WIDE(2)
WIDE(3)
WIDE(4)
WIDE(5)
WIDE(6)
#define NARROW(count) \
  TILE(narrow##count, NARROW_##count, PANEL_NARROW, ZERO_NARROW, START_NARROW, STEP_NARROW, WIDEN_NARROW, STORE_NARROW)
NARROW(1)
NARROW(2)
NARROW(3)
NARROW(4)
NARROW(5)
NARROW(6)
NARROW(7)
NARROW(8)

using TileFn = void (*)(const GemmTask&, size_t);
constexpr TileFn kWide[] = {wide1, wide2, wide3, wide4, wide5, wide6};
constexpr TileFn kNarrow[] = {narrow1, narrow2, narrow3, narrow4, narrow5, narrow6, narrow7, narrow8};

}  // namespace

void dot16_6x32k4__avx512bw(const GemmTask& task) {
  constexpr size_t kRows = 6;
  kWide[(task.m != 0 ? task.m : kRows) - 1](task, kRows * sizeof(void*));
}

void dot16_8x16k4__avx512bw(const GemmTask& task) {
  constexpr size_t kRows = 8;
  kNarrow[(task.m != 0 ? task.m : kRows) - 1](task, kRows * sizeof(void*));
}

}  // namespace fewbins
