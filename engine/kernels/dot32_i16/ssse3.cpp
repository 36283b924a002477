// SPDX-License-Identifier: Apache-2.0
// int16 x int16 on SSSE3. Per step (4 depths x 8 columns x 1 row = 32 MACs): 1 movddup load, 3 copies, 4 pmaddwd, 4
// paddd, which wrap modulo 2^32. Bound by two pmaddwd per cycle. phaddd joins a column's two lanes at the end.
#include "kernels/tile_ssse3.h"

namespace fewbins {
namespace {

FB_TILE(1, DOT32)
FB_TILE(2, DOT32)
FB_TILE(3, DOT32)

}  // namespace

void dot32_i16_3x8k4__ssse3(const GemmTask& task) {
  constexpr void (*kTiles[])(const GemmTask&, void*) = {tile1, tile2, tile3};
  const size_t m = task.m != 0 ? task.m : kMr;
  alignas(16) int32_t sums[kMr * kSums];
  kTiles[m - 1](task, sums);
  join_lanes(sums, m, static_cast<int32_t*>(task.tile));
}

}  // namespace fewbins
