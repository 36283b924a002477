// SPDX-License-Identifier: Apache-2.0
// Depthwise float32 on AVX-512: 4 pixels x 16 channels at a time. Per tap 1 weight load and 4 vfmadd231ps with a memory
// operand: bound by two loads per cycle. See README.md.
// GCC 12 takes the deliberately undefined operands inside its own intrinsics for a mistake (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

constexpr size_t kLanes = 16;

/// `kPixels` pixels from `p` on, 16 channels from `c` on, of which those in `mask` are stored.
template <size_t kPixels>
inline void sum_pixels(const DepthwiseTask& task, size_t width, size_t p, size_t c, __mmask16 mask) {
  const float* w = static_cast<const float*>(task.weights) + c;
  const void* const* rows = task.rows + p * task.taps;
  __m512 sums[kPixels];
  for (size_t i = 0; i < kPixels; ++i) sums[i] = _mm512_setzero_ps();
  for (size_t t = 0; t < task.taps; ++t, w += width) {
    const __m512 weight = _mm512_load_ps(w);
    for (size_t i = 0; i < kPixels; ++i) {
      const float* a = static_cast<const float*>(rows[i * task.taps + t]) + c;
      sums[i] = _mm512_fmadd_ps(_mm512_loadu_ps(a), weight, sums[i]);
    }
  }
  for (size_t i = 0; i < kPixels; ++i) {
    _mm512_mask_storeu_ps(static_cast<float*>(task.out) + (p + i) * task.out_stride + c, mask, sums[i]);
  }
}

inline __mmask16 mask_of(size_t left) {
  return left >= kLanes ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << left) - 1u);
}

}  // namespace

void depthwise_f32__avx512bw(const DepthwiseTask& task) {
  const size_t width = (task.channels + kLanes - 1) / kLanes * kLanes;
  size_t p = 0;
  for (; p + 4 <= task.pixels; p += 4) {
    for (size_t c = 0; c < task.channels; c += kLanes) {
      sum_pixels<4>(task, width, p, c, mask_of(task.channels - c));
    }
  }
  for (; p < task.pixels; ++p) {
    for (size_t c = 0; c < task.channels; c += kLanes) {
      sum_pixels<1>(task, width, p, c, mask_of(task.channels - c));
    }
  }
}

}  // namespace fewbins
