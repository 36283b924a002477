// SPDX-License-Identifier: Apache-2.0
// 16-bit operands on AVX2: vpmaddwd adds two products, vpaddd adds that to the sum, both modulo 2^32.
// Per step (2 depths x 16 columns x 1 row = 32 MACs): 1 broadcast load, 2 vpmaddwd, 2 vpaddd; bound by two vpmaddwd
// per cycle.
#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {
namespace {

#define TILE(count) FB_TILE(tile##count, FB_ROWS_##count, FB_STEP_I16)
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)

using TileFn = void (*)(const TileRun&, const void*, void*);
constexpr TileFn kTiles[] = {tile1, tile2, tile3, tile4, tile5, tile6};
constexpr size_t kMr = 6;

}  // namespace

void dot32_i16_6x16k2__avx2(const GemmTask& task) {
  const TileRun run{task.rows, kMr * sizeof(void*), task.taps, 0, task.depth * 2 * sizeof(int16_t)};
  kTiles[(task.m != 0 ? task.m : kMr) - 1](run, task.panel, task.tile);
  leave_ymm();
}

}  // namespace fewbins
