// SPDX-License-Identifier: Apache-2.0
// 16-bit operands on AVX-512BW: vpmaddwd adds two products, vpaddd adds that to the sum, both modulo 2^32.
// Per step (2 depths x 32 columns x 1 row = 64 MACs): 1 broadcast load, 2 vpmaddwd, 2 vpaddd; bound by two vpmaddwd
// per cycle.
#include "kernels/tasks.h"
#include "kernels/tile_avx512.h"

namespace fewbins {
namespace {

#define TILE(count) FB_TILE(tile##count, FB_ROWS_##count, FB_PANEL_WIDE, FB_STEP_I16, FB_STORE)
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)

using TileFn = void (*)(const GemmTask&, size_t, size_t);
constexpr TileFn kTiles[] = {tile1, tile2, tile3, tile4, tile5, tile6, tile7, tile8};
constexpr size_t kMr = 8;

}  // namespace

void dot32_i16_8x32k2__avx512bw(const GemmTask& task) {
  kTiles[(task.m != 0 ? task.m : kMr) - 1](task, task.depth * 2 * sizeof(int16_t), kMr * sizeof(void*));
}

}  // namespace fewbins
