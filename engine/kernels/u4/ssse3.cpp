// SPDX-License-Identifier: Apache-2.0
// The four-bit algorithm on SSSE3. Per step (8 depths x 8 columns x 1 row = 64 MACs): 1 movddup load, 3 copies, 4
// pmaddubsw, 4 paddw; nothing is widened before the end. Bound by two pmaddubsw per cycle. A column's sum lies in four
// 16-bit lanes, which are joined modulo 2^16.
#include "kernels/tile_ssse3.h"

namespace fewbins {
namespace {

FB_TILE(1, DOT16)
FB_TILE(2, DOT16)
FB_TILE(3, DOT16)

/// The two lanes of each 32 bits, added.
inline __m128i add_lanes(const int32_t* sums) {
  const __m128i lanes = _mm_load_si128(reinterpret_cast<const __m128i*>(sums));
  return _mm_add_epi32(_mm_and_si128(lanes, _mm_set1_epi32(0xffff)), _mm_srli_epi32(lanes, 16));
}

inline void join_columns(const int32_t* sums, int32_t* tile) {
  const __m128i sum = _mm_hadd_epi32(add_lanes(sums), add_lanes(sums + 4));
  _mm_store_si128(reinterpret_cast<__m128i*>(tile), _mm_and_si128(sum, _mm_set1_epi32(0xffff)));
}

}  // namespace

void u4_3x8k8__ssse3(const GemmTask& task) {
  constexpr void (*kTiles[])(const GemmTask&, void*) = {tile1, tile2, tile3};
  const size_t m = task.m != 0 ? task.m : kMr;
  alignas(16) int32_t sums[kMr * kSums];
  kTiles[m - 1](task, sums);
  int32_t* tile = static_cast<int32_t*>(task.tile);
  for (size_t i = 0; i < m; ++i) {
    join_columns(sums + i * kSums, tile + i * kNr);
    join_columns(sums + i * kSums + 8, tile + i * kNr + 4);
  }
}

}  // namespace fewbins
