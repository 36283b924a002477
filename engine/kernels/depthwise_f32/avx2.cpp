// SPDX-License-Identifier: Apache-2.0
// Depthwise float32 on AVX2 and FMA: 4 pixels x 16 channels at a time, so that a weight is loaded once for four pixels.
// Per tap 2 weight loads and 8 vfmadd231ps with a memory operand: bound by two loads per cycle. See README.md.
#include <immintrin.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

constexpr size_t kLanes = 8;
constexpr size_t kChannels = 2 * kLanes;

/// `kPixels` pixels from `p` on, 16 channels from `c` on, of which the first `count` are stored.
template <size_t kPixels>
inline void sum_pixels(const DepthwiseTask& task, size_t width, size_t p, size_t c, size_t count) {
  const float* w = static_cast<const float*>(task.weights) + c;
  const void* const* rows = task.rows + p * task.taps;
  __m256 sums[kPixels][2];
  for (size_t i = 0; i < kPixels; ++i) sums[i][0] = sums[i][1] = _mm256_setzero_ps();
  for (size_t t = 0; t < task.taps; ++t, w += width) {
    const __m256 w0 = _mm256_load_ps(w);
    const __m256 w1 = _mm256_load_ps(w + kLanes);
    for (size_t i = 0; i < kPixels; ++i) {
      const float* a = static_cast<const float*>(rows[i * task.taps + t]) + c;
      sums[i][0] = _mm256_fmadd_ps(_mm256_loadu_ps(a), w0, sums[i][0]);
      sums[i][1] = _mm256_fmadd_ps(_mm256_loadu_ps(a + kLanes), w1, sums[i][1]);
    }
  }
  for (size_t i = 0; i < kPixels; ++i) {
    float* out = static_cast<float*>(task.out) + (p + i) * task.out_stride + c;
    if (count == kChannels) {
      _mm256_storeu_ps(out, sums[i][0]);
      _mm256_storeu_ps(out + kLanes, sums[i][1]);
    } else {
      alignas(32) float rest[kChannels];
      _mm256_store_ps(rest, sums[i][0]);
      _mm256_store_ps(rest + kLanes, sums[i][1]);
      for (size_t k = 0; k < count; ++k) out[k] = rest[k];
    }
  }
}

}  // namespace

void depthwise_f32__avx2(const DepthwiseTask& task) {
  const size_t width = (task.channels + kChannels - 1) / kChannels * kChannels;
  size_t p = 0;
  for (; p + 4 <= task.pixels; p += 4) {
    for (size_t c = 0; c < task.channels; c += kChannels) {
      sum_pixels<4>(task, width, p, c, task.channels - c < kChannels ? task.channels - c : kChannels);
    }
  }
  for (; p < task.pixels; ++p) {
    for (size_t c = 0; c < task.channels; c += kChannels) {
      sum_pixels<1>(task, width, p, c, task.channels - c < kChannels ? task.channels - c : kChannels);
    }
  }
}

}  // namespace fewbins
