// SPDX-License-Identifier: Apache-2.0
// 16-bit sums on NEON, 64 and 32 bits: SMLAL and SMLAL2 with depths in the lanes. A register holds 16 depths of a row
// or of a column; lane l of a sum takes the depths l and l + 8 of every step, so a column's products spread over 8
// lanes, and a block is as long as 8 times the products that one lane is proven to hold. u - 128 takes the place of u,
// as NEON multiplies no unsigned by signed bytes; what that adds is in the lanes' starts. See README.md.
//
// A step of 16 depths of 4 rows and 4 columns (256 MACs): 8 loads, 4 EOR, 32 SMLAL or SMLAL2, 44 instructions: 5.5 per
// 32 MACs; SADALP joins a block's lanes to 32 bits. With 16 registers 2 rows fit: 24 instructions for 128 MACs, 6
// per 32.
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

template <int kCount>
using Lanes = int16x8_t[kCount][kColumns];

template <int kCount>
inline void add_step(Lanes<kCount>& lanes, const int8x16_t (&a)[kCount], const int8_t* w) {
#pragma GCC unroll 4
  for (int j = 0; j < kColumns; ++j) {
    const int8x16_t column = vld1q_s8(w + 16 * j);
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      lanes[i][j] = vmlal_s8(lanes[i][j], vget_low_s8(a[i]), vget_low_s8(column));
      lanes[i][j] = add_product_high(lanes[i][j], a[i], column);
    }
  }
}

/// Adds `quads` quads, from quad `from` on, of `taps` taps to the lanes; returns where their weights end.
template <int kCount>
const int8_t* add_taps(Lanes<kCount>& lanes, const void* const* pointers, size_t taps, size_t from, size_t quads,
                       const int8_t* w) {
  for (size_t t = 0; t < taps; ++t) {
    const uint8_t* rows[kCount];
    int8x16_t a[kCount];
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) {
      rows[i] = static_cast<const uint8_t*>(pointers[t * kRows + static_cast<size_t>(i)]) + 4 * from;
    }
    for (size_t step = quads / 4; step > 0; --step, w += kStepBytes) {
#pragma GCC unroll 4
      for (int i = 0; i < kCount; ++i) {
        a[i] = centred(vld1q_u8(rows[i]));
        rows[i] += 16;
      }
      add_step<kCount>(lanes, a, w);
    }
    if (quads % 4 == 0) continue;
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) a[i] = centred(load_quads(rows[i], quads % 4));
    add_step<kCount>(lanes, a, w);
    w += kStepBytes;
  }
  return w;
}

/// A block of 4 columns: lanes start at the panel's starts; at the end they are joined and go to, or onto, the tile.
template <int kCount>
const int8_t* run_block(const void* const* pointers, size_t taps, size_t from, size_t quads, const int8_t* panel,
                        int32_t* tile, bool first) {
  Lanes<kCount> lanes;
  const auto* starts = reinterpret_cast<const int16_t*>(panel);
#pragma GCC unroll 4
  for (int j = 0; j < kColumns; ++j) {
    const int16x8_t start = vld1q_s16(starts + 8 * j);
#pragma GCC unroll 4
    for (int i = 0; i < kCount; ++i) lanes[i][j] = start;
  }
  panel = add_taps<kCount>(lanes, pointers, taps, from, quads, panel + kColumns * 8 * sizeof(int16_t));
#pragma GCC unroll 4
  for (int i = 0; i < kCount; ++i) {
    int32_t* to = tile + static_cast<size_t>(i) * kNr;
    const int32x4_t sums =
        sums_of(vpaddlq_s16(lanes[i][0]), vpaddlq_s16(lanes[i][1]), vpaddlq_s16(lanes[i][2]), vpaddlq_s16(lanes[i][3]));
    vst1q_s32(to, first ? sums : vaddq_s32(sums, vld1q_s32(to)));
  }
  return panel;
}

/// All blocks of 4 columns.
template <int kCount>
const int8_t* run_pass(const GemmTask& task, const int8_t* panel, int32_t* tile) {
  if (task.block >= task.depth) {  // whole taps
    const size_t group = task.block / task.depth;
    for (size_t t = 0; t < task.taps; t += group) {
      const size_t taps = task.taps - t < group ? task.taps - t : group;
      panel = run_block<kCount>(task.rows + t * kRows, taps, 0, task.depth, panel, tile, t == 0);
    }
    return panel;
  }
  for (size_t t = 0; t < task.taps; ++t) {
    for (size_t quad = 0; quad < task.depth; quad += task.block) {
      const size_t quads = task.depth - quad < task.block ? task.depth - quad : task.block;
      panel = run_block<kCount>(task.rows + t * kRows, 1, quad, quads, panel, tile, t + quad == 0);
    }
  }
  return panel;
}

template <int kCount>
void run_rows(const GemmTask& task) {
  auto* tile = static_cast<int32_t*>(task.tile);
  const int8_t* panel = run_pass<kCount>(task, static_cast<const int8_t*>(task.panel), tile);
  run_pass<kCount>(task, panel, tile + kColumns);
}

}  // namespace

#if defined(__aarch64__)
void dot16_4x8k16__neon(const GemmTask& task) {
  constexpr void (*kRun[])(const GemmTask&) = {run_rows<4>, run_rows<1>, run_rows<2>, run_rows<3>, run_rows<4>};
  kRun[task.m](task);
}
#else
void dot16_2x8k16__neon(const GemmTask& task) {
  if (task.m == 1) return run_rows<1>(task);
  run_rows<2>(task);
}
#endif

}  // namespace fewbins
