// SPDX-License-Identifier: Apache-2.0
// 16 channels at a time, with what SSSE3 has; body.h says what the names do.
#pragma once

#include <tmmintrin.h>

namespace fewbins {
namespace {

struct Block16 {
  static constexpr size_t kChannels = 16;
  using Bytes = __m128i;
  static Bytes zero() { return _mm_setzero_si128(); }
  static Bytes set8(int8_t x) { return _mm_set1_epi8(x); }
  static Bytes set16(int16_t x) { return _mm_set1_epi16(x); }
  static Bytes set32(int32_t x) { return _mm_set1_epi32(x); }
  static Bytes load(const void* p) { return _mm_loadu_si128(static_cast<const Bytes*>(p)); }
  static Bytes load_aligned(const void* p) { return _mm_load_si128(static_cast<const Bytes*>(p)); }
  static void store(void* p, Bytes x) { _mm_storeu_si128(static_cast<Bytes*>(p), x); }
  static Bytes unpack_low8(Bytes a, Bytes b) { return _mm_unpacklo_epi8(a, b); }
  static Bytes unpack_high8(Bytes a, Bytes b) { return _mm_unpackhi_epi8(a, b); }
  static Bytes unpack_low16(Bytes a, Bytes b) { return _mm_unpacklo_epi16(a, b); }
  static Bytes unpack_high16(Bytes a, Bytes b) { return _mm_unpackhi_epi16(a, b); }
  static Bytes multiply(Bytes u, const void* w) { return _mm_maddubs_epi16(u, load_aligned(w)); }
  static Bytes add16(Bytes a, Bytes b) { return _mm_add_epi16(a, b); }
  static Bytes add_saturated16(Bytes a, Bytes b) { return _mm_adds_epi16(a, b); }
  static Bytes subtract32(Bytes a, Bytes b) { return _mm_sub_epi32(a, b); }
  static Bytes pack32(Bytes a, Bytes b) { return _mm_packs_epi32(a, b); }
  static Bytes pack16(Bytes a, Bytes b) { return _mm_packus_epi16(a, b); }
  static Bytes min8(Bytes a, Bytes b) { return _mm_min_epu8(a, b); }
  static Bytes max8(Bytes a, Bytes b) { return _mm_max_epu8(a, b); }
  /// rint((x + bias) * m) of floats.
  static Bytes scale(Bytes x, const float* bias, const float* m) {
    return _mm_cvtps_epi32(_mm_mul_ps(_mm_add_ps(_mm_castsi128_ps(x), _mm_load_ps(bias)), _mm_load_ps(m)));
  }
  /// Four vectors of sums, channels in natural order.
  static void store_sums(int32_t* out, const Bytes* parts) {
    for (size_t r = 0; r < 4; ++r) _mm_storeu_si128(reinterpret_cast<Bytes*>(out + 4 * r), parts[r]);
  }
};

}  // namespace
}  // namespace fewbins
