// SPDX-License-Identifier: Apache-2.0
// Float products on NEON. A row's next 4 depths are one register, multiplied lane by lane with the columns of a depth.
// 64 bits, 8 rows x 8 columns, 4 depths (256 MACs): 16 loads and 64 FMLA, 10 per 32 MACs. 32 bits, 4 x 8 (128 MACs):
// 12 loads and 32 VMLA, 11 per 32; there NEON has no fused multiplication by a lane, and subnormal numbers become 0.
#include "kernels/tasks.h"
#include "kernels/tile_neon.h"

namespace fewbins {
namespace {

constexpr int kNr = 8;

#if defined(__aarch64__)
constexpr int kRows = 8;
template <int kLane>
inline float32x4_t add_product(float32x4_t sum, float32x4_t w, float32x4_t a) {
  return vfmaq_laneq_f32(sum, w, a, kLane);
}
#else
constexpr int kRows = 4;
template <int kLane>
inline float32x4_t add_product(float32x4_t sum, float32x4_t w, float32x4_t a) {
  return vmlaq_lane_f32(sum, w, kLane < 2 ? vget_low_f32(a) : vget_high_f32(a), kLane % 2);
}
#endif

template <int kCount>
using Sums = float32x4_t[kCount][2];

template <int kLane, int kCount>
inline void add_depth(Sums<kCount>& sums, const float32x4_t (&a)[kCount], const float* w) {
  const float32x4_t left = vld1q_f32(w);
  const float32x4_t right = vld1q_f32(w + 4);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) {
    sums[i][0] = add_product<kLane>(sums[i][0], left, a[i]);
    sums[i][1] = add_product<kLane>(sums[i][1], right, a[i]);
  }
}

template <int kCount>
void run_rows(const GemmTask& task) {
  Sums<kCount> sums;
  const auto* w = static_cast<const float*>(task.panel);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) sums[i][0] = sums[i][1] = vdupq_n_f32(0.0f);
  for (size_t t = 0; t < task.taps; ++t) {
    const float* rows[kCount];
    float32x4_t a[kCount];
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) rows[i] = static_cast<const float*>(task.rows[t * kRows + static_cast<size_t>(i)]);
    for (size_t step = task.depth / 4; step > 0; --step, w += 4 * kNr) {
#pragma GCC unroll 8
      for (int i = 0; i < kCount; ++i) {
        a[i] = vld1q_f32(rows[i]);
        rows[i] += 4;
      }
      add_depth<0, kCount>(sums, a, w);
      add_depth<1, kCount>(sums, a, w + kNr);
      add_depth<2, kCount>(sums, a, w + 2 * kNr);
      add_depth<3, kCount>(sums, a, w + 3 * kNr);
    }
    for (size_t k = task.depth % 4; k > 0; --k, w += kNr) {
#pragma GCC unroll 8
      for (int i = 0; i < kCount; ++i) a[i] = vld1q_dup_f32(rows[i]++);
      add_depth<0, kCount>(sums, a, w);
    }
  }
  auto* tile = static_cast<float*>(task.tile);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) {
    vst1q_f32(tile + i * kNr, sums[i][0]);
    vst1q_f32(tile + i * kNr + 4, sums[i][1]);
  }
}

}  // namespace

#if defined(__aarch64__)
void f32_8x8k1__neon(const GemmTask& task) {
  constexpr void (*kRun[])(const GemmTask&) = {run_rows<8>, run_rows<1>, run_rows<2>, run_rows<3>, run_rows<4>,
                                               run_rows<5>, run_rows<6>, run_rows<7>, run_rows<8>};
  kRun[task.m](task);
}
#else
void f32_4x8k1__neon(const GemmTask& task) {
  constexpr void (*kRun[])(const GemmTask&) = {run_rows<4>, run_rows<1>, run_rows<2>, run_rows<3>, run_rows<4>};
  kRun[task.m](task);
}
#endif

}  // namespace fewbins
