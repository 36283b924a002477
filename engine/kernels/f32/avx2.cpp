// SPDX-License-Identifier: Apache-2.0
// float32 on AVX2 and FMA. Per step (1 depth x 16 columns x 1 row = 16 MACs): 1 broadcast load, 2 vfmadd231ps; bound by
// the two multiply-adds per cycle. The only place besides its AVX-512 twin where products are not rounded by
// themselves.
#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {
namespace {

// clang-format off: one instruction a line
#define TILE(count)                                                                                                \
  void tile##count(const TileRun& run, const void* panel, float* tile) {                                           \
    const void* const* rows = run.rows;                                                                            \
    const size_t end = run.offset + run.bytes;                                                                     \
    const size_t begin = 0 - run.bytes;                                                                            \
    size_t taps = run.taps;                                                                                        \
    size_t index;                                                                                                  \
    __asm__ volatile(FB_ROWS_##count(FB_ZERO) FB_TAPS(FB_ROWS_##count, FB_STEP_F32) FB_ROWS_##count(FB_STORE)      \
                     : [rows] "+r"(rows), [panel] "+r"(panel), [taps] "+r"(taps), [index] "=&r"(index)             \
                     : [end] "m"(end), [begin] "m"(begin), [stride] "m"(run.stride), [tile] "r"(tile)              \
                     : FB_CLOBBERS);                                                                               \
  }
// clang-format on
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)

using TileFn = void (*)(const TileRun&, const void*, float*);
constexpr TileFn kTiles[] = {tile1, tile2, tile3, tile4, tile5, tile6};
constexpr size_t kMr = 6;

}  // namespace

void f32_6x16k1__avx2(const GemmTask& task) {
  const TileRun run{task.rows, kMr * sizeof(void*), task.taps, 0, task.depth * sizeof(float)};
  kTiles[(task.m != 0 ? task.m : kMr) - 1](run, task.panel, static_cast<float*>(task.tile));
  leave_ymm();
}

}  // namespace fewbins
