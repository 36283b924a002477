// SPDX-License-Identifier: Apache-2.0
// float32 on AVX2 and FMA. Per step (1 depth x 16 columns x 1 row = 16 MACs): 1 broadcast load, 2 vfmadd231ps; bound by
// the two multiply-adds per cycle. The only place besides its AVX-512 twin where products are not rounded by
// themselves.
#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {
namespace {

#define TILE(count) FB_TILE(tile##count, FB_ROWS_##count, FB_STEP_F32)
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

void f32_6x16k1__avx2(const GemmTask& task) {
  const TileRun run{task.rows, kMr * sizeof(void*), task.taps, 0, task.depth * sizeof(float)};
  kTiles[(task.m != 0 ? task.m : kMr) - 1](run, task.panel, task.tile);
  leave_ymm();
}

}  // namespace fewbins
