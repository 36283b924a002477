// SPDX-License-Identifier: Apache-2.0
// Depthwise u8 x s8 on vpdpbusd, for any width of vector: four taps are interleaved byte by byte, so that one
// instruction adds four taps of a channel. See README.md for the order of channels.
//
// Blocks: `Vector`; kChannels, the bytes of one; zero(), load(p), low8, high8, low16, high16: the unpacks,
// dot(sum, bytes, weights); store(out, four sums, count).
#pragma once

#include "kernels/tasks.h"

namespace fewbins {
namespace {

/// Adds the products of the four taps from t on. Taps past the end have weight 0 and repeat the first.
template <class Block>
inline void add_quad(typename Block::Vector* sums, const void* const* rows, size_t t, size_t taps, size_t c,
                     const char* w) {
  using Vector = typename Block::Vector;
  Vector a[4];
  for (size_t i = 0; i < 4; ++i) a[i] = Block::load(static_cast<const uint8_t*>(rows[t + i < taps ? t + i : t]) + c);
  const Vector low01 = Block::low8(a[0], a[1]);
  const Vector high01 = Block::high8(a[0], a[1]);
  const Vector low23 = Block::low8(a[2], a[3]);
  const Vector high23 = Block::high8(a[2], a[3]);
  sums[0] = Block::dot(sums[0], Block::low16(low01, low23), w);
  sums[1] = Block::dot(sums[1], Block::high16(low01, low23), w + sizeof(Vector));
  sums[2] = Block::dot(sums[2], Block::low16(high01, high23), w + 2 * sizeof(Vector));
  sums[3] = Block::dot(sums[3], Block::high16(high01, high23), w + 3 * sizeof(Vector));
}

/// The channels of one block, `count` of them stored, of all pixels. kTaps is the number of taps where it is known, so
/// that the loop over them is unrolled, or 0.
template <class Block, size_t kTaps>
void sum_block(const DepthwiseTask& task, const char* weights, size_t c, size_t count) {
  using Vector = typename Block::Vector;
  const size_t taps = kTaps != 0 ? kTaps : task.taps;
  for (size_t p = 0; p < task.pixels; ++p) {
    const void* const* rows = task.rows + p * taps;
    Vector sums[4] = {Block::zero(), Block::zero(), Block::zero(), Block::zero()};
#pragma GCC unroll 7
    for (size_t t = 0; t < taps; t += 4) add_quad<Block>(sums, rows, t, taps, c, weights + t * sizeof(Vector));
    Block::store(static_cast<int32_t*>(task.out) + p * task.out_stride + c, sums, count);
  }
}

/// Calls sum(number of taps known to the compiler or 0), a struct that holds it as kTaps.
template <size_t kTapsKnown>
struct Taps {
  static constexpr size_t kTaps = kTapsKnown;
};
template <class Sum>
void with_taps(size_t taps, Sum sum) {
  if (taps == 9) {
    sum(Taps<9>());
  } else if (taps == 25) {
    sum(Taps<25>());
  } else {
    sum(Taps<0>());
  }
}

}  // namespace
}  // namespace fewbins
