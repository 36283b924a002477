// SPDX-License-Identifier: Apache-2.0
// float32 on AVX-512. Per step (1 depth x 32 columns x 1 row = 32 MACs): 1 broadcast load, 2 vfmadd231ps; bound by the
// two multiply-adds per cycle. The narrow tile has one multiply-add per load and is for layers with few columns.
#include "kernels/tasks.h"
#include "kernels/tile_avx512.h"

namespace fewbins {
namespace {

#define TILE(count) FB_TILE(wide##count, FB_ROWS_##count, FB_PANEL_WIDE, FB_STEP_F32, FB_STORE)
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)
#undef TILE
#define TILE(count) FB_TILE(narrow##count, FB_ROWS_##count, FB_PANEL_NARROW, FB_STEP_F32_NARROW, FB_STORE_NARROW)
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
  tiles[(task.m != 0 ? task.m : kMr) - 1](task, task.depth * sizeof(float), kMr * sizeof(void*));
}

}  // namespace

void f32_8x32k1__avx512bw(const GemmTask& task) { run_tile(kWide, task); }
void f32_8x16k1__avx512bw(const GemmTask& task) { run_tile(kNarrow, task); }

}  // namespace fewbins
