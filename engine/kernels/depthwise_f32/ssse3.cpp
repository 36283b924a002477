// SPDX-License-Identifier: Apache-2.0
// Depthwise float32 on SSE: 4 pixels x 8 channels at a time, so that a weight is loaded once for four pixels. Per tap 2
// weight loads, 8 loads of pixels, 8 mulps and 8 addps: bound by two loads per cycle. No product is fused with its
// addition.
#include <emmintrin.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

constexpr size_t kLanes = 4;
constexpr size_t kChannels = 2 * kLanes;

/// `kPixels` pixels from `p` on, 8 channels from `c` on, of which the first `count` are stored.
template <size_t kPixels>
inline void sum_pixels(const DepthwiseTask& task, size_t width, size_t p, size_t c, size_t count) {
  const float* w = static_cast<const float*>(task.weights) + c;
  const void* const* rows = task.rows + p * task.taps;
  __m128 sums[kPixels][2];
  for (size_t i = 0; i < kPixels; ++i) sums[i][0] = sums[i][1] = _mm_setzero_ps();
  for (size_t t = 0; t < task.taps; ++t, w += width) {
    const __m128 w0 = _mm_load_ps(w);
    const __m128 w1 = _mm_load_ps(w + kLanes);
    for (size_t i = 0; i < kPixels; ++i) {
      const float* a = static_cast<const float*>(rows[i * task.taps + t]) + c;
      sums[i][0] = _mm_add_ps(sums[i][0], _mm_mul_ps(_mm_loadu_ps(a), w0));
      sums[i][1] = _mm_add_ps(sums[i][1], _mm_mul_ps(_mm_loadu_ps(a + kLanes), w1));
    }
  }
  for (size_t i = 0; i < kPixels; ++i) {
    float* out = static_cast<float*>(task.out) + (p + i) * task.out_stride + c;
    if (count == kChannels) {
      _mm_storeu_ps(out, sums[i][0]);
      _mm_storeu_ps(out + kLanes, sums[i][1]);
    } else {
      alignas(16) float rest[kChannels];
      _mm_store_ps(rest, sums[i][0]);
      _mm_store_ps(rest + kLanes, sums[i][1]);
      for (size_t k = 0; k < count; ++k) out[k] = rest[k];
    }
  }
}

template <size_t kPixels>
inline void sum_channels(const DepthwiseTask& task, size_t p) {
  const size_t width = (task.channels + kChannels - 1) / kChannels * kChannels;
  for (size_t c = 0; c < task.channels; c += kChannels) {
    sum_pixels<kPixels>(task, width, p, c, task.channels - c < kChannels ? task.channels - c : kChannels);
  }
}

}  // namespace

void depthwise_f32__ssse3(const DepthwiseTask& task) {
  size_t p = 0;
  for (; p + 4 <= task.pixels; p += 4) sum_channels<4>(task, p);
  for (; p < task.pixels; ++p) sum_channels<1>(task, p);
}

}  // namespace fewbins
