// SPDX-License-Identifier: Apache-2.0
// The four-bit product of the 2020 paper on NEON: UMLAL of bytes into 16-bit lanes, which never leave their registers
// over the whole depth. Lanes are rows, eight to a register, so rows are transposed first, a piece of the depth at a
// time; a column's byte is broadcast to all lanes.
//
// 64 bits, 24 x 8: 24 accumulators, 3 registers of rows, 2 of columns, 3 broadcasts. A step of 4 depths (768 MACs) has
// 96 UMLAL, 32 DUP and 5 loads: 5.5 instructions per 32 MACs, and the transposition adds 1.3.
// 32 bits, 24 x 4, the paper's target: 12 accumulators, 3 registers of rows, half of one for columns and the other half
// for the broadcast fill the 16 registers. A step (384 MACs) has 48 VMLAL, 16 VDUP and 7 loads: 5.9 per 32 MACs, and
// the transposition adds 1.8.
#include <arm_neon.h>
#include <string.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

constexpr size_t kGroups = 3;  // of 8 rows
constexpr size_t kMr = 8 * kGroups;
#if defined(__aarch64__)
constexpr size_t kNr = 8;
#else
constexpr size_t kNr = 4;
#endif
constexpr size_t kPiece = 32;  // quads transposed at once

/// Rows as the loop reads them: [pair of depths][group][depth of the pair][row of the group].
struct Piece {
  uint8_t rows[2 * kPiece][kGroups][2][8];
};
/// Sums of 8 rows and one column: [group][column][row of the group].
struct Sums {
  uint16_t lanes[kGroups][kNr][8];
};

// clang-format off: one instruction a line
#if defined(__aarch64__)

#define FB_DUP(d, b, lane) "dup v" #d ".16b, v" #b ".b[" #lane "]\n"
#define FB_LOW(c0, c1, c2, d)                  \
  "umlal v" #c0 ".8h, v24.8b, v" #d ".8b\n"    \
  "umlal v" #c1 ".8h, v25.8b, v" #d ".8b\n"    \
  "umlal v" #c2 ".8h, v26.8b, v" #d ".8b\n"
#define FB_HIGH(c0, c1, c2, d)                 \
  "umlal2 v" #c0 ".8h, v24.16b, v" #d ".16b\n" \
  "umlal2 v" #c1 ".8h, v25.16b, v" #d ".16b\n" \
  "umlal2 v" #c2 ".8h, v26.16b, v" #d ".16b\n"
/// Two columns of one pair of depths: sums v(c0), v(c1), v(c2) and v(e0), v(e1), v(e2), their bytes in lanes of v(b).
#define FB_COLUMNS(c0, c1, c2, e0, e1, e2, b, c_low, c_high, e_low, e_high) \
  FB_DUP(29, b, c_low)                                                      \
  FB_DUP(30, b, e_low)                                                      \
  FB_DUP(31, b, c_high)                                                     \
  FB_LOW(c0, c1, c2, 29)                                                    \
  FB_LOW(e0, e1, e2, 30)                                                    \
  FB_DUP(29, b, e_high)                                                     \
  FB_HIGH(c0, c1, c2, 31)                                                   \
  FB_HIGH(e0, e1, e2, 29)
#define FB_LOAD_ROWS "ldp q24, q25, [%[a]], #32\nldr q26, [%[a]], #16\n"
#define FB_TWO(op, a, b, offset) op " q" #a ", q" #b ", [%[sums], #" #offset "]\n"
#define FB_FOR_SUMS(op)                                                                     \
  FB_TWO(op, 0, 1, 0) FB_TWO(op, 2, 3, 32) FB_TWO(op, 4, 5, 64) FB_TWO(op, 6, 7, 96)         \
  FB_TWO(op, 8, 9, 128) FB_TWO(op, 10, 11, 160) FB_TWO(op, 12, 13, 192)                      \
  FB_TWO(op, 14, 15, 224) FB_TWO(op, 16, 17, 256) FB_TWO(op, 18, 19, 288)                    \
  FB_TWO(op, 20, 21, 320) FB_TWO(op, 22, 23, 352)

