// SPDX-License-Identifier: Apache-2.0
// What few_rows.h needs on NEON.
#pragma once

#include "kernels/few_rows.h"
#include "kernels/tile_neon.h"

namespace fewbins {
namespace {

/// q = u - 128 as signed bytes: NEON multiplies no unsigned by signed ones. What lies behind the channels counts as 0.
struct SignedRow {
  alignas(16) int8_t q[kChunk];
  template <class V = void>
  uint32_t fill(const uint8_t* from, size_t count) {
    size_t k = 0;
    for (; k + 16 <= count; k += 16) vst1q_s8(q + k, centred(vld1q_u8(from + k)));
    for (; k < count; ++k) q[k] = static_cast<int8_t>(from[k] - 128);
    for (; count % 8 != 0; ++count) q[count] = 0;
    return 0;
  }
};

/// 4 columns a part, 4 depths of each in a register.
struct Neon {
  using Vector = int32x4_t;
  using Row = SignedRow;
  static constexpr size_t kColumns = 4;
  static constexpr size_t kMostRows = 2;
  static int8x16_t bytes(Vector x) { return vreinterpretq_s8_s32(x); }
  static Vector load(const void* p) { return vld1q_s32(static_cast<const int32_t*>(p)); }
  static void store(int32_t* p, Vector x) { vst1q_s32(p, x); }
  static Vector set8(int8_t x) { return vreinterpretq_s32_s8(vdupq_n_s8(x)); }
  static Vector set32(int32_t x) { return vdupq_n_s32(x); }
  static Vector add32(Vector a, Vector b) { return vaddq_s32(a, b); }
  static Vector both(Vector a, Vector b) { return vandq_s32(a, b); }
  static Vector shift_right4(Vector x) { return vreinterpretq_s32_u8(vshrq_n_u8(vreinterpretq_u8_s32(x), 4)); }
  static Vector look_up(Vector table, Vector index) {
#if defined(__aarch64__)
    return vreinterpretq_s32_s8(vqtbl1q_s8(bytes(table), vreinterpretq_u8_s32(index)));
#else
    const int8x8x2_t halves = {{vget_low_s8(bytes(table)), vget_high_s8(bytes(table))}};
    return vreinterpretq_s32_s8(
        vcombine_s8(vtbl2_s8(halves, vget_low_s8(bytes(index))), vtbl2_s8(halves, vget_high_s8(bytes(index)))));
#endif
  }
  static int8x16_t quad(const int8_t* q) {
    int32_t four;
    memcpy(&four, q, sizeof four);
    return bytes(vdupq_n_s32(four));
  }
  /// Neighbouring products meet in 16 bits: 2 * 128 * 127 fits, which is why weights are -127..127.
  static Vector dot(Vector sum, const Row& row, size_t d, Vector w) {
    const int8x16_t a = quad(row.q + d);
    return vpadalq_s16(sum, add_pairs(vmull_s8(vget_low_s8(a), vget_low_s8(bytes(w))), multiply_high(a, bytes(w))));
  }
  static int16x8_t add_pairs(int16x8_t a, int16x8_t b) {
#if defined(__aarch64__)
    return vpaddq_s16(a, b);
#else
    return vcombine_s16(vpadd_s16(vget_low_s16(a), vget_high_s16(a)), vpadd_s16(vget_low_s16(b), vget_high_s16(b)));
#endif
  }
};

}  // namespace
}  // namespace fewbins
