// SPDX-License-Identifier: Apache-2.0
// 16-bit depthwise sums on NEON, 64 and 32 bits: lanes are channels, so nothing is interleaved. NEON multiplies no
// unsigned by signed bytes, so u - 128 takes the place of u; the starts of the lanes have what that lacks, modulo 2^16.
// Per tap, pixel and 16 channels (16 MACs): 1 load, 1 EOR, 1 SMLAL, 1 SMLAL2; the exact 8-bit row needs 7. Four pixels
// share a load of weights: 8 accumulators, which leaves registers to spare even on ARMv7. See README.md.
#include <arm_neon.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

constexpr size_t kChannels = 16;

/// `kPixels` pixels from `p` on, 16 channels from `c` on, of which the first `count` are stored.
template <size_t kPixels>
inline void sum_pixels(const DepthwiseTask& task, size_t width, size_t p, size_t c, size_t count) {
  const auto* starts = static_cast<const int16_t*>(task.weights) + c;
  const auto* w = reinterpret_cast<const int8_t*>(static_cast<const int16_t*>(task.weights) + width) + c;
  const void* const* rows = task.rows + p * task.taps;
  int16x8_t low[kPixels];
  int16x8_t high[kPixels];
#pragma GCC unroll 4
  for (size_t i = 0; i < kPixels; ++i) {
    low[i] = vld1q_s16(starts);
    high[i] = vld1q_s16(starts + 8);
  }
  for (size_t t = 0; t < task.taps; ++t, w += width) {
    const int8x16_t weights = vld1q_s8(w);
#pragma GCC unroll 4
    for (size_t i = 0; i < kPixels; ++i) {
      const uint8x16_t u = vld1q_u8(static_cast<const uint8_t*>(rows[i * task.taps + t]) + c);
      const int8x16_t a = vreinterpretq_s8_u8(veorq_u8(u, vdupq_n_u8(0x80)));
      low[i] = vmlal_s8(low[i], vget_low_s8(a), vget_low_s8(weights));
      high[i] = vmlal_s8(high[i], vget_high_s8(a), vget_high_s8(weights));
    }
  }
#pragma GCC unroll 4
  for (size_t i = 0; i < kPixels; ++i) {
    int32_t* out = static_cast<int32_t*>(task.out) + (p + i) * task.out_stride + c;
    int32_t rest[kChannels];
    int32_t* to = count == kChannels ? out : rest;
    vst1q_s32(to, vmovl_s16(vget_low_s16(low[i])));
    vst1q_s32(to + 4, vmovl_s16(vget_high_s16(low[i])));
    vst1q_s32(to + 8, vmovl_s16(vget_low_s16(high[i])));
    vst1q_s32(to + 12, vmovl_s16(vget_high_s16(high[i])));
    for (size_t k = 0; to == rest && k < count; ++k) out[k] = rest[k];
  }
}

}  // namespace

void depthwise_dot16__neon(const DepthwiseTask& task) {
  const size_t width = (task.channels + kChannels - 1) / kChannels * kChannels;
  size_t p = 0;
  for (; p + 4 <= task.pixels; p += 4) {
    for (size_t c = 0; c < task.channels; c += kChannels) {
      sum_pixels<4>(task, width, p, c, task.channels - c < kChannels ? task.channels - c : kChannels);
    }
  }
  for (; p < task.pixels; ++p) {
    for (size_t c = 0; c < task.channels; c += kChannels) {
      sum_pixels<1>(task, width, p, c, task.channels - c < kChannels ? task.channels - c : kChannels);
    }
  }
}

}  // namespace fewbins
