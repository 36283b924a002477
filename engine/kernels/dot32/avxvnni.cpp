// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit sums on AVX-VNNI: vpdpbusd adds four products modulo 2^32 (vpdpbusds would saturate), in 256 bits.
// Per step (4 depths x 16 columns x 1 row = 64 MACs): 1 broadcast load, 2 vpdpbusd; bound by two vpdpbusd per cycle.
#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {
namespace {

#define TILE(count) FB_TILE(tile##count, FB_ROWS_##count, FB_STEP_DOT32_VNNI)
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

void dot32_6x16k4__avxvnni(const GemmTask& task) {
  const TileRun run{task.rows, kMr * sizeof(void*), task.taps, 0, task.depth * 4};
  kTiles[(task.m != 0 ? task.m : kMr) - 1](run, task.panel, task.tile);
  leave_ymm();
}

}  // namespace fewbins