/// Adds `quads` steps of 4 depths. `w` has 8 columns of 4 bytes per step.
inline void add_quads(Sums& sums, const Piece& piece, const uint8_t* w, size_t quads) {
  const void* a = &piece;
  asm volatile(
      FB_FOR_SUMS("ldp")
      "1:\n"
      "ldp q27, q28, [%[w]], #32\n"
      FB_LOAD_ROWS
      FB_COLUMNS(0, 8, 16, 1, 9, 17, 27, 0, 1, 4, 5)
      FB_COLUMNS(2, 10, 18, 3, 11, 19, 27, 8, 9, 12, 13)
      FB_COLUMNS(4, 12, 20, 5, 13, 21, 28, 0, 1, 4, 5)
      FB_COLUMNS(6, 14, 22, 7, 15, 23, 28, 8, 9, 12, 13)
      FB_LOAD_ROWS
      "subs %[quads], %[quads], #1\n"
      FB_COLUMNS(0, 8, 16, 1, 9, 17, 27, 2, 3, 6, 7)
      FB_COLUMNS(2, 10, 18, 3, 11, 19, 27, 10, 11, 14, 15)
      FB_COLUMNS(4, 12, 20, 5, 13, 21, 28, 2, 3, 6, 7)
      FB_COLUMNS(6, 14, 22, 7, 15, 23, 28, 10, 11, 14, 15)
      "b.ne 1b\n"
      FB_FOR_SUMS("stp")
      : [a] "+r"(a), [w] "+r"(w), [quads] "+r"(quads)
      : [sums] "r"(&sums)
      : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
        "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
        "v31");
}

#else

/// One column at one depth: sums q(c0), q(c1), q(c2), its byte in a lane of d0, rows in d(a0), d(a1), d(a2).
#define FB_COLUMN(c0, c1, c2, lane, a0, a1, a2) \
  "vdup.8 d1, d0[" #lane "]\n"                  \
  "vmlal.u8 q" #c0 ", d" #a0 ", d1\n"           \
  "vmlal.u8 q" #c1 ", d" #a1 ", d1\n"           \
  "vmlal.u8 q" #c2 ", d" #a2 ", d1\n"
#define FB_LOAD_ROWS "vld1.8 {d2-d5}, [%[a]]!\nvld1.8 {d6-d7}, [%[a]]!\n"
#define FB_FOR_SUMS(op)             \
  op ".16 {d8-d11}, [%[at]]!\n"     \
  op ".16 {d12-d15}, [%[at]]!\n"    \
  op ".16 {d16-d19}, [%[at]]!\n"    \
  op ".16 {d20-d23}, [%[at]]!\n"    \
  op ".16 {d24-d27}, [%[at]]!\n"    \
  op ".16 {d28-d31}, [%[at]]!\n"

/// Adds `quads` steps of 4 depths. `w` has 4 columns of 4 bytes per step.
inline void add_quads(Sums& sums, const Piece& piece, const uint8_t* w, size_t quads) {
  const void* a = &piece;
  void* at = &sums;
  asm volatile(
      FB_FOR_SUMS("vld1")
      "1:\n"
      FB_LOAD_ROWS
      "vldr d0, [%[w]]\n"
      FB_COLUMN(4, 8, 12, 0, 2, 4, 6)
      FB_COLUMN(5, 9, 13, 4, 2, 4, 6)
      FB_COLUMN(4, 8, 12, 1, 3, 5, 7)
      FB_COLUMN(5, 9, 13, 5, 3, 5, 7)
      "vldr d0, [%[w], #8]\n"
      FB_COLUMN(6, 10, 14, 0, 2, 4, 6)
      FB_COLUMN(7, 11, 15, 4, 2, 4, 6)
      FB_COLUMN(6, 10, 14, 1, 3, 5, 7)
      FB_COLUMN(7, 11, 15, 5, 3, 5, 7)
      FB_LOAD_ROWS
      FB_COLUMN(6, 10, 14, 2, 2, 4, 6)
      FB_COLUMN(7, 11, 15, 6, 2, 4, 6)
      FB_COLUMN(6, 10, 14, 3, 3, 5, 7)
      FB_COLUMN(7, 11, 15, 7, 3, 5, 7)
      "vldr d0, [%[w]]\n"
      FB_COLUMN(4, 8, 12, 2, 2, 4, 6)
      FB_COLUMN(5, 9, 13, 6, 2, 4, 6)
      FB_COLUMN(4, 8, 12, 3, 3, 5, 7)
      FB_COLUMN(5, 9, 13, 7, 3, 5, 7)
      "add %[w], %[w], #16\n"
      "subs %[quads], %[quads], #1\n"
      "bne 1b\n"
      "sub %[at], %[at], #192\n"
      FB_FOR_SUMS("vst1")
      : [a] "+r"(a), [w] "+r"(w), [quads] "+r"(quads), [at] "+r"(at)
      :
      : "cc", "memory", "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8", "q9", "q10", "q11", "q12", "q13", "q14",
        "q15");
}

