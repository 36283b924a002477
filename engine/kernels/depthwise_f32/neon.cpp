// SPDX-License-Identifier: Apache-2.0
// Depthwise float32 on NEON, 64 and 32 bits: 4 pixels x 8 channels at a time, so that a weight is loaded once for four
// pixels; 8 accumulators, 2 weights and a load fit the 16 registers of ARMv7. Per tap 10 loads of 4 floats and 8
// multiply-adds: bound by the loads. See README.md.
#include <arm_neon.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

constexpr size_t kLanes = 4;
constexpr size_t kChannels = 2 * kLanes;

/// `kPixels` pixels from `p` on, 8 channels from `c` on, of which the first `count` are stored.
template <size_t kPixels>
inline void sum_pixels(const DepthwiseTask& task, size_t width, size_t p, size_t c, size_t count) {
  const float* w = static_cast<const float*>(task.weights) + c;
  const void* const* rows = task.rows + p * task.taps;
  float32x4_t sums[kPixels][2];
#pragma GCC unroll 4
  for (size_t i = 0; i < kPixels; ++i) sums[i][0] = sums[i][1] = vdupq_n_f32(0.0f);
  for (size_t t = 0; t < task.taps; ++t, w += width) {
    const float32x4_t w0 = vld1q_f32(w);
    const float32x4_t w1 = vld1q_f32(w + kLanes);
#pragma GCC unroll 4
    for (size_t i = 0; i < kPixels; ++i) {
      const float* a = static_cast<const float*>(rows[i * task.taps + t]) + c;
      sums[i][0] = vfmaq_f32(sums[i][0], vld1q_f32(a), w0);
      sums[i][1] = vfmaq_f32(sums[i][1], vld1q_f32(a + kLanes), w1);
    }
  }
#pragma GCC unroll 4
  for (size_t i = 0; i < kPixels; ++i) {
    float* out = static_cast<float*>(task.out) + (p + i) * task.out_stride + c;
    if (count == kChannels) {
      vst1q_f32(out, sums[i][0]);
      vst1q_f32(out + kLanes, sums[i][1]);
    } else {
      float rest[kChannels];
      vst1q_f32(rest, sums[i][0]);
      vst1q_f32(rest + kLanes, sums[i][1]);
      for (size_t k = 0; k < count; ++k) out[k] = rest[k];
    }
  }
}

}  // namespace

void depthwise_f32__neon(const DepthwiseTask& task) {
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
