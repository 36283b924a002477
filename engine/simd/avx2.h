// SPDX-License-Identifier: Apache-2.0
// A vector of 8 numbers on AVX2. Code written against these names (kernels/elementwise/vector.h) is compiled once per
// instruction set; avx512.h has the same names for 16 numbers. `part` variants touch n < kLanes elements and no more.
// Everything is in an anonymous namespace: no copy of it can be linked into code for other CPUs.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

namespace fewbins {
namespace {
namespace simd {

constexpr size_t kLanes = 8;

struct Float {
  __m256 v;
};
struct Int {
  __m256i v;
};
/// The same lanes as 64-bit numbers: the even ones and the odd ones.
struct Wide {
  __m256i even;
  __m256i odd;
};
/// 32 bytes.
struct Bytes {
  __m256i v;
};
constexpr size_t kByteLanes = 32;

/// All ones in the first n lanes.
inline __m256i mask_of(size_t n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lane);
}

inline Float set(float x) { return {_mm256_set1_ps(x)}; }
inline Int set(int32_t x) { return {_mm256_set1_epi32(x)}; }
inline Float load(const float* p) { return {_mm256_loadu_ps(p)}; }
inline Int load(const int32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
inline Float load_part(const float* p, size_t n) { return {_mm256_maskload_ps(p, mask_of(n))}; }
inline Int load_part(const int32_t* p, size_t n) { return {_mm256_maskload_epi32(p, mask_of(n))}; }
inline Int load_u8(const uint8_t* p) {
  return {_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))};
}
inline Int load_u8_part(const uint8_t* p, size_t n) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < n; ++i) bytes |= static_cast<uint64_t>(p[i]) << (8 * i);
  return {_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(bytes)))};
}

inline void store(float* p, Float x) { _mm256_storeu_ps(p, x.v); }
inline void store(int32_t* p, Int x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.v); }
inline void store_part(float* p, Float x, size_t n) { _mm256_maskstore_ps(p, mask_of(n), x.v); }
inline void store_part(int32_t* p, Int x, size_t n) { _mm256_maskstore_epi32(p, mask_of(n), x.v); }
/// Lanes in 0..255, as 8 bytes of each: a's, then b's, in the low half.
inline __m128i narrow(Int a, Int b) {
  const __m256i words = _mm256_packus_epi32(a.v, b.v);  // a0-3 b0-3 | a4-7 b4-7
  const __m256i bytes = _mm256_packus_epi16(words, words);
  return _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5)));
}
inline void store_u8_pair(uint8_t* p, Int a, Int b) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow(a, b)); }
inline void store_u8_part(uint8_t* p, Int x, size_t n) {
  const __m128i bytes = narrow(x, x);
  if (n == kLanes) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), bytes);
    return;
  }
  uint64_t rest = static_cast<uint64_t>(_mm_cvtsi128_si64(bytes));
  for (size_t i = 0; i < n; ++i, rest >>= 8) p[i] = static_cast<uint8_t>(rest);
}

inline Float operator+(Float a, Float b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Float operator*(Float a, Float b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Float operator/(Float a, Float b) { return {_mm256_div_ps(a.v, b.v)}; }
/// Modulo 2^32.
inline Int operator+(Int a, Int b) { return {_mm256_add_epi32(a.v, b.v)}; }
/// a where it compares, else b: NaN on either side gives b.
inline Float max(Float a, Float b) { return {_mm256_max_ps(a.v, b.v)}; }
inline Float min(Float a, Float b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Float to_float(Int x) { return {_mm256_cvtepi32_ps(x.v)}; }
/// Ties to even, in the mode that the engine's threads run in.
inline Int round_to_int(Float x) { return {_mm256_cvtps_epi32(x.v)}; }
inline Float zero_nan(Float x) { return {_mm256_and_ps(x.v, _mm256_cmp_ps(x.v, x.v, _CMP_ORD_Q))}; }
/// Lanes of a where x < 0, else of b.
inline Float where_negative(Int x, Float a, Float b) { return {_mm256_blendv_ps(b.v, a.v, _mm256_castsi256_ps(x.v))}; }
inline Int where_negative(Int x, Int a, Int b) {
  return {_mm256_castps_si256(
      _mm256_blendv_ps(_mm256_castsi256_ps(b.v), _mm256_castsi256_ps(a.v), _mm256_castsi256_ps(x.v)))};
}
inline Float where_below_zero(Float x, Float a, Float b) {
  return {_mm256_blendv_ps(b.v, a.v, _mm256_cmp_ps(x.v, _mm256_setzero_ps(), _CMP_LT_OQ))};
}

inline Wide multiply(Int a, Int b) {
  return {_mm256_mul_epi32(a.v, b.v), _mm256_mul_epi32(_mm256_srli_epi64(a.v, 32), _mm256_srli_epi64(b.v, 32))};
}
inline Wide operator+(Wide a, Wide b) { return {_mm256_add_epi64(a.even, b.even), _mm256_add_epi64(a.odd, b.odd)}; }

/// (x + 2^(e-1)) >> e, floor; 0 <= e <= 62, e = 0 leaves x. AVX2 shifts 64 bits right only without a sign: x + 2^63 is
/// shifted instead, and 2^63 >> e taken off again.
inline __m256i round_shift(__m256i x, __m256i e) {
  const __m256i one = _mm256_set1_epi64x(1);
  const __m256i half = _mm256_sllv_epi64(one, _mm256_sub_epi64(e, one));  // a count of -1 gives 0
  const __m256i top = _mm256_set1_epi64x(INT64_MIN);
  const __m256i moved = _mm256_srlv_epi64(_mm256_xor_si256(_mm256_add_epi64(x, half), top), e);
  return _mm256_sub_epi64(moved, _mm256_srlv_epi64(top, e));
}
inline Wide round_shift(Wide x, Int e) {
  const __m256i low = _mm256_set1_epi64x(0xffffffff);
  return {round_shift(x.even, _mm256_and_si256(e.v, low)), round_shift(x.odd, _mm256_srli_epi64(e.v, 32))};
}
inline __m256i clamp64(__m256i x, __m256i lo, __m256i hi) {
  const __m256i low = _mm256_blendv_epi8(x, lo, _mm256_cmpgt_epi64(lo, x));
  return _mm256_blendv_epi8(low, hi, _mm256_cmpgt_epi64(low, hi));
}
inline Int clamp(Wide x, int32_t lo, int32_t hi) {
  const __m256i low = _mm256_set1_epi64x(lo);
  const __m256i high = _mm256_set1_epi64x(hi);
  const __m256i odd = _mm256_slli_epi64(clamp64(x.odd, low, high), 32);
  return {_mm256_blend_epi32(clamp64(x.even, low, high), odd, 0xaa)};
}

inline Bytes load_bytes(const uint8_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
inline void store_bytes(uint8_t* p, Bytes x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.v); }
inline Bytes max(Bytes a, Bytes b) { return {_mm256_max_epu8(a.v, b.v)}; }

}  // namespace simd
}  // namespace
}  // namespace fewbins
