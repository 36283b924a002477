// SPDX-License-Identifier: Apache-2.0
// A vector of 4 numbers on SSSE3, with the names of avx2.h. Rounding is cvtps2dq's; what SSE4 has and this set lacks
// (signed 32 x 32 bits, selection by sign, shifts and comparisons of 64 bits) is made of older instructions.
// Everything is in an anonymous namespace: no copy of it can be linked into code for other CPUs.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tmmintrin.h>

namespace fewbins {
namespace {
namespace simd {

constexpr size_t kLanes = 4;

struct Float {
  __m128 v;
};
struct Int {
  __m128i v;
};
/// The same lanes as 64-bit numbers: the even ones and the odd ones.
struct Wide {
  __m128i even;
  __m128i odd;
};
/// 16 bytes.
struct Bytes {
  __m128i v;
};
constexpr size_t kByteLanes = 16;

/// Bits of a where the mask is set, else of b.
inline __m128i select(__m128i mask, __m128i a, __m128i b) {
  return _mm_or_si128(_mm_and_si128(mask, a), _mm_andnot_si128(mask, b));
}

inline Float set(float x) { return {_mm_set1_ps(x)}; }
inline Int set(int32_t x) { return {_mm_set1_epi32(x)}; }
inline Float load(const float* p) { return {_mm_loadu_ps(p)}; }
inline Int load(const int32_t* p) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))}; }
inline Float load_part(const float* p, size_t n) {
  if (n == kLanes) return load(p);
  float part[kLanes] = {};
  for (size_t i = 0; i < n; ++i) part[i] = p[i];
  return load(part);
}
inline Int load_part(const int32_t* p, size_t n) {
  if (n == kLanes) return load(p);
  int32_t part[kLanes] = {};
  for (size_t i = 0; i < n; ++i) part[i] = p[i];
  return load(part);
}
/// Four bytes of a word to four lanes.
inline Int spread(uint32_t bytes) {
  const __m128i zero = _mm_setzero_si128();
  const __m128i words = _mm_unpacklo_epi8(_mm_cvtsi32_si128(static_cast<int>(bytes)), zero);
  return {_mm_unpacklo_epi16(words, zero)};
}
inline Int load_u8(const uint8_t* p) {
  uint32_t bytes;
  memcpy(&bytes, p, sizeof bytes);
  return spread(bytes);
}
inline Int load_u8_part(const uint8_t* p, size_t n) {
  uint32_t bytes = 0;
  for (size_t i = 0; i < n; ++i) bytes |= static_cast<uint32_t>(p[i]) << (8 * i);
  return spread(bytes);
}

inline void store(float* p, Float x) { _mm_storeu_ps(p, x.v); }
inline void store(int32_t* p, Int x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x.v); }
inline void store_part(float* p, Float x, size_t n) {
  float part[kLanes];
  store(part, x);
  for (size_t i = 0; i < n; ++i) p[i] = part[i];
}
inline void store_part(int32_t* p, Int x, size_t n) {
  int32_t part[kLanes];
  store(part, x);
  for (size_t i = 0; i < n; ++i) p[i] = part[i];
}
/// Lanes in 0..255, as 4 bytes of each: a's, then b's, in the low half.
inline __m128i narrow(Int a, Int b) {
  const __m128i words = _mm_packs_epi32(a.v, b.v);
  return _mm_packus_epi16(words, words);
}
inline void store_u8_pair(uint8_t* p, Int a, Int b) { _mm_storel_epi64(reinterpret_cast<__m128i*>(p), narrow(a, b)); }
inline void store_u8_part(uint8_t* p, Int x, size_t n) {
  const uint32_t bytes = static_cast<uint32_t>(_mm_cvtsi128_si32(narrow(x, x)));
  if (n == kLanes) {
    memcpy(p, &bytes, sizeof bytes);
    return;
  }
  for (size_t i = 0; i < n; ++i) p[i] = static_cast<uint8_t>(bytes >> (8 * i));
}

inline Float operator+(Float a, Float b) { return {_mm_add_ps(a.v, b.v)}; }
inline Float operator*(Float a, Float b) { return {_mm_mul_ps(a.v, b.v)}; }
inline Float operator/(Float a, Float b) { return {_mm_div_ps(a.v, b.v)}; }
/// Modulo 2^32.
inline Int operator+(Int a, Int b) { return {_mm_add_epi32(a.v, b.v)}; }
/// a where it compares, else b: NaN on either side gives b.
inline Float max(Float a, Float b) { return {_mm_max_ps(a.v, b.v)}; }
inline Float min(Float a, Float b) { return {_mm_min_ps(a.v, b.v)}; }
inline Float to_float(Int x) { return {_mm_cvtepi32_ps(x.v)}; }
/// Ties to even, in the mode that the engine's threads run in.
inline Int round_to_int(Float x) { return {_mm_cvtps_epi32(x.v)}; }
inline Float zero_nan(Float x) { return {_mm_and_ps(x.v, _mm_cmpord_ps(x.v, x.v))}; }
/// Lanes of a where x < 0, else of b.
inline Int where_negative(Int x, Int a, Int b) { return {select(_mm_srai_epi32(x.v, 31), a.v, b.v)}; }
inline Float where_negative(Int x, Float a, Float b) {
  const __m128i bits = select(_mm_srai_epi32(x.v, 31), _mm_castps_si128(a.v), _mm_castps_si128(b.v));
  return {_mm_castsi128_ps(bits)};
}
inline Float where_below_zero(Float x, Float a, Float b) {
  const __m128 mask = _mm_cmplt_ps(x.v, _mm_setzero_ps());
  return {_mm_or_ps(_mm_and_ps(mask, a.v), _mm_andnot_ps(mask, b.v))};
}

