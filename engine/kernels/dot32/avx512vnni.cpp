// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit sums on AVX-512 VNNI: vpdpbusd adds four products modulo 2^32 (vpdpbusds would saturate).
// Per step (4 depths x 32 columns x 1 row = 128 MACs): 1 broadcast load, 2 vpdpbusd; bound by two vpdpbusd per cycle.
// The narrow tile has one vpdpbusd per broadcast and is bound by loads; it is for layers with few columns.
#include "kernels/tasks.h"
#include "kernels/tile_avx512.h"

namespace fewbins {
namespace {

#define TILE(count) FB_TILE(wide##count, FB_ROWS_##count, FB_PANEL_WIDE, FB_STEP_DOT32, FB_STORE)
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)
#undef TILE
#define TILE(count) FB_TILE(narrow##count, FB_ROWS_##count, FB_PANEL_NARROW, FB_STEP_DOT32_NARROW, FB_STORE_NARROW)
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)

using TileFn = void (*)(const GemmTask&, size_t, size_t);
constexpr TileFn kWide[] = {wide1, wide2, wide3, wide4, wide5, wide6, wide7, wide8};
constexpr TileFn kNarrow[] = {narrow1, narrow2, narrow3, narrow4, narrow5, narrow6, narrow7, narrow8};
constexpr size_t kMr = 8;

void run_tile(const TileFn* tiles, const GemmTask& task) {
  tiles[(task.m != 0 ? task.m : kMr) - 1](task, task.depth * 4, kMr * sizeof(void*));
}

}  // namespace

void dot32_8x32k4__avx512vnni(const GemmTask& task) { run_tile(kWide, task); }
void dot32_8x16k4__avx512vnni(const GemmTask& task) { run_tile(kNarrow, task); }

}  // namespace fewbins
