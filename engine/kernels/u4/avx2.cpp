// SPDX-License-Identifier: Apache-2.0
// The four-bit algorithm on AVX2. Per step (4 depths x 16 columns x 1 row = 64 MACs): 1 broadcast load, 2 vpmaddubsw, 2
// vpaddw; nothing is widened before the end. Bound by two vpmaddubsw per cycle. A column's sum lies in two 16-bit
// lanes, which are joined modulo 2^16.
#include <immintrin.h>

#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {
namespace {

FB_TILE(tile1, FB_ROWS_1, FB_STEP_DOT16)
FB_TILE(tile2, FB_ROWS_2, FB_STEP_DOT16)
FB_TILE(tile3, FB_ROWS_3, FB_STEP_DOT16)
FB_TILE(tile4, FB_ROWS_4, FB_STEP_DOT16)
FB_TILE(tile5, FB_ROWS_5, FB_STEP_DOT16)
FB_TILE(tile6, FB_ROWS_6, FB_STEP_DOT16)

using TileFn = void (*)(const TileRun&, const void*, void*);
constexpr TileFn kTiles[] = {tile1, tile2, tile3, tile4, tile5, tile6};
constexpr size_t kMr = 6;
constexpr size_t kNr = 16;

}  // namespace

void u4_6x16k4__avx2(const GemmTask& task) {
  const size_t m = task.m != 0 ? task.m : kMr;
  kTiles[m - 1]({task.rows, kMr * sizeof(void*), task.taps, 0, task.depth * 4}, task.panel, task.tile);
  const __m256i low = _mm256_set1_epi32(0xffff);
  __m256i* tile = static_cast<__m256i*>(task.tile);
  for (size_t i = 0; i < m * kNr / 8; ++i) {
    const __m256i lanes = _mm256_load_si256(tile + i);
    _mm256_store_si256(tile + i, _mm256_and_si256(_mm256_add_epi32(lanes, _mm256_srli_epi32(lanes, 16)), low));
  }
  leave_ymm();
}

}  // namespace fewbins
