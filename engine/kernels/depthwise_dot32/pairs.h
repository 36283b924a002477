// SPDX-License-Identifier: Apache-2.0
// Depthwise u8 x s8 on pmaddwd, for any width of vector: two taps are widened to 16 bits and interleaved, so that one
// instruction adds the products of both taps of a channel. See README.md for the order of channels inside the unpacks.
//
// Vectors: `Vector`; kChannels, the 16-bit lanes of one; zero(), widen(bytes), madd_add(sum, pairs, weights),
// low(a, b), high(a, b); store(out, low, high, count).
#pragma once

#include "kernels/tasks.h"

namespace fewbins {
namespace {

/// The channels of one vector from `c` on, `count` of them stored, of all pixels. `w` holds two vectors per pair of
/// taps. kTaps is the number of taps where it is known, so that the loop over them is unrolled, or 0.
template <class V, size_t kTaps>
void sum_pairs(const DepthwiseTask& task, const char* w, size_t c, size_t count) {
  using Vector = typename V::Vector;
  constexpr size_t kBytes = sizeof(Vector);
  const size_t taps = kTaps != 0 ? kTaps : task.taps;
  for (size_t p = 0; p < task.pixels; ++p) {
    const void* const* rows = task.rows + p * taps;
    Vector low = V::zero();
    Vector high = V::zero();
#pragma GCC unroll 13
    for (size_t t = 0; t < taps; t += 2) {
      // The weight of a missing partner is 0.
      const Vector a = V::widen(static_cast<const uint8_t*>(rows[t]) + c);
      const Vector b = t + 1 < taps ? V::widen(static_cast<const uint8_t*>(rows[t + 1]) + c) : a;
      low = V::madd_add(low, V::low(a, b), w + t * kBytes);
      high = V::madd_add(high, V::high(a, b), w + (t + 1) * kBytes);
    }
    V::store(static_cast<int32_t*>(task.out) + p * task.out_stride + c, low, high, count);
  }
}

template <class V>
void sum_all_pairs(const DepthwiseTask& task) {
  auto sum = sum_pairs<V, 0>;
  if (task.taps == 9) sum = sum_pairs<V, 9>;
  if (task.taps == 25) sum = sum_pairs<V, 25>;
  const char* w = static_cast<const char*>(task.weights);
  for (size_t c = 0; c < task.channels; c += V::kChannels, w += (task.taps + 1) / 2 * 2 * sizeof(typename V::Vector)) {
    sum(task, w, c, task.channels - c < V::kChannels ? task.channels - c : V::kChannels);
  }
}

}  // namespace
}  // namespace fewbins
