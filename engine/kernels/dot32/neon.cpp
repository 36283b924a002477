// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit products on plain NEON, 64 and 32 bits: SMULL, SMLAL2, SADALP. Lanes are depths: a register holds 16
// depths of a row or of a column, two products meet in a 16-bit lane, and pairs of lanes are added to 32 bits at once.
// NEON multiplies no unsigned by signed bytes, so u - 128 takes the place of u, and a column starts at 128 * sum(w).
//
// A step of 16 depths of 4 rows and 4 columns (256 MACs): 8 loads, 4 EOR, 48 multiplications and additions, 60
// instructions in all: 7.5 per 32 MACs. With 16 registers 2 rows fit: 32 instructions for 128 MACs, 8 per 32.
#include "kernels/tasks.h"
#include "kernels/tile_neon.h"

namespace fewbins {
namespace {

#if defined(__aarch64__)
constexpr int kRows = 4;
#else
constexpr int kRows = 2;
#endif
constexpr int kColumns = 4;  // of a pass; a panel has two
constexpr size_t kNr = 2 * kColumns;
constexpr size_t kStepBytes = 16 * kColumns;

/// Adds the products of 16 depths. Both products in a lane fit 16 bits unless all four factors are -128: weights with a
/// -128 are kept apart. Rows take turns at each instruction, since cores that issue in order wait for the one before.
template <bool kApart, int kCount>
inline void add_step(int32x4_t (&sums)[kRows][kColumns], const int8x16_t (&a)[kCount], const int8_t* w) {
#pragma GCC unroll 4
  for (int j = 0; j < kColumns; ++j) {
    const int8x16_t column = vld1q_s8(w + 16 * j);
    int16x8_t products[kCount];
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) products[i] = vmull_s8(vget_low_s8(a[i]), vget_low_s8(column));
    if (kApart) {
#pragma GCC unroll 4
      for (int i = 0; i < kCount; ++i) sums[i][j] = vpadalq_s16(sums[i][j], products[i]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      products[i] = kApart ? multiply_high(a[i], column) : add_product_high(products[i], a[i], column);
    }
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) sums[i][j] = vpadalq_s16(sums[i][j], products[i]);
  }
}

/// kCount rows by 4 columns over all taps; returns where the weights that it read end.
template <bool kApart, int kCount>
const int8_t* run_pass(const GemmTask& task, const int8_t* w, const int32_t* starts, int32_t* tile) {
  int32x4_t sums[kRows][kColumns];
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kColumns; ++j) sums[i][j] = vdupq_n_s32(0);
  }
  const size_t steps = task.depth / 4;
  const size_t rest = task.depth % 4;
  for (size_t t = 0; t < task.taps; ++t) {
    const uint8_t* rows[kCount];
    int8x16_t a[kCount];
    for (int i = 0; i < kCount; ++i)
      rows[i] = static_cast<const uint8_t*>(task.rows[t * kRows + static_cast<size_t>(i)]);
    for (size_t step = 0; step < steps; ++step, w += kStepBytes) {
#pragma GCC unroll 4
      for (int i = 0; i < kCount; ++i) {
        a[i] = centred(vld1q_u8(rows[i]));
        rows[i] += 16;
      }
      add_step<kApart, kCount>(sums, a, w);
    }
    if (rest == 0) continue;
    for (int i = 0; i < kCount; ++i) a[i] = centred(load_quads(rows[i], rest));
    add_step<kApart, kCount>(sums, a, w);
    w += kStepBytes;
  }
  const int32x4_t start = vld1q_s32(starts);
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    vst1q_s32(tile + static_cast<size_t>(i) * kNr,
              vaddq_s32(start, sums_of(sums[i][0], sums[i][1], sums[i][2], sums[i][3])));
  }
  return w;
}

template <bool kApart, int kCount>
void run_rows(const GemmTask& task) {
  const auto* starts = static_cast<const int32_t*>(task.panel);
  const auto* w = static_cast<const int8_t*>(task.panel) + 64;
  auto* tile = static_cast<int32_t*>(task.tile);
  w = run_pass<kApart, kCount>(task, w, starts, tile);
  run_pass<kApart, kCount>(task, w, starts + kColumns, tile + kColumns);
}

template <bool kApart>
void run_tile(const GemmTask& task) {
#if defined(__aarch64__)
  constexpr void (*kRun[])(const GemmTask&) = {run_rows<kApart, 4>, run_rows<kApart, 1>, run_rows<kApart, 2>,
                                               run_rows<kApart, 3>, run_rows<kApart, 4>};
  kRun[task.m](task);
#else
  if (task.m == 1) return run_rows<kApart, 1>(task);
  run_rows<kApart, 2>(task);
#endif
}

/// The panel's header: 8 column starts, then whether a weight is -128.
void run_panel(const GemmTask& task) {
  if (static_cast<const int32_t*>(task.panel)[kNr] != 0) return run_tile<true>(task);
  run_tile<false>(task);
}

}  // namespace

#if defined(__aarch64__)
void dot32_4x8k16__neon(const GemmTask& task) { run_panel(task); }
#else
void dot32_2x8k16__neon(const GemmTask& task) { run_panel(task); }
#endif

}  // namespace fewbins
