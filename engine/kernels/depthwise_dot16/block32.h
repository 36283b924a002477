// SPDX-License-Identifier: Apache-2.0
// 32 channels at a time, with what AVX2 has; body.h says what the names do.
#pragma once

#include <immintrin.h>

namespace fewbins {
namespace {

struct Block32 {
  static constexpr size_t kChannels = 32;
  using Bytes = __m256i;
  static Bytes zero() { return _mm256_setzero_si256(); }
  static Bytes set8(int8_t x) { return _mm256_set1_epi8(x); }
  static Bytes set16(int16_t x) { return _mm256_set1_epi16(x); }
  static Bytes set32(int32_t x) { return _mm256_set1_epi32(x); }
  static Bytes load(const void* p) { return _mm256_loadu_si256(static_cast<const Bytes*>(p)); }
  static Bytes load_aligned(const void* p) { return _mm256_load_si256(static_cast<const Bytes*>(p)); }
  static void store(void* p, Bytes x) { _mm256_storeu_si256(static_cast<Bytes*>(p), x); }
  static Bytes unpack_low8(Bytes a, Bytes b) { return _mm256_unpacklo_epi8(a, b); }
  static Bytes unpack_high8(Bytes a, Bytes b) { return _mm256_unpackhi_epi8(a, b); }
  static Bytes unpack_low16(Bytes a, Bytes b) { return _mm256_unpacklo_epi16(a, b); }
  static Bytes unpack_high16(Bytes a, Bytes b) { return _mm256_unpackhi_epi16(a, b); }
  static Bytes multiply(Bytes u, const void* w) { return _mm256_maddubs_epi16(u, load_aligned(w)); }
  static Bytes add16(Bytes a, Bytes b) { return _mm256_add_epi16(a, b); }
  static Bytes add_saturated16(Bytes a, Bytes b) { return _mm256_adds_epi16(a, b); }
  static Bytes subtract32(Bytes a, Bytes b) { return _mm256_sub_epi32(a, b); }
  static Bytes pack32(Bytes a, Bytes b) { return _mm256_packs_epi32(a, b); }
  static Bytes pack16(Bytes a, Bytes b) { return _mm256_packus_epi16(a, b); }
  static Bytes min8(Bytes a, Bytes b) { return _mm256_min_epu8(a, b); }
  static Bytes max8(Bytes a, Bytes b) { return _mm256_max_epu8(a, b); }
  static Bytes scale(Bytes x, const float* bias, const float* m) {
    const __m256 acc = _mm256_add_ps(_mm256_castsi256_ps(x), _mm256_load_ps(bias));
    return _mm256_cvtps_epi32(_mm256_mul_ps(acc, _mm256_load_ps(m)));
  }
  static void store_sums(int32_t* out, const Bytes* parts) {
    const Bytes rows[4] = {
        _mm256_permute2x128_si256(parts[0], parts[1], 0x20), _mm256_permute2x128_si256(parts[2], parts[3], 0x20),
        _mm256_permute2x128_si256(parts[0], parts[1], 0x31), _mm256_permute2x128_si256(parts[2], parts[3], 0x31)};
    for (size_t r = 0; r < 4; ++r) _mm256_storeu_si256(reinterpret_cast<Bytes*>(out + 8 * r), rows[r]);
  }
};

}  // namespace
}  // namespace fewbins
