// SPDX-License-Identifier: Apache-2.0
// 16-bit sums on AVX2. Per step (4 depths x 16 columns x 1 row = 64 MACs): 1 broadcast load, 2 vpmaddubsw, 2 vpaddw;
// per block and row 2 vpmaddwd and 2 vpaddd more. The multiplier bounds it: two vpmaddubsw or vpmaddwd per cycle on
// Zen 5. See README.md for the proof that lanes cannot overflow.
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

}  // namespace

void dot16_6x16k4__avx2(const GemmTask& task) {
  run_tile(task);
  leave_ymm();
}

}  // namespace fewbins
