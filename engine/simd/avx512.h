// SPDX-License-Identifier: Apache-2.0
// A vector of 16 numbers on AVX-512 F, BW, VL and DQ: the names of avx2.h, which explains them.
#pragma once

// GCC 12 takes the deliberately undefined operands inside its own intrinsics for a mistake (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#include <stddef.h>
#include <stdint.h>

namespace fewbins {
namespace {
namespace simd {

constexpr size_t kLanes = 16;

struct Float {
  __m512 v;
};
struct Int {
  __m512i v;
};
/// The same lanes as 64-bit numbers: the even ones and the odd ones.
struct Wide {
  __m512i even;
  __m512i odd;
};
/// 64 bytes.
struct Bytes {
  __m512i v;
};
constexpr size_t kByteLanes = 64;

inline __mmask16 mask_of(size_t n) { return static_cast<__mmask16>((1u << n) - 1u); }

inline Float set(float x) { return {_mm512_set1_ps(x)}; }
inline Int set(int32_t x) { return {_mm512_set1_epi32(x)}; }
inline Float load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline Int load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
inline Float load_part(const float* p, size_t n) { return {_mm512_maskz_loadu_ps(mask_of(n), p)}; }
inline Int load_part(const int32_t* p, size_t n) { return {_mm512_maskz_loadu_epi32(mask_of(n), p)}; }
inline Int load_u8(const uint8_t* p) {
  return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
inline Int load_u8_part(const uint8_t* p, size_t n) {
  return {_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask_of(n), p))};
}

inline void store(float* p, Float x) { _mm512_storeu_ps(p, x.v); }
inline void store(int32_t* p, Int x) { _mm512_storeu_si512(p, x.v); }
inline void store_part(float* p, Float x, size_t n) { _mm512_mask_storeu_ps(p, mask_of(n), x.v); }
inline void store_part(int32_t* p, Int x, size_t n) { _mm512_mask_storeu_epi32(p, mask_of(n), x.v); }
inline void store_u8_pair(uint8_t* p, Int a, Int b) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + kLanes), _mm512_cvtepi32_epi8(b.v));
}
inline void store_u8_part(uint8_t* p, Int x, size_t n) {
  _mm_mask_storeu_epi8(p, mask_of(n), _mm512_cvtepi32_epi8(x.v));
}

inline Float operator+(Float a, Float b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Float operator*(Float a, Float b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Float operator/(Float a, Float b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Int operator+(Int a, Int b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline Float max(Float a, Float b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Float min(Float a, Float b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Float to_float(Int x) { return {_mm512_cvtepi32_ps(x.v)}; }
inline Int round_to_int(Float x) { return {_mm512_cvtps_epi32(x.v)}; }
inline Float zero_nan(Float x) { return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, x.v, _CMP_ORD_Q), x.v)}; }
inline Float where_negative(Int x, Float a, Float b) {
  return {_mm512_mask_blend_ps(_mm512_movepi32_mask(x.v), b.v, a.v)};
}
inline Int where_negative(Int x, Int a, Int b) {
  return {_mm512_mask_blend_epi32(_mm512_movepi32_mask(x.v), b.v, a.v)};
}
inline Float where_below_zero(Float x, Float a, Float b) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v, _mm512_setzero_ps(), _CMP_LT_OQ), b.v, a.v)};
}

inline Wide multiply(Int a, Int b) {
  return {_mm512_mul_epi32(a.v, b.v), _mm512_mul_epi32(_mm512_srli_epi64(a.v, 32), _mm512_srli_epi64(b.v, 32))};
}
inline Wide operator+(Wide a, Wide b) { return {_mm512_add_epi64(a.even, b.even), _mm512_add_epi64(a.odd, b.odd)}; }

inline __m512i round_shift(__m512i x, __m512i e) {
  const __m512i one = _mm512_set1_epi64(1);
  const __m512i half = _mm512_sllv_epi64(one, _mm512_sub_epi64(e, one));  // a count of -1 gives 0
  return _mm512_srav_epi64(_mm512_add_epi64(x, half), e);
}
inline Wide round_shift(Wide x, Int e) {
  const __m512i low = _mm512_set1_epi64(0xffffffff);
  return {round_shift(x.even, _mm512_and_si512(e.v, low)), round_shift(x.odd, _mm512_srli_epi64(e.v, 32))};
}
inline __m512i clamp64(__m512i x, __m512i lo, __m512i hi) { return _mm512_min_epi64(_mm512_max_epi64(x, lo), hi); }
inline Int clamp(Wide x, int32_t lo, int32_t hi) {
  const __m512i low = _mm512_set1_epi64(lo);
  const __m512i high = _mm512_set1_epi64(hi);
  const __m512i odd = _mm512_slli_epi64(clamp64(x.odd, low, high), 32);
  return {_mm512_mask_blend_epi32(0xaaaa, clamp64(x.even, low, high), odd)};
}

inline Bytes load_bytes(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
inline void store_bytes(uint8_t* p, Bytes x) { _mm512_storeu_si512(p, x.v); }
inline Bytes max(Bytes a, Bytes b) { return {_mm512_max_epu8(a.v, b.v)}; }

}  // namespace simd
}  // namespace
}  // namespace fewbins