#endif
// clang-format on

/// Row r's 16 depths in x[r] become depth k's 8 rows in half k % 2 of x[k / 2]: three perfect shuffles, each of which
/// turns the address bits of the 128 bytes by one.
inline void transpose(uint8x16_t (&x)[8]) {
#pragma GCC unroll 3
  for (int round = 0; round < 3; ++round) {
    uint8x16_t next[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const uint8x16x2_t two = vzipq_u8(x[i], x[i + 4]);
      next[2 * i] = two.val[0];
      next[2 * i + 1] = two.val[1];
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) x[i] = next[i];
  }
}

/// `quads` quads, 4 at most; nothing behind them is read.
inline uint8x16_t load_row(const uint8_t* row, size_t quads) {
  if (quads == 4) return vld1q_u8(row);
  uint8_t bytes[16] = {};
  for (size_t i = 0; i < quads; ++i) memcpy(bytes + 4 * i, row + 4 * i, 4);
  return vld1q_u8(bytes);
}

/// `quads` quads, 4 at most, of tap `t` from `first` on.
inline void transpose_rows(const GemmTask& task, size_t t, size_t first, size_t quads, uint8_t (*to)[kGroups][2][8]) {
  for (size_t g = 0; g < kGroups; ++g) {
    uint8x16_t x[8];
    for (size_t i = 0; i < 8; ++i) {
      x[i] = load_row(static_cast<const uint8_t*>(task.rows[t * kMr + 8 * g + i]) + 4 * first, quads);
    }
    transpose(x);
    for (size_t pair = 0; pair < 2 * quads; ++pair) vst1q_u8(to[pair][g][0], x[pair]);
  }
}

inline void store_tile(const Sums& sums, int32_t* tile) {
  for (size_t g = 0; g < kGroups; ++g) {
    for (size_t i = 0; i < 8; ++i, tile += kNr) {
      for (size_t j = 0; j < kNr; ++j) tile[j] = sums.lanes[g][j][i];
    }
  }
}

/// Both sizes. The sum of a lane is below 2^16 for depths up to 291, which pack() sees to.
inline void run(const GemmTask& task) {
  const auto* w = static_cast<const uint8_t*>(task.panel);
  Piece piece;
  Sums sums = {};
  size_t filled = 0;
  const auto add = [&] {
    if (filled == 0) return;
    add_quads(sums, piece, w, filled);
    w += filled * kNr * 4;
    filled = 0;
  };
  for (size_t t = 0; t < task.taps; ++t) {
    for (size_t q = 0; q < task.depth;) {
      const size_t left = task.depth - q < kPiece - filled ? task.depth - q : kPiece - filled;
      const size_t quads = left < 4 ? left : 4;
      transpose_rows(task, t, q, quads, piece.rows + 2 * filled);
      filled += quads;
      q += quads;
      if (filled == kPiece) add();
    }
  }
  add();
  store_tile(sums, static_cast<int32_t*>(task.tile));
}

}  // namespace

#if defined(__aarch64__)
void u4_24x8k4__neon(const GemmTask& task) { run(task); }
#else
void u4_24x4k4__neon(const GemmTask& task) { run(task); }
#endif

}  // namespace fewbins
