// SPDX-License-Identifier: Apache-2.0
// What the NEON tile kernels share: loads of rows whose taps end anywhere, and the names that 32-bit ARM lacks.
#pragma once

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace fewbins {
namespace {

/// `quads` (1 to 3) times 4 bytes and zeros behind: a row may be read no further than its last quad.
inline uint8x16_t load_quads(const uint8_t* p, size_t quads) {
  uint32_t words[4] = {};
  for (size_t i = 0; i < quads; ++i) memcpy(&words[i], p + 4 * i, 4);
  return vreinterpretq_u8_u32(vld1q_u32(words));
}

/// 4 bytes, four times.
inline uint8x16_t repeat_quad(const void* p) {
  uint32_t word;
  memcpy(&word, p, sizeof word);
  return vreinterpretq_u8_u32(vdupq_n_u32(word));
}

/// u - 128 as a signed byte.
inline int8x16_t centred(uint8x16_t u) { return vreinterpretq_s8_u8(veorq_u8(u, vdupq_n_u8(0x80))); }

#if defined(__aarch64__)

inline int16x8_t multiply_high(int8x16_t a, int8x16_t b) { return vmull_high_s8(a, b); }
inline int16x8_t add_product_high(int16x8_t sum, int8x16_t a, int8x16_t b) { return vmlal_high_s8(sum, a, b); }
/// {sum of a, sum of b, sum of c, sum of d}
inline int32x4_t sums_of(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d) {
  return vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
}

#else

inline int16x8_t multiply_high(int8x16_t a, int8x16_t b) { return vmull_s8(vget_high_s8(a), vget_high_s8(b)); }
inline int16x8_t add_product_high(int16x8_t sum, int8x16_t a, int8x16_t b) {
  return vmlal_s8(sum, vget_high_s8(a), vget_high_s8(b));
}
inline int32x2_t halved(int32x4_t x) { return vadd_s32(vget_low_s32(x), vget_high_s32(x)); }
inline int32x4_t sums_of(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d) {
  return vcombine_s32(vpadd_s32(halved(a), halved(b)), vpadd_s32(halved(c), halved(d)));
}

#endif

}  // namespace
}  // namespace fewbins
