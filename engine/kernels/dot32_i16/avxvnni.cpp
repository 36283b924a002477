// SPDX-License-Identifier: Apache-2.0
// 16-bit operands on AVX-VNNI: vpdpwssd adds two products to the sum modulo 2^32 (vpdpwssds would saturate).
// Per step (2 depths x 16 columns x 1 row = 32 MACs): 1 broadcast load, 2 vpdpwssd; bound by two of them per cycle.
#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {
namespace {

// clang-format off: one instruction a line
#define TILE(count)                                                                                                \
  void tile##count(const TileRun& run, const void* panel, int32_t* tile) {                                         \
    const void* const* rows = run.rows;                                                                            \
    const size_t end = run.offset + run.bytes;                                                                     \
    const size_t begin = 0 - run.bytes;                                                                            \
    size_t taps = run.taps;                                                                                        \
    size_t index;                                                                                                  \
    __asm__ volatile(FB_ROWS_##count(FB_ZERO) FB_TAPS(FB_ROWS_##count, FB_STEP_I16_VNNI) FB_ROWS_##count(FB_STORE) \
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

using TileFn = void (*)(const TileRun&, const void*, int32_t*);
constexpr TileFn kTiles[] = {tile1, tile2, tile3, tile4, tile5, tile6};
constexpr size_t kMr = 6;

}  // namespace

void dot32_i16_6x16k2__avxvnni(const GemmTask& task) {
  const TileRun run{task.rows, kMr * sizeof(void*), task.taps, 0, task.depth * 2 * sizeof(int16_t)};
  kTiles[(task.m != 0 ? task.m : kMr) - 1](run, task.panel, static_cast<int32_t*>(task.tile));
  leave_ymm();
}

}  // namespace fewbins
