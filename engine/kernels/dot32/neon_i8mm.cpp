// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit products with USMMLA: 2 rows of 8 unsigned bytes times 2 columns of 8 signed bytes, added to a 2 x 2
// square of 32-bit sums; u is taken as it is.
// A step of 16 depths of 8 rows and 8 columns (1024 MACs): 16 loads, 8 ZIP that pair the rows, 32 USMMLA, 56
// instructions: 1.75 per 32 MACs.
#include "kernels/tasks.h"
#include "kernels/tile_neon.h"

namespace fewbins {
namespace {

constexpr int kRows = 8;
constexpr int kNr = 8;
constexpr int kOctetBytes = 8 * kNr;

/// A row pair's sums: columns 2j and 2j + 1 in [j], as {row 0, row 0, row 1, row 1}.
template <int kPairs>
using Squares = int32x4_t[kPairs][kNr / 2];

template <int kPairs>
inline void add_octet(Squares<kPairs>& sums, const uint8x16_t (&a)[kPairs], const int8_t* w) {
#pragma GCC unroll 4
  for (int j = 0; j < kNr / 2; ++j) {
    const int8x16_t columns = vld1q_s8(w + 16 * j);
#pragma GCC unroll 4
    for (int i = 0; i < kPairs; ++i) sums[i][j] = vusmmlaq_s32(sums[i][j], a[i], columns);
  }
}

/// Two octets, column by column: GCC copies sums about between two calls of add_octet().
template <int kPairs>
inline void add_octets(Squares<kPairs>& sums, const uint8x16_t (&low)[kPairs], const uint8x16_t (&high)[kPairs],
                       const int8_t* w) {
#pragma GCC unroll 4
  for (int j = 0; j < kNr / 2; ++j) {
    const int8x16_t first = vld1q_s8(w + 16 * j);
    const int8x16_t second = vld1q_s8(w + kOctetBytes + 16 * j);
#pragma GCC unroll 4
    for (int i = 0; i < kPairs; ++i) sums[i][j] = vusmmlaq_s32(sums[i][j], low[i], first);
#pragma GCC unroll 4
    for (int i = 0; i < kPairs; ++i) sums[i][j] = vusmmlaq_s32(sums[i][j], high[i], second);
  }
}

inline uint8x16_t low_halves(uint8x16_t a, uint8x16_t b) {
  return vreinterpretq_u8_u64(vzip1q_u64(vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)));
}
inline uint8x16_t high_halves(uint8x16_t a, uint8x16_t b) {
  return vreinterpretq_u8_u64(vzip2q_u64(vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)));
}

/// 2 * kPairs rows; a caller with fewer repeats the last one.
template <int kPairs>
void run_pairs(const GemmTask& task) {
  Squares<kPairs> sums;
  const auto* w = static_cast<const int8_t*>(task.panel);
#pragma GCC unroll 4
  for (int i = 0; i < kPairs; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kNr / 2; ++j) sums[i][j] = vdupq_n_s32(0);
  }
  for (size_t t = 0; t < task.taps; ++t) {
    const uint8_t* rows[2 * kPairs];
    uint8x16_t low[kPairs];
    uint8x16_t high[kPairs];
#pragma GCC unroll 8
    for (int i = 0; i < 2 * kPairs; ++i)
      rows[i] = static_cast<const uint8_t*>(task.rows[t * kRows + static_cast<size_t>(i)]);
    for (size_t step = task.depth / 4; step > 0; --step, w += 2 * kOctetBytes) {
#pragma GCC unroll 4
      for (int i = 0; i < kPairs; ++i) {
        const uint8x16_t even = vld1q_u8(rows[2 * i]);
        const uint8x16_t odd = vld1q_u8(rows[2 * i + 1]);
        rows[2 * i] += 16;
        rows[2 * i + 1] += 16;
        low[i] = low_halves(even, odd);
        high[i] = high_halves(even, odd);
      }
      add_octets<kPairs>(sums, low, high, w);
    }
    const size_t rest = task.depth % 4;
    if (rest == 0) continue;
#pragma GCC unroll 4
    for (int i = 0; i < kPairs; ++i) {
      const uint8x16_t even = load_quads(rows[2 * i], rest);
      const uint8x16_t odd = load_quads(rows[2 * i + 1], rest);
      low[i] = low_halves(even, odd);
      high[i] = high_halves(even, odd);
    }
    add_octet<kPairs>(sums, low, w);
    w += kOctetBytes;
    if (rest < 3) continue;
    add_octet<kPairs>(sums, high, w);
    w += kOctetBytes;
  }
  auto* tile = static_cast<int32_t*>(task.tile);
#pragma GCC unroll 4
  for (int i = 0; i < kPairs; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kNr / 2; ++j) {
      vst1_s32(tile + 2 * i * kNr + 2 * j, vget_low_s32(sums[i][j]));
      vst1_s32(tile + (2 * i + 1) * kNr + 2 * j, vget_high_s32(sums[i][j]));
    }
  }
}

}  // namespace

void dot32_8x8k8__neon_i8mm(const GemmTask& task) {
  constexpr void (*kRun[])(const GemmTask&) = {run_pairs<4>, run_pairs<1>, run_pairs<1>, run_pairs<2>, run_pairs<2>,
                                               run_pairs<3>, run_pairs<3>, run_pairs<4>, run_pairs<4>};
  kRun[task.m](task);
}

}  // namespace fewbins
