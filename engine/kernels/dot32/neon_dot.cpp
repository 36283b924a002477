// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit products with SDOT: four products of signed bytes added to a 32-bit lane. u - 128 takes the place of u,
// and a column starts at 128 * sum(w). A row's next four quads are one register, of which SDOT takes a quad.
// A step of 16 depths of 8 rows and 8 columns (1024 MACs): 16 loads, 8 EOR, 64 SDOT, 88 instructions: 2.75 per 32 MACs.
#include "kernels/tasks.h"
#include "kernels/tile_neon.h"

namespace fewbins {
namespace {

constexpr int kRows = 8;
constexpr int kNr = 8;

template <int kCount>
using Sums = int32x4_t[kCount][2];

template <int kQuad, int kCount>
inline void add_quad(Sums<kCount>& sums, const int8x16_t (&a)[kCount], const int8_t* w) {
  const int8x16_t left = vld1q_s8(w);
  const int8x16_t right = vld1q_s8(w + 16);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) {
    sums[i][0] = vdotq_laneq_s32(sums[i][0], left, a[i], kQuad);
    sums[i][1] = vdotq_laneq_s32(sums[i][1], right, a[i], kQuad);
  }
}

template <int kCount>
void run_rows(const GemmTask& task) {
  constexpr int kQuadBytes = 4 * kNr;
  Sums<kCount> sums;
  const auto* starts = static_cast<const int32_t*>(task.panel);
  const auto* w = static_cast<const int8_t*>(task.panel) + kNr * sizeof(int32_t);
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) {
    sums[i][0] = vld1q_s32(starts);
    sums[i][1] = vld1q_s32(starts + 4);
  }
  for (size_t t = 0; t < task.taps; ++t) {
    const uint8_t* rows[kCount];
    int8x16_t a[kCount];
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i)
      rows[i] = static_cast<const uint8_t*>(task.rows[t * kRows + static_cast<size_t>(i)]);
    for (size_t step = task.depth / 4; step > 0; --step, w += 4 * kQuadBytes) {
#pragma GCC unroll 8
      for (int i = 0; i < kCount; ++i) {
        a[i] = centred(vld1q_u8(rows[i]));
        rows[i] += 16;
      }
      add_quad<0, kCount>(sums, a, w);
      add_quad<1, kCount>(sums, a, w + kQuadBytes);
      add_quad<2, kCount>(sums, a, w + 2 * kQuadBytes);
      add_quad<3, kCount>(sums, a, w + 3 * kQuadBytes);
    }
    for (size_t quad = task.depth % 4; quad > 0; --quad, w += kQuadBytes) {
#pragma GCC unroll 8
      for (int i = 0; i < kCount; ++i) {
        a[i] = centred(repeat_quad(rows[i]));
        rows[i] += 4;
      }
      add_quad<0, kCount>(sums, a, w);
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

void dot32_8x8k4__neon_dot(const GemmTask& task) {
  constexpr void (*kRun[])(const GemmTask&) = {run_rows<8>, run_rows<1>, run_rows<2>, run_rows<3>, run_rows<4>,
                                               run_rows<5>, run_rows<6>, run_rows<7>, run_rows<8>};
  kRun[task.m](task);
}

}  // namespace fewbins
