// SPDX-License-Identifier: Apache-2.0
// Depthwise u8 x s8 on AVX-512 VNNI, exact: four taps of 64 channels are interleaved byte by byte, so that vpdpbusd
// adds four taps of a channel. Per four taps and 64 channels (256 MACs): 4 loads, 8 unpacks, 4 vpdpbusd; bound by the
// unpacks in two ports. What is left below 64 channels goes in vectors of 16 or 32. See README.md for the order of
// channels. GCC 12 takes the deliberately undefined operands inside its own intrinsics for a mistake (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "kernels/depthwise_dot32/quads.h"

namespace fewbins {
namespace {

/// 64 channels: in lane L (16 bytes) of accumulator r are channels 16 L + 4 r to 16 L + 4 r + 3.
struct Block64 {
  using Vector = __m512i;
  static constexpr size_t kChannels = 64;
  static Vector zero() { return _mm512_setzero_si512(); }
  static Vector load(const void* p) { return _mm512_loadu_si512(p); }
  static Vector low8(Vector a, Vector b) { return _mm512_unpacklo_epi8(a, b); }
  static Vector high8(Vector a, Vector b) { return _mm512_unpackhi_epi8(a, b); }
  static Vector low16(Vector a, Vector b) { return _mm512_unpacklo_epi16(a, b); }
  static Vector high16(Vector a, Vector b) { return _mm512_unpackhi_epi16(a, b); }
  static Vector dot(Vector sum, Vector a, const void* w) { return _mm512_dpbusd_epi32(sum, a, _mm512_load_si512(w)); }
  /// Transposes lanes and accumulators.
  static void store(int32_t* out, const Vector* sums, size_t count) {
    const Vector low01 = _mm512_shuffle_i32x4(sums[0], sums[1], 0x44);
    const Vector high01 = _mm512_shuffle_i32x4(sums[0], sums[1], 0xee);
    const Vector low23 = _mm512_shuffle_i32x4(sums[2], sums[3], 0x44);
    const Vector high23 = _mm512_shuffle_i32x4(sums[2], sums[3], 0xee);
    const Vector rows[4] = {_mm512_shuffle_i32x4(low01, low23, 0x88), _mm512_shuffle_i32x4(low01, low23, 0xdd),
                            _mm512_shuffle_i32x4(high01, high23, 0x88), _mm512_shuffle_i32x4(high01, high23, 0xdd)};
    for (size_t k = 0; k < 4; ++k) {
      if (count >= 16 * (k + 1)) {
        _mm512_storeu_si512(out + 16 * k, rows[k]);
      } else if (count > 16 * k) {
        const __mmask16 mask = static_cast<__mmask16>((1u << (count - 16 * k)) - 1u);
        _mm512_mask_storeu_epi32(out + 16 * k, mask, rows[k]);
      }
    }
  }
};

/// 32 channels, in the same order with two lanes.
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
    return _mm256_dpbusd_epi32(sum, a, _mm256_load_si256(static_cast<const __m256i*>(w)));
  }
  static void store(int32_t* out, const Vector* sums, size_t count) {
    const Vector rows[4] = {
        _mm256_permute2x128_si256(sums[0], sums[1], 0x20), _mm256_permute2x128_si256(sums[2], sums[3], 0x20),
        _mm256_permute2x128_si256(sums[0], sums[1], 0x31), _mm256_permute2x128_si256(sums[2], sums[3], 0x31)};
    for (size_t k = 0; k < 4; ++k) {
      if (count <= 8 * k) return;
      const size_t left = count - 8 * k;
      const __mmask8 mask = left >= 8 ? static_cast<__mmask8>(0xff) : static_cast<__mmask8>((1u << left) - 1u);
      _mm256_mask_storeu_epi32(out + 8 * k, mask, rows[k]);
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
    return _mm_dpbusd_epi32(sum, a, _mm_load_si128(static_cast<const __m128i*>(w)));
  }
  static void store(int32_t* out, const Vector* sums, size_t count) {
    for (size_t k = 0; k < 4; ++k) {
      if (count <= 4 * k) return;
      const size_t left = count - 4 * k;
      const __mmask8 mask = left >= 4 ? static_cast<__mmask8>(0x0f) : static_cast<__mmask8>((1u << left) - 1u);
      _mm_mask_storeu_epi32(out + 4 * k, mask, sums[k]);
    }
  }
};

template <size_t kTaps>
void sum_channels(const DepthwiseTask& task) {
  const size_t groups = (task.taps + 3) / 4;
  const char* w = static_cast<const char*>(task.weights);
  for (size_t c = 0; c < task.channels; c += Block64::kChannels, w += groups * 4 * Block64::kChannels) {
    const size_t left = task.channels - c;
    if (left > Block32::kChannels) {
      sum_block<Block64, kTaps>(task, w, c, left < Block64::kChannels ? left : Block64::kChannels);
    } else if (left > Block16::kChannels) {
      sum_block<Block32, kTaps>(task, w, c, left);
    } else {
      sum_block<Block16, kTaps>(task, w, c, left);
    }
  }
}

}  // namespace

void depthwise_dot32__avx512vnni(const DepthwiseTask& task) {
  with_taps(task.taps, [&](auto taps) { sum_channels<decltype(taps)::kTaps>(task); });
}

}  // namespace fewbins
