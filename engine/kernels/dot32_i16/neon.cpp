// SPDX-License-Identifier: Apache-2.0
// 16-bit operands on NEON: SMLAL by a lane of a row's register; LD2 takes a panel's pairs of depths apart.
// 64 bits, 8 rows x 8 columns, 8 depths (512 MACs): 8 + 4 loads and 128 SMLAL or SMLAL2, 8.75 per 32 MACs. 32 bits,
// 4 x 8, 4 depths (128 MACs): 4 + 4 loads and 32 VMLAL.
#include "kernels/tasks.h"
#include "kernels/tile_neon.h"

namespace fewbins {
namespace {

constexpr int kNr = 8;

#if defined(__aarch64__)
constexpr int kRows = 8;
using Row = int16x8_t;  // 4 pairs of depths
inline Row load_row(const int16_t* p) { return vld1q_s16(p); }
inline Row load_pair(const int16_t* p) { return vreinterpretq_s16_u8(repeat_quad(p)); }
template <int kLane>
inline void add_product(int32x4_t (&sums)[2], int16x8_t w, Row a) {
  sums[0] = vmlal_laneq_s16(sums[0], vget_low_s16(w), a, kLane);
  sums[1] = vmlal_high_laneq_s16(sums[1], w, a, kLane);
}
#else
constexpr int kRows = 4;
using Row = int16x4_t;  // 2 pairs
inline Row load_row(const int16_t* p) { return vld1_s16(p); }
inline Row load_pair(const int16_t* p) { return vreinterpret_s16_u8(vget_low_u8(repeat_quad(p))); }
template <int kLane>
inline void add_product(int32x4_t (&sums)[2], int16x8_t w, Row a) {
  sums[0] = vmlal_lane_s16(sums[0], vget_low_s16(w), a, kLane);
  sums[1] = vmlal_lane_s16(sums[1], vget_high_s16(w), a, kLane);
}
#endif
constexpr size_t kRowPairs = sizeof(Row) / 4;

template <int kPair, int kCount>
inline void add_pair(int32x4_t (&sums)[kCount][2], const Row (&a)[kCount], const int16_t* w) {
  const int16x8x2_t depths = vld2q_s16(w);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) add_product<2 * kPair>(sums[i], depths.val[0], a[i]);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) add_product<2 * kPair + 1>(sums[i], depths.val[1], a[i]);
}

template <int kCount>
void run_rows(const GemmTask& task) {
  constexpr size_t kPairElements = 2 * kNr;
  int32x4_t sums[kCount][2];
  const auto* w = static_cast<const int16_t*>(task.panel);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) sums[i][0] = sums[i][1] = vdupq_n_s32(0);
  for (size_t t = 0; t < task.taps; ++t) {
    const int16_t* rows[kCount];
    Row a[kCount];
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i)
      rows[i] = static_cast<const int16_t*>(task.rows[t * kRows + static_cast<size_t>(i)]);
    for (size_t step = task.depth / kRowPairs; step > 0; --step, w += kRowPairs * kPairElements) {
#pragma GCC unroll 8
      for (int i = 0; i < kCount; ++i) {
        a[i] = load_row(rows[i]);
        rows[i] += 2 * kRowPairs;
      }
      add_pair<0, kCount>(sums, a, w);
      add_pair<1, kCount>(sums, a, w + kPairElements);
#if defined(__aarch64__)
      add_pair<2, kCount>(sums, a, w + 2 * kPairElements);
      add_pair<3, kCount>(sums, a, w + 3 * kPairElements);
#endif
    }
    for (size_t pair = task.depth % kRowPairs; pair > 0; --pair, w += kPairElements) {
#pragma GCC unroll 8
      for (int i = 0; i < kCount; ++i) {
        a[i] = load_pair(rows[i]);
        rows[i] += 2;
      }
      add_pair<0, kCount>(sums, a, w);
    }
  }
  auto* tile = static_cast<int32_t*>(task.tile);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) {
    vst1q_s32(tile + i * kNr, sums[i][0]);
    vst1q_s32(tile + i * kNr + 4, sums[i][1]);
  }
}

}  // namespace

#if defined(__aarch64__)
void dot32_i16_8x8k2__neon(const GemmTask& task) {
  constexpr void (*kRun[])(const GemmTask&) = {run_rows<8>, run_rows<1>, run_rows<2>, run_rows<3>, run_rows<4>,
                                               run_rows<5>, run_rows<6>, run_rows<7>, run_rows<8>};
  kRun[task.m](task);
}
#else
void dot32_i16_4x8k2__neon(const GemmTask& task) {
  constexpr void (*kRun[])(const GemmTask&) = {run_rows<4>, run_rows<1>, run_rows<2>, run_rows<3>, run_rows<4>};
  kRun[task.m](task);
}
#endif

}  // namespace fewbins
