// SPDX-License-Identifier: Apache-2.0
// Depthwise u8 x s8 on NEON, 64 and 32 bits, exact for every operand: bytes are widened to 16 bits and multiplied into
// 32. Lanes stay channels, so nothing is interleaved. Per tap, pixel and 16 channels: 1 load, 2 UXTL, 4 SMLAL; bound by
// the multiplications. Several pixels share the widening of the weights: as many as the registers hold. See README.md.
#include <arm_neon.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

constexpr size_t kChannels = 16;
#if defined(__aarch64__)
constexpr size_t kPixelsAtOnce = 4;
#else
constexpr size_t kPixelsAtOnce = 1;
#endif

inline void add_products(int32x4_t* sums, uint8x16_t a, int16x8_t w_low, int16x8_t w_high) {
  const int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(a)));
  const int16x8_t high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(a)));
  sums[0] = vmlal_s16(sums[0], vget_low_s16(low), vget_low_s16(w_low));
  sums[1] = vmlal_s16(sums[1], vget_high_s16(low), vget_high_s16(w_low));
  sums[2] = vmlal_s16(sums[2], vget_low_s16(high), vget_low_s16(w_high));
  sums[3] = vmlal_s16(sums[3], vget_high_s16(high), vget_high_s16(w_high));
}

/// `kPixels` pixels from `p` on, 16 channels from `c` on, of which the first `count` are stored.
template <size_t kPixels>
inline void sum_pixels(const DepthwiseTask& task, size_t width, size_t p, size_t c, size_t count) {
  const int8_t* w = static_cast<const int8_t*>(task.weights) + c;
  const void* const* rows = task.rows + p * task.taps;
  int32x4_t sums[kPixels][4];
#pragma GCC unroll 4
  for (size_t i = 0; i < kPixels; ++i) {
    for (size_t k = 0; k < 4; ++k) sums[i][k] = vdupq_n_s32(0);
  }
  for (size_t t = 0; t < task.taps; ++t, w += width) {
    const int8x16_t weights = vld1q_s8(w);
    const int16x8_t w_low = vmovl_s8(vget_low_s8(weights));
    const int16x8_t w_high = vmovl_s8(vget_high_s8(weights));
#pragma GCC unroll 4
    for (size_t i = 0; i < kPixels; ++i) {
      add_products(sums[i], vld1q_u8(static_cast<const uint8_t*>(rows[i * task.taps + t]) + c), w_low, w_high);
    }
  }
#pragma GCC unroll 4
  for (size_t i = 0; i < kPixels; ++i) {
    int32_t* out = static_cast<int32_t*>(task.out) + (p + i) * task.out_stride + c;
    int32_t rest[kChannels];
    int32_t* to = count == kChannels ? out : rest;
    for (size_t k = 0; k < 4; ++k) vst1q_s32(to + 4 * k, sums[i][k]);
    for (size_t k = 0; to == rest && k < count; ++k) out[k] = rest[k];
  }
}

}  // namespace

void depthwise_dot32__neon(const DepthwiseTask& task) {
  const size_t width = (task.channels + kChannels - 1) / kChannels * kChannels;
  size_t p = 0;
  for (; p + kPixelsAtOnce <= task.pixels; p += kPixelsAtOnce) {
    for (size_t c = 0; c < task.channels; c += kChannels) {
      sum_pixels<kPixelsAtOnce>(task, width, p, c, task.channels - c < kChannels ? task.channels - c : kChannels);
    }
  }
  for (; p < task.pixels; ++p) {
    for (size_t c = 0; c < task.channels; c += kChannels) {
      sum_pixels<1>(task, width, p, c, task.channels - c < kChannels ? task.channels - c : kChannels);
    }
  }
}

}  // namespace fewbins
