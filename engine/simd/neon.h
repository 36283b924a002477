// SPDX-License-Identifier: Apache-2.0
// A vector of 4 numbers on 64-bit ARM, with the names of avx2.h. Its float arithmetic is that of IEEE 754: unlike the
// 32-bit one it keeps subnormal numbers, divides, and converts in the nearest-even mode.
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace fewbins {
namespace {
namespace simd {

constexpr size_t kLanes = 4;

struct Float {
  float32x4_t v;
};
struct Int {
  int32x4_t v;
};
/// The same lanes as 64-bit numbers: the first two and the last two.
struct Wide {
  int64x2_t low;
  int64x2_t high;
};
/// 16 bytes.
struct Bytes {
  uint8x16_t v;
};
constexpr size_t kByteLanes = 16;

inline Float set(float x) { return {vdupq_n_f32(x)}; }
inline Int set(int32_t x) { return {vdupq_n_s32(x)}; }
inline Float load(const float* p) { return {vld1q_f32(p)}; }
inline Int load(const int32_t* p) { return {vld1q_s32(p)}; }
inline Float load_part(const float* p, size_t n) {
  float lanes[kLanes] = {};
  for (size_t i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
inline Int load_part(const int32_t* p, size_t n) {
  int32_t lanes[kLanes] = {};
  for (size_t i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
/// Four bytes as they lie in memory, as lanes.
inline Int widen(uint32_t bytes) {
  const uint16x8_t words = vmovl_u8(vcreate_u8(bytes));
  return {vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(words)))};
}
inline Int load_u8(const uint8_t* p) {
  uint32_t bytes;
  memcpy(&bytes, p, sizeof bytes);
  return widen(bytes);
}
inline Int load_u8_part(const uint8_t* p, size_t n) {
  uint32_t bytes = 0;
  for (size_t i = 0; i < n; ++i) bytes |= static_cast<uint32_t>(p[i]) << (8 * i);
  return widen(bytes);
}

inline void store(float* p, Float x) { vst1q_f32(p, x.v); }
inline void store(int32_t* p, Int x) { vst1q_s32(p, x.v); }
inline void store_part(float* p, Float x, size_t n) {
  float lanes[kLanes];
  store(lanes, x);
  for (size_t i = 0; i < n; ++i) p[i] = lanes[i];
}
inline void store_part(int32_t* p, Int x, size_t n) {
  int32_t lanes[kLanes];
  store(lanes, x);
  for (size_t i = 0; i < n; ++i) p[i] = lanes[i];
}
/// Lanes in 0..255, as 4 bytes of each: a's, then b's.
inline uint8x8_t narrow(Int a, Int b) {
  const uint16x8_t words = vuzp1q_u16(vreinterpretq_u16_s32(a.v), vreinterpretq_u16_s32(b.v));
  return vmovn_u16(words);
}
inline void store_u8_pair(uint8_t* p, Int a, Int b) { vst1_u8(p, narrow(a, b)); }
inline void store_u8_part(uint8_t* p, Int x, size_t n) {
  const uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(narrow(x, x)), 0);
  if (n == kLanes) {
    memcpy(p, &bytes, sizeof bytes);
    return;
  }
  uint32_t rest = bytes;
  for (size_t i = 0; i < n; ++i, rest >>= 8) p[i] = static_cast<uint8_t>(rest);
}

inline Float operator+(Float a, Float b) { return {vaddq_f32(a.v, b.v)}; }
inline Float operator*(Float a, Float b) { return {vmulq_f32(a.v, b.v)}; }
inline Float operator/(Float a, Float b) { return {vdivq_f32(a.v, b.v)}; }
/// Modulo 2^32.
inline Int operator+(Int a, Int b) { return {vaddq_s32(a.v, b.v)}; }
/// a where it compares, else b: NaN on either side gives b. FMAX and FMIN would give NaN.
inline Float max(Float a, Float b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
inline Float min(Float a, Float b) { return {vbslq_f32(vcltq_f32(a.v, b.v), a.v, b.v)}; }
inline Float to_float(Int x) { return {vcvtq_f32_s32(x.v)}; }
/// Ties to even.
inline Int round_to_int(Float x) { return {vcvtnq_s32_f32(x.v)}; }
inline Float zero_nan(Float x) {
  return {vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x.v), vceqq_f32(x.v, x.v)))};
}
/// Lanes of a where x < 0, else of b.
inline Float where_negative(Int x, Float a, Float b) { return {vbslq_f32(vcltzq_s32(x.v), a.v, b.v)}; }
inline Int where_negative(Int x, Int a, Int b) { return {vbslq_s32(vcltzq_s32(x.v), a.v, b.v)}; }
inline Float where_below_zero(Float x, Float a, Float b) { return {vbslq_f32(vcltzq_f32(x.v), a.v, b.v)}; }

inline Wide multiply(Int a, Int b) {
  return {vmull_s32(vget_low_s32(a.v), vget_low_s32(b.v)), vmull_high_s32(a.v, b.v)};
}
inline Wide operator+(Wide a, Wide b) { return {vaddq_s64(a.low, b.low), vaddq_s64(a.high, b.high)}; }

/// (x + 2^(e-1)) >> e, floor; 0 <= e <= 62, e = 0 leaves x: SRSHL with a negative count.
inline Wide round_shift(Wide x, Int e) {
  const int32x4_t count = vnegq_s32(e.v);
  return {vrshlq_s64(x.low, vmovl_s32(vget_low_s32(count))), vrshlq_s64(x.high, vmovl_high_s32(count))};
}
/// The limits fit 32 bits, so numbers may saturate there first.
inline Int clamp(Wide x, int32_t lo, int32_t hi) {
  const int32x4_t narrowed = vqmovn_high_s64(vqmovn_s64(x.low), x.high);
  return {vminq_s32(vmaxq_s32(narrowed, vdupq_n_s32(lo)), vdupq_n_s32(hi))};
}

inline Bytes load_bytes(const uint8_t* p) { return {vld1q_u8(p)}; }
inline void store_bytes(uint8_t* p, Bytes x) { vst1q_u8(p, x.v); }
inline Bytes max(Bytes a, Bytes b) { return {vmaxq_u8(a.v, b.v)}; }

}  // namespace simd
}  // namespace
}  // namespace fewbins
