// SPDX-License-Identifier: Apache-2.0
// float32 on SSE. Per step (2 depths x 8 columns x 1 row = 16 MACs): 1 movddup load, 3 copies, 4 mulps, 4 addps; bound
// by two mulps and two addps per cycle. Each of a column's two lanes sums every other depth; haddps joins them. No
// product is fused with its addition.
#include <pmmintrin.h>

#include "kernels/tile_ssse3.h"

namespace fewbins {
namespace {

FB_TILE(1, F32)
FB_TILE(2, F32)
FB_TILE(3, F32)

}  // namespace

void f32_3x8k2__ssse3(const GemmTask& task) {
  constexpr void (*kTiles[])(const GemmTask&, void*) = {tile1, tile2, tile3};
  const size_t m = task.m != 0 ? task.m : kMr;
  alignas(16) float sums[kMr * kSums];
  kTiles[m - 1](task, sums);
  float* tile = static_cast<float*>(task.tile);
  for (size_t i = 0; i < m; ++i) {
    const float* from = sums + i * kSums;
    _mm_store_ps(tile + i * kNr, _mm_hadd_ps(_mm_load_ps(from), _mm_load_ps(from + 4)));
    _mm_store_ps(tile + i * kNr + 4, _mm_hadd_ps(_mm_load_ps(from + 8), _mm_load_ps(from + 12)));
  }
}

}  // namespace fewbins
