// SPDX-License-Identifier: Apache-2.0
// 16-bit operands on AVX-VNNI: vpdpwssd adds two products to the sum modulo 2^32 (vpdpwssds would saturate).
// Per step (2 depths x 16 columns x 1 row = 32 MACs): 1 broadcast load, 2 vpdpwssd; bound by two of them per cycle.
#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {
namespace {

#define TILE(count) FB_TILE(tile##count, FB_ROWS_##count, FB_STEP_I16_VNNI)
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

void dot32_i16_6x16k2__avxvnni(const GemmTask& task) {
  const TileRun run{task.rows, kMr * sizeof(void*), task.taps, 0, task.depth * 2 * sizeof(int16_t)};
  kTiles[(task.m != 0 ? task.m : kMr) - 1](run, task.panel, task.tile);
  leave_ymm();
}

}  // namespace fewbins
