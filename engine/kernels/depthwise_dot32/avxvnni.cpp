// SPDX-License-Identifier: Apache-2.0
// Depthwise u8 x s8 on AVX-VNNI, exact. Per four taps and 32 channels (128 MACs): 4 loads, 8 unpacks, 4 vpdpbusd; bound
// by the unpacks in two ports. What is left below 32 channels goes in vectors of 16.
#include <immintrin.h>

#include "kernels/depthwise_dot32/quads.h"

namespace fewbins {
namespace {

/// 32 channels: in lane L (16 bytes) of accumulator r are channels 16 L + 4 r to 16 L + 4 r + 3.
struct Block32 {
  using Vector = __m256i;
  static constexpr size_t kChannels = 32;
  static Vector zero() { return _mm256_setzero_si256(); }
  static Vector load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static Vector low8(Vector a, Vector b) { return _mm256_unpacklo_epi8(a, b); }
  static Vector high8(Vector a, Vector b) { return _mm256_unpackhi_epi8(a, b); }
  static Vector low16(Vector a, Vector b) { return _mm256_unpacklo_epi16(a, b); }
  static Vector high16(Vector a, Vector b) { return _mm256_unpackhi_epi16(a, b); }
  static Vector dot(Vector sum, Vector a, const void* w) {
    return _mm256_dpbusd_avx_epi32(sum, a, _mm256_load_si256(static_cast<const __m256i*>(w)));
  }
  static void store(int32_t* out, const Vector* sums, size_t count) {
    const Vector rows[4] = {
        _mm256_permute2x128_si256(sums[0], sums[1], 0x20), _mm256_permute2x128_si256(sums[2], sums[3], 0x20),
        _mm256_permute2x128_si256(sums[0], sums[1], 0x31), _mm256_permute2x128_si256(sums[2], sums[3], 0x31)};
    const Vector numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (size_t k = 0; k < 4; ++k) {
      if (count <= 8 * k) return;
      const Vector left = _mm256_set1_epi32(static_cast<int>(count - 8 * k));
      _mm256_maskstore_epi32(out + 8 * k, _mm256_cmpgt_epi32(left, numbers), rows[k]);
    }
  }
};

/// 16 channels, in natural order.
struct Block16 {
  using Vector = __m128i;
  static constexpr size_t kChannels = 16;
  static Vector zero() { return _mm_setzero_si128(); }
  static Vector load(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
  static Vector low8(Vector a, Vector b) { return _mm_unpacklo_epi8(a, b); }
  static Vector high8(Vector a, Vector b) { return _mm_unpackhi_epi8(a, b); }
  static Vector low16(Vector a, Vector b) { return _mm_unpacklo_epi16(a, b); }
  static Vector high16(Vector a, Vector b) { return _mm_unpackhi_epi16(a, b); }
  static Vector dot(Vector sum, Vector a, const void* w) {
    return _mm_dpbusd_avx_epi32(sum, a, _mm_load_si128(static_cast<const __m128i*>(w)));
  }
  static void store(int32_t* out, const Vector* sums, size_t count) {
    const Vector numbers = _mm_setr_epi32(0, 1, 2, 3);
    for (size_t k = 0; k < 4; ++k) {
      if (count <= 4 * k) return;
      const Vector left = _mm_set1_epi32(static_cast<int>(count - 4 * k));
      _mm_maskstore_epi32(out + 4 * k, _mm_cmpgt_epi32(left, numbers), sums[k]);
    }
  }
};

template <size_t kTaps>
void sum_channels(const DepthwiseTask& task) {
  const char* w = static_cast<const char*>(task.weights);
  for (size_t c = 0; c < task.channels; c += Block32::kChannels, w += (task.taps + 3) / 4 * 4 * Block32::kChannels) {
    const size_t left = task.channels - c;
    if (left > Block16::kChannels) {
      sum_block<Block32, kTaps>(task, w, c, left < Block32::kChannels ? left : Block32::kChannels);
    } else {
      sum_block<Block16, kTaps>(task, w, c, left);
    }
  }
}

}  // namespace

void depthwise_dot32__avxvnni(const DepthwiseTask& task) {
  with_taps(task.taps, [&](auto taps) { sum_channels<decltype(taps)::kTaps>(task); });
}

}  // namespace fewbins