/// Signed, from the unsigned product: a negative factor's 2^32 too much is the other factor, 32 bits up.
inline Wide multiply(Int a, Int b) {
  const __m128i excess =
      _mm_add_epi32(_mm_and_si128(_mm_srai_epi32(a.v, 31), b.v), _mm_and_si128(_mm_srai_epi32(b.v, 31), a.v));
  const __m128i even = _mm_mul_epu32(a.v, b.v);
  const __m128i odd = _mm_mul_epu32(_mm_srli_epi64(a.v, 32), _mm_srli_epi64(b.v, 32));
  const __m128i upper = _mm_set1_epi64x(INT64_MIN >> 31);
  return {_mm_sub_epi64(even, _mm_slli_epi64(excess, 32)), _mm_sub_epi64(odd, _mm_and_si128(excess, upper))};
}
inline Wide operator+(Wide a, Wide b) { return {_mm_add_epi64(a.even, b.even), _mm_add_epi64(a.odd, b.odd)}; }

/// The low half of a beside the high half of b: SSE shifts both halves by one count.
inline __m128i halves(__m128i a, __m128i b) {
  return _mm_castpd_si128(_mm_move_sd(_mm_castsi128_pd(b), _mm_castsi128_pd(a)));
}
inline __m128i shift_right(__m128i x, __m128i e) {
  return halves(_mm_srl_epi64(x, e), _mm_srl_epi64(x, _mm_unpackhi_epi64(e, e)));
}
inline __m128i shift_left(__m128i x, __m128i e) {
  return halves(_mm_sll_epi64(x, e), _mm_sll_epi64(x, _mm_unpackhi_epi64(e, e)));
}
/// (x + 2^(e-1)) >> e, floor; 0 <= e <= 62, e = 0 leaves x. As on AVX2 x + 2^63 is shifted without a sign, and
/// 2^63 >> e taken off again.
inline __m128i round_shift(__m128i x, __m128i e) {
  const __m128i one = _mm_set1_epi64x(1);
  const __m128i half = shift_left(one, _mm_sub_epi64(e, one));  // a count of -1 gives 0
  const __m128i top = _mm_set1_epi64x(INT64_MIN);
  const __m128i moved = shift_right(_mm_xor_si128(_mm_add_epi64(x, half), top), e);
  return _mm_sub_epi64(moved, shift_right(top, e));
}
inline Wide round_shift(Wide x, Int e) {
  const __m128i low = _mm_set1_epi64x(0xffffffff);
  return {round_shift(x.even, _mm_and_si128(e.v, low)), round_shift(x.odd, _mm_srli_epi64(e.v, 32))};
}
/// First to what int32 holds, where the upper half is the lower one's sign, then to the ends.
inline Int clamp(Wide x, int32_t lo, int32_t hi) {
  const __m128i upper = _mm_set1_epi64x(INT64_MIN >> 31);
  const __m128i low = _mm_or_si128(_mm_andnot_si128(upper, x.even), _mm_slli_epi64(x.odd, 32));
  const __m128i high = _mm_or_si128(_mm_srli_epi64(x.even, 32), _mm_and_si128(upper, x.odd));
  const __m128i fits = _mm_cmpeq_epi32(high, _mm_srai_epi32(low, 31));
  const __m128i extreme = _mm_xor_si128(_mm_srai_epi32(high, 31), _mm_set1_epi32(INT32_MAX));
  __m128i v = select(fits, low, extreme);
  const __m128i least = _mm_set1_epi32(lo);
  const __m128i most = _mm_set1_epi32(hi);
  v = select(_mm_cmpgt_epi32(least, v), least, v);
  return {select(_mm_cmpgt_epi32(v, most), most, v)};
}

inline Bytes load_bytes(const uint8_t* p) { return {_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))}; }
inline void store_bytes(uint8_t* p, Bytes x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x.v); }
inline Bytes max(Bytes a, Bytes b) { return {_mm_max_epu8(a.v, b.v)}; }

}  // namespace simd
}  // namespace
}  // namespace fewbins
