// SPDX-License-Identifier: Apache-2.0
// 16-bit sums on AVX2, in two tiles: 6 rows for long blocks, 3 rows for short ones. Per step (4 depths x 16 columns x 1
// row = 64 MACs): 1 broadcast load, 2 vpmaddubsw, 2 vpaddw; per block and row 2 vpmaddwd and 2 vpaddd more. The
// multiplier bounds it: two vpmaddubsw or vpmaddwd per cycle on Zen 5. See README.md for the proof that lanes cannot
// overflow.
#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {
namespace {

// clang-format off: one instruction a line
// One block: accumulators start at the panel's lane starts, run over the taps, are widened and join the tile.
#define BLOCK(count)                                                                                                \
  void block##count(const TileRun& run, const char*& panel, int32_t* tile, bool first) {                            \
    const void* const* rows = run.rows;                                                                             \
    const size_t end = run.offset + run.bytes;                                                                      \
    const size_t begin = 0 - run.bytes;                                                                             \
    size_t taps = run.taps;                                                                                         \
    size_t index;                                                                                                   \
    const char* at = panel;                                                                                         \
    __asm__ volatile(                                                                                               \
        "vmovdqa (%[panel]),%%ymm12\nvmovdqa 32(%[panel]),%%ymm13\nadd $64,%[panel]\n" FB_ROWS_##count(FB_START)    \
            FB_TAPS(FB_ROWS_##count, FB_STEP_DOT16)                                                                 \
        "vpcmpeqw %%ymm12,%%ymm12,%%ymm12\nvpsrlw $15,%%ymm12,%%ymm12\n" FB_ROWS_##count(FB_WIDEN)                  \
        "testb %[first],%[first]\njnz 3f\n" FB_ROWS_##count(FB_ADD_TILE) "3:\n" FB_ROWS_##count(FB_STORE)           \
        : [rows] "+r"(rows), [panel] "+r"(at), [taps] "+r"(taps), [index] "=&r"(index)                              \
        : [end] "m"(end), [begin] "m"(begin), [stride] "m"(run.stride), [tile] "r"(tile), [first] "q"(first)        \
        : FB_CLOBBERS);                                                                                             \
    panel = at;                                                                                                     \
  }
// clang-format on
BLOCK(1)
BLOCK(2)
BLOCK(3)
BLOCK(4)
BLOCK(5)
BLOCK(6)

using BlockFn = void (*)(const TileRun&, const char*&, int32_t*, bool);
constexpr BlockFn kBlocks[] = {block1, block2, block3, block4, block5, block6};

constexpr size_t kMr = 6;

void run_tile(const GemmTask& task) {
  const BlockFn block = kBlocks[(task.m != 0 ? task.m : kMr) - 1];
  const char* panel = static_cast<const char*>(task.panel);
  int32_t* tile = static_cast<int32_t*>(task.tile);
  const size_t stride = kMr * sizeof(void*);
  if (task.block >= task.depth) {  // whole taps
    const size_t group = task.block / task.depth;
    for (size_t t = 0; t < task.taps; t += group) {
      const size_t taps = task.taps - t < group ? task.taps - t : group;
      block({task.rows + t * kMr, stride, taps, 0, task.depth * 4}, panel, tile, t == 0);
    }
    return;
  }
  for (size_t t = 0; t < task.taps; ++t) {
    for (size_t quad = 0; quad < task.depth; quad += task.block) {
      const size_t quads = task.depth - quad < task.block ? task.depth - quad : task.block;
      block({task.rows + t * kMr, stride, 1, quad * 4, quads * 4}, panel, tile, t + quad == 0);
    }
  }
}

// ---- three rows: int32 sums in registers ----------------------------------------------------------------------------
// ymm0..5 the 16-bit lanes of a block, ymm6..11 the int32 sums; the rest as in tile_avx2.h. With half the rows the
// panel is loaded twice as often, but nothing goes through memory at the end of a block: better for short blocks.

// clang-format off: one instruction a line
#define ROWS3_1(X) X("0", "1", "6", "7", "r8", "0")
#define ROWS3_2(X) ROWS3_1(X) X("2", "3", "8", "9", "r9", "8")
#define ROWS3_3(X) ROWS3_2(X) X("4", "5", "10", "11", "r10", "16")
#define POINTER3(acc0, acc1, sum0, sum1, row, offset) "mov " offset "(%[rows]),%%" row "\n"
#define ADVANCE3(acc0, acc1, sum0, sum1, row, offset) "add %[length],%%" row "\n"
#define ZERO3(acc0, acc1, sum0, sum1, row, offset) FB_ZERO(sum0, sum1, row, offset)
#define START3(acc0, acc1, sum0, sum1, row, offset) FB_START(acc0, acc1, row, offset)
#define STEP3(acc0, acc1, sum0, sum1, row, offset) FB_STEP_DOT16(acc0, acc1, row, offset)
#define WIDEN3(acc0, acc1, sum0, sum1, row, offset)           \
  "vpmaddwd %%ymm14,%%ymm" acc0 ",%%ymm" acc0 "\n"            \
  "vpaddd %%ymm" acc0 ",%%ymm" sum0 ",%%ymm" sum0 "\n"        \
  "vpmaddwd %%ymm14,%%ymm" acc1 ",%%ymm" acc1 "\n"            \
  "vpaddd %%ymm" acc1 ",%%ymm" sum1 ",%%ymm" sum1 "\n"
#define STORE3(acc0, acc1, sum0, sum1, row, offset)           \
  "vmovdqa %%ymm" sum0 ",8*" offset "(%[rows])\n"             \
  "vmovdqa %%ymm" sum1 ",8*" offset "+32(%[rows])\n"

// 1: a block starts, inside a tap or at one; 2: a tap; 3: what of the tap belongs to the block; 4: a step.
#define SHORT_BLOCKS(count)                                                                                           \
  void short_blocks##count(const GemmTask& task, size_t stride) {                                                     \
    const void* const* rows = task.rows;                                                                              \
    const void* panel = task.panel;                                                                                   \
    const size_t depth = task.depth * 4;                                                                              \
    const size_t block = task.block * 4;                                                                              \
    const size_t group = task.block > task.depth ? task.block / task.depth : 1;                                       \
    size_t taps = task.taps;                                                                                          \
    size_t left = 0;                                                                                                  \
    size_t length;                                                                                                    \
    size_t index;                                                                                                     \
    size_t taps_of_block;                                                                                             \
    __asm__ volatile(                                                                                                 \
        ROWS3_##count(ZERO3)                                                                                          \
        "1:\n"                                                                                                        \
        "vmovdqa (%[panel]),%%ymm12\n"                                                                                \
        "vmovdqa 32(%[panel]),%%ymm13\n"                                                                              \
        "add $64,%[panel]\n"                                                                                          \
        ROWS3_##count(START3)                                                                                         \
        "mov %[group],%[taps_of_block]\n"                                                                             \
        "test %[left],%[left]\n"                                                                                      \
        "jnz 3f\n"                                                                                                    \
        "2:\n"                                                                                                        \
        ROWS3_##count(POINTER3)                                                                                       \
        "mov %[depth],%[left]\n"                                                                                      \
        "3:\n"                                                                                                        \
        "mov %[block],%[length]\n"                                                                                    \
        "cmp %[left],%[length]\n"                                                                                     \
        "cmova %[left],%[length]\n"                                                                                   \
        "sub %[length],%[left]\n"                                                                                     \
        ROWS3_##count(ADVANCE3)                                                                                       \
        "mov %[length],%[index]\n"                                                                                    \
        "neg %[index]\n"                                                                                              \
        ".p2align 4\n"                                                                                                \
        "4:\n"                                                                                                        \
        "vmovdqa (%[panel]),%%ymm12\n"                                                                                \
        "vmovdqa 32(%[panel]),%%ymm13\n"                                                                              \
        ROWS3_##count(STEP3)                                                                                          \
        "add $64,%[panel]\n"                                                                                          \
        "add $4,%[index]\n"                                                                                           \
        "jnz 4b\n"                                                                                                    \
        "test %[left],%[left]\n"                                                                                      \
        "jnz 5f\n"                                                                                                    \
        "add %[stride],%[rows]\n"                                                                                     \
        "dec %[taps]\n"                                                                                               \
        "jz 5f\n"                                                                                                     \
        "dec %[taps_of_block]\n"                                                                                      \
        "jnz 2b\n"                                                                                                    \
        "5:\n"                                                                                                        \
        "vpcmpeqw %%ymm14,%%ymm14,%%ymm14\n"                                                                          \
        "vpsrlw $15,%%ymm14,%%ymm14\n"                                                                                \
        ROWS3_##count(WIDEN3)                                                                                         \
        "test %[taps],%[taps]\n"                                                                                      \
        "jnz 1b\n"                                                                                                    \
        "mov %[tile],%[rows]\n"                                                                                       \
        ROWS3_##count(STORE3)                                                                                         \
        : [rows] "+r"(rows), [panel] "+r"(panel), [taps] "+r"(taps), [left] "+r"(left), [length] "=&r"(length),       \
          [index] "=&r"(index), [taps_of_block] "=&r"(taps_of_block)                                                  \
        : [depth] "m"(depth), [block] "m"(block), [group] "m"(group), [stride] "m"(stride), [tile] "m"(task.tile)     \
        : "cc", "memory", "r8", "r9", "r10", FB_VECTORS);                                                             \
  }
// clang-format on
SHORT_BLOCKS(1)
SHORT_BLOCKS(2)
SHORT_BLOCKS(3)

}  // namespace

void dot16_6x16k4__avx2(const GemmTask& task) {
  run_tile(task);
  leave_ymm();
}

void dot16_3x16k4__avx2(const GemmTask& task) {
  constexpr size_t kRows = 3;
  constexpr void (*kShortBlocks[])(const GemmTask&, size_t) = {short_blocks1, short_blocks2, short_blocks3};
  kShortBlocks[(task.m != 0 ? task.m : kRows) - 1](task, kRows * sizeof(void*));
  leave_ymm();
}

}  // namespace fewbins
