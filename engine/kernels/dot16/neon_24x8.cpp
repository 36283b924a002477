// SPDX-License-Identifier: Apache-2.0
// The 24 x 8 microkernel of the 4.6-bit paper (README.md) for 64-bit ARM: all 32 registers, 24 of them sums of 8 rows
// by a column, 16 bits each; depths in twos, SMLAL for the first and SMLAL2 for the second. The left operand is laid
// into a buffer as the loop reads it; u - 128 takes the place of u, and what that lacks is in the starts of the sums.
//
// Two depths (384 MACs): 4 loads, 16 DUP, 48 SMLAL or SMLAL2, 68 instructions: 5.7 per 32 MACs, and as much again per
// panel for the buffer as 24 columns' worth of transposition. In assembly, since compilers spill a full register file.
#include "kernels/tasks.h"
#include "kernels/tile_neon.h"

namespace fewbins {
namespace {

constexpr size_t kMr = 24;
constexpr size_t kNr = 8;
constexpr size_t kGroups = kMr / 8;
constexpr size_t kPairBytes = 2 * kMr;    // of the buffer
constexpr size_t kPairWeights = 2 * kNr;  // of the panel
constexpr size_t kBufferQuads = 64;

/// [group][column][row of the group]
struct alignas(16) Sums {
  int16_t lanes[kGroups][kNr][8];
};

// clang-format off: one instruction a line
#define FB_SUMS(X)                                                                                        \
  X("8", "9", "0") X("10", "11", "32") X("12", "13", "64") X("14", "15", "96")                            \
  X("16", "17", "128") X("18", "19", "160") X("20", "21", "192") X("22", "23", "224")                     \
  X("24", "25", "256") X("26", "27", "288") X("28", "29", "320") X("30", "31", "352")
#define FB_LOAD(a, b, offset) "ldp q" a ", q" b ", [%[sums], #" offset "]\n"
#define FB_STORE(a, b, offset) "stp q" a ", q" b ", [%[sums], #" offset "]\n"
#define FB_LOW(broadcast, c0, c1, c2)                                                                     \
  "smlal v" c0 ".8h, v0.8b, v" broadcast ".8b\n"                                                          \
  "smlal v" c1 ".8h, v1.8b, v" broadcast ".8b\n"                                                          \
  "smlal v" c2 ".8h, v2.8b, v" broadcast ".8b\n"
#define FB_HIGH(broadcast, c0, c1, c2)                                                                    \
  "smlal2 v" c0 ".8h, v0.16b, v" broadcast ".16b\n"                                                       \
  "smlal2 v" c1 ".8h, v1.16b, v" broadcast ".16b\n"                                                       \
  "smlal2 v" c2 ".8h, v2.16b, v" broadcast ".16b\n"
/// Two columns take turns: cores that issue in order wait for the sum before.
#define FB_COLUMNS(c_even, c_odd, e_even, e_odd, c0, c1, c2, e0, e1, e2)                                  \
  "dup v4.8b, v3.b[" c_even "]\n"                                                                         \
  "dup v6.8b, v3.b[" e_even "]\n"                                                                         \
  "dup v5.16b, v3.b[" c_odd "]\n"                                                                         \
  "dup v7.16b, v3.b[" e_odd "]\n"                                                                         \
  FB_LOW("4", c0, c1, c2) FB_LOW("6", e0, e1, e2) FB_HIGH("5", c0, c1, c2) FB_HIGH("7", e0, e1, e2)

/// Adds `pairs` > 0 pairs of depths.
inline void add_pairs(Sums& sums, const int8_t* left, const int8_t* right, size_t pairs) {
  __asm__ volatile(
      FB_SUMS(FB_LOAD)
      "1:\n"
      "ldr q2, [%[left], #32]\n"
      "ldr q3, [%[right]], #16\n"
      "ldp q0, q1, [%[left]], #48\n"
      FB_COLUMNS("0", "1", "2", "3", "8", "16", "24", "9", "17", "25")
      FB_COLUMNS("4", "5", "6", "7", "10", "18", "26", "11", "19", "27")
      FB_COLUMNS("8", "9", "10", "11", "12", "20", "28", "13", "21", "29")
      FB_COLUMNS("12", "13", "14", "15", "14", "22", "30", "15", "23", "31")
      "subs %[pairs], %[pairs], #1\n"
      "b.ne 1b\n"
      FB_SUMS(FB_STORE)
      : [left] "+r"(left), [right] "+r"(right), [pairs] "+r"(pairs)
      : [sums] "r"(&sums)
      : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
        "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
        "v31");
}
// clang-format on

/// Row r's 16 depths in rows[r] become depth k's 8 rows in the half k % 2 of rows[k / 2]: three perfect shuffles, each
/// of which turns the address bits of the 128 bytes by one.
inline void transpose(int8x16_t (&rows)[8]) {
#pragma GCC unroll 3
  for (int round = 0; round < 3; ++round) {
    int8x16_t next[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      next[2 * i] = vzip1q_s8(rows[i], rows[i + 4]);
      next[2 * i + 1] = vzip2q_s8(rows[i], rows[i + 4]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) rows[i] = next[i];
  }
}

/// Lays `quads` quads, from quad `from` on, of a tap's 24 rows into the buffer: per pair of depths and group of 8 rows
/// the rows of the first depth, then those of the second.
void lay_rows(const void* const* pointers, size_t from, size_t quads, int8_t* buffer) {
  for (size_t group = 0; group < kGroups; ++group) {
    for (size_t quad = 0; quad < quads; quad += 4) {
      const size_t count = quads - quad < 4 ? quads - quad : 4;
      int8x16_t rows[8];
      for (size_t r = 0; r < 8; ++r) {
        const auto* row = static_cast<const uint8_t*>(pointers[group * 8 + r]) + 4 * (from + quad);
        rows[r] = centred(count == 4 ? vld1q_u8(row) : load_quads(row, count));
      }
      transpose(rows);
      for (size_t pair = 0; pair < 2 * count; ++pair)
        vst1q_s8(buffer + (2 * quad + pair) * kPairBytes + group * 16, rows[pair]);
    }
  }
}

/// Where the quads of a block are, and how many of them are in the buffer already.
class Buffer {
 public:
  explicit Buffer(const int8_t* right) : right_(right) {}

  void add(Sums& sums, const void* const* pointers, size_t from, size_t quads) {
    while (quads > 0) {
      const size_t count = quads < kBufferQuads - filled_ ? quads : kBufferQuads - filled_;
      lay_rows(pointers, from, count, bytes_ + filled_ * 2 * kPairBytes);
      filled_ += count;
      from += count;
      quads -= count;
      if (filled_ == kBufferQuads) empty(sums);
    }
  }
  /// Multiplies what is left; returns where the block's weights end.
  const int8_t* empty(Sums& sums) {
    if (filled_ > 0) add_pairs(sums, bytes_, right_, 2 * filled_);
    right_ += 2 * filled_ * kPairWeights;
    filled_ = 0;
    return right_;
  }

 private:
  alignas(16) int8_t bytes_[kBufferQuads * 2 * kPairBytes];
  const int8_t* right_;
  size_t filled_ = 0;
};

/// Sums of 8 rows by column become 8 columns by row.
inline void transpose(int16x8_t (&x)[8]) {
#pragma GCC unroll 3
  for (int round = 0; round < 3; ++round) {
    int16x8_t next[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      next[2 * i] = vzip1q_s16(x[i], x[i + 4]);
      next[2 * i + 1] = vzip2q_s16(x[i], x[i + 4]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) x[i] = next[i];
  }
}

/// Widens a block's sums into, or onto, the tile.
void widen(const Sums& sums, int32_t* tile, bool first) {
  for (size_t group = 0; group < kGroups; ++group) {
    int16x8_t rows[8];
    for (size_t j = 0; j < kNr; ++j) rows[j] = vld1q_s16(sums.lanes[group][j]);
    transpose(rows);
    for (size_t r = 0; r < 8; ++r, tile += kNr) {
      const int32x4_t left = vmovl_s16(vget_low_s16(rows[r]));
      const int32x4_t right = vmovl_high_s16(rows[r]);
      vst1q_s32(tile, first ? left : vaddq_s32(left, vld1q_s32(tile)));
      vst1q_s32(tile + 4, first ? right : vaddq_s32(right, vld1q_s32(tile + 4)));
    }
  }
}

const int8_t* run_block(const void* const* pointers, size_t taps, size_t from, size_t quads, const int8_t* panel,
                        int32_t* tile, bool first) {
  Sums sums;
  const auto* starts = reinterpret_cast<const int16_t*>(panel);
  for (size_t j = 0; j < kNr; ++j) {
    for (size_t group = 0; group < kGroups; ++group) vst1q_s16(sums.lanes[group][j], vld1q_dup_s16(starts + j));
  }
  Buffer buffer(panel + kNr * sizeof(int16_t));
  for (size_t t = 0; t < taps; ++t) buffer.add(sums, pointers + t * kMr, from, quads);
  panel = buffer.empty(sums);
  widen(sums, tile, first);
  return panel;
}

}  // namespace

void dot16_24x8k2__neon(const GemmTask& task) {
  const auto* panel = static_cast<const int8_t*>(task.panel);
  auto* tile = static_cast<int32_t*>(task.tile);
  if (task.block >= task.depth) {  // whole taps
    const size_t group = task.block / task.depth;
    for (size_t t = 0; t < task.taps; t += group) {
      const size_t taps = task.taps - t < group ? task.taps - t : group;
      panel = run_block(task.rows + t * kMr, taps, 0, task.depth, panel, tile, t == 0);
    }
    return;
  }
  for (size_t t = 0; t < task.taps; ++t) {
    for (size_t quad = 0; quad < task.depth; quad += task.block) {
      const size_t quads = task.depth - quad < task.block ? task.depth - quad : task.block;
      panel = run_block(task.rows + t * kMr, 1, quad, quads, panel, tile, t + quad == 0);
    }
  }
}

}  // namespace fewbins
