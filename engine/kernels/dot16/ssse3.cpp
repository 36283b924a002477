// SPDX-License-Identifier: Apache-2.0
// 16-bit sums on SSSE3, in two forms whose panels both carry the lengths of their blocks (README.md, `steps`).
//
// 3 x 8, 8 depths a step: per row 1 movddup load, 3 copies, 4 pmaddubsw, 4 paddw for 64 MACs; at the end of a block 4
// pmaddwd, 4 paddd and 4 stores. Four lanes share a column, so blocks are twice as long as with two lanes. Bound by two
// pmaddubsw per cycle.
//
// 8 x 8, 2 depths a step: the form of the 4.6-bit paper. Rows lie in the lanes, pshufb repeats the two weights of a
// column: a third instruction per 16 MACs, and rows are interleaved here. Kept because it is the published one.
#include <tmmintrin.h>

#include "kernels/tile_ssse3.h"

namespace fewbins {
namespace {

constexpr size_t kHeader = 80;  // of a block of 3 x 8: its steps and the starts

// ---- 3 x 8 ----------------------------------------------------------------------------------------------------------

// clang-format off: one instruction a line
#define START(acc0, acc1, acc2, acc3, row, offset)                                                                  \
  "movdqa 16(%[panel]),%%xmm" acc0 "\nmovdqa 32(%[panel]),%%xmm" acc1 "\n"                                          \
  "movdqa 48(%[panel]),%%xmm" acc2 "\nmovdqa 64(%[panel]),%%xmm" acc3 "\n"
#define ADD_SUMS(acc0, acc1, acc2, acc3, row, offset)                                                               \
  "paddd 8*" offset "(%[sums]),%%xmm" acc0 "\npaddd 8*" offset "+16(%[sums]),%%xmm" acc1 "\n"                       \
  "paddd 8*" offset "+32(%[sums]),%%xmm" acc2 "\npaddd 8*" offset "+48(%[sums]),%%xmm" acc3 "\n"

// 1: a block; 2: what of it lies in this tap; 3: a step; 4: the half step at the end of a tap with an odd number of
// quads; 5: the next tap; 6: the end of a block, which joins those before it; 7: any before it are added; 8: the last.
#define TILE(count)                                                                                                 \
  void tile##count(const GemmTask& task, int32_t* sums) {                                                           \
    const void* const* rows = task.rows;                                                                            \
    const void* panel = task.panel;                                                                                 \
    size_t taps = task.taps;                                                                                        \
    const size_t octs = task.depth / 2;                                                                             \
    const size_t odd = task.depth % 2;                                                                              \
    size_t left = 0;                                                                                                \
    size_t half = 0;                                                                                                \
    size_t any = 0;                                                                                                 \
    size_t block;                                                                                                   \
    size_t index;                                                                                                   \
    __asm__ volatile(                                                                                               \
        "1:\n"                                                                                                      \
        "movl (%[panel]),%k[block]\n" FB_ROWS_##count(START)                                                        \
        "add %[header],%[panel]\n"                                                                                  \
        "2:\n"                                                                                                      \
        "mov %[left],%[index]\n"                                                                                    \
        "cmp %[block],%[index]\n"                                                                                   \
        "cmova %[block],%[index]\n"                                                                                 \
        "sub %[index],%[left]\n"                                                                                    \
        "sub %[index],%[block]\n"                                                                                   \
        "shl $3,%[index]\n"                                                                                         \
        "jz 4f\n" FB_ROWS_##count(FB_ADVANCE)                                                                       \
        "neg %[index]\n"                                                                                            \
        FB_STEPS("3", FB_ROWS_##count, FB_DOT16)                                                                    \
        "test %[block],%[block]\n"                                                                                  \
        "jz 6f\n"                                                                                                   \
        "4:\n"                                                                                                      \
        "cmpq $0,%[half]\n"                                                                                         \
        "je 5f\n"                                                                                                   \
        FB_STEP(FB_ROWS_##count, FB_LAST_DOT16)                                                                     \
        "movq $0,%[half]\n"                                                                                         \
        "dec %[block]\n"                                                                                            \
        "jz 6f\n"                                                                                                   \
        "5:\n" FB_ROWS_##count(FB_POINTER)                                                                          \
        "add %[stride],%[rows]\n"                                                                                   \
        "dec %[taps]\n"                                                                                             \
        "mov %[odd],%[index]\n"                                                                                     \
        "mov %[index],%[half]\n"                                                                                    \
        "mov %[octs],%[left]\n"                                                                                     \
        "jmp 2b\n"                                                                                                  \
        "6:\n" FB_ONES FB_ROWS_##count(FB_WIDEN)                                                                    \
        "cmpq $0,%[any]\n"                                                                                          \
        "je 7f\n" FB_ROWS_##count(ADD_SUMS)                                                                         \
        "7:\n"                                                                                                      \
        "movq $1,%[any]\n"                                                                                          \
        "mov %[left],%[index]\n"                                                                                    \
        "or %[taps],%[index]\n"                                                                                     \
        "or %[half],%[index]\n"                                                                                     \
        "jz 8f\n" FB_ROWS_##count(FB_STORE)                                                                         \
        "jmp 1b\n"                                                                                                  \
        "8:\n" FB_ROWS_##count(FB_END_DOT32)                                                                        \
        : [rows] "+r"(rows), [panel] "+r"(panel), [taps] "+r"(taps), [left] "+r"(left), [half] "+m"(half),          \
          [any] "+m"(any), [block] "=&r"(block), [index] "=&r"(index)                                               \
        : [octs] "m"(octs), [odd] "m"(odd), [sums] "r"(sums), [tile] "r"(task.tile),                                \
          [stride] "i"(kMr * sizeof(void*)), [step] "i"(kStepBytes), [header] "i"(kHeader)                          \
        : FB_CLOBBERS);                                                                                             \
  }
// clang-format on
TILE(1)
TILE(2)
TILE(3)

// ---- 8 x 8, as published --------------------------------------------------------------------------------------------

constexpr size_t kSide = 8;
constexpr size_t kChunkQuads = 64;

// Bytes 2j and 2j + 1 in every pair of bytes.
alignas(16) constexpr uint8_t kRepeat[kSide][16] = {{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1},
                                                    {2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3},
                                                    {4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5},
                                                    {6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7},
                                                    {8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9, 8, 9},
                                                    {10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11},
                                                    {12, 13, 12, 13, 12, 13, 12, 13, 12, 13, 12, 13, 12, 13, 12, 13},
                                                    {14, 15, 14, 15, 14, 15, 14, 15, 14, 15, 14, 15, 14, 15, 14, 15}};

// clang-format off: one instruction a line
#define COLUMNS(X)                                                                                                  \
  X("0", "0") X("1", "16") X("2", "32") X("3", "48") X("4", "64") X("5", "80") X("6", "96") X("7", "112")
#define LOAD_LANES(acc, at) "movdqa " at "(%[lanes]),%%xmm" acc "\n"
#define STORE_LANES(acc, at) "movdqa %%xmm" acc "," at "(%[lanes])\n"
#define COLUMN(acc, at)                                                                                             \
  "movdqa %%xmm9,%%xmm14\n"                                                                                         \
  "pshufb " at "(%[repeat]),%%xmm14\n"                                                                              \
  "movdqa %%xmm8,%%xmm15\n"                                                                                         \
  "pmaddubsw %%xmm14,%%xmm15\n"                                                                                     \
  "paddw %%xmm15,%%xmm" acc "\n"
// clang-format on

/// `steps` >= 1 pairs of depths of 8 interleaved rows times as many of 8 columns, into lanes[column][row].
void add_pairs(int16_t (*lanes)[kSide], const uint8_t* pairs, const int8_t* panel, size_t steps) {
  size_t index = 0 - steps * 16;
  __asm__ volatile(COLUMNS(LOAD_LANES) ".p2align 4\n1:\nmovdqa (%[pairs],%[index]),%%xmm8\n"
                                       "movdqa (%[panel],%[index]),%%xmm9\n" COLUMNS(COLUMN)
                                           "add $16,%[index]\njnz 1b\n" COLUMNS(STORE_LANES)
                   : [index] "+r"(index)
                   : [pairs] "r"(pairs + steps * 16), [panel] "r"(panel + steps * 16), [lanes] "r"(lanes),
                     [repeat] "r"(kRepeat)
                   : FB_CLOBBERS);
}

/// Depths of 8 rows from `offset` on, two at a time: pairs[depth / 2][row][2].
void interleave(const void* const* rows, size_t offset, size_t quads, uint8_t* pairs) {
  size_t quad = 0;
  for (; quad + 4 <= quads; quad += 4) {
    __m128i x[kSide];
    __m128i y[kSide];
    for (size_t i = 0; i < kSide; ++i) {
      const uint8_t* row = static_cast<const uint8_t*>(rows[i]) + offset + quad * 4;
      x[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row));
    }
    // Three rounds that each interleave row i with row i + 4: a transpose of 8 x 8 pairs.
    for (int round = 0; round < 3; ++round) {
      for (size_t i = 0; i < kSide / 2; ++i) {
        y[2 * i] = _mm_unpacklo_epi16(x[i], x[i + 4]);
        y[2 * i + 1] = _mm_unpackhi_epi16(x[i], x[i + 4]);
      }
      for (size_t i = 0; i < kSide; ++i) x[i] = y[i];
    }
    for (size_t i = 0; i < kSide; ++i) _mm_store_si128(reinterpret_cast<__m128i*>(pairs + quad * 32) + i, x[i]);
  }
  for (; quad < quads; ++quad) {
    for (size_t k = 0; k < 4; ++k) {
      for (size_t i = 0; i < kSide; ++i) {
        pairs[quad * 32 + k / 2 * 16 + i * 2 + k % 2] = static_cast<const uint8_t*>(rows[i])[offset + quad * 4 + k];
      }
    }
  }
}

/// The published form's state between chunks of rows: the block that is being summed.
struct PublishedTile {
  const int8_t* panel = nullptr;
  size_t left = 0;  ///< steps that the block still has
  alignas(16) int16_t lanes[kSide][kSide];
  alignas(16) int32_t sums[kSide][kSide] = {};  // [column][row], as the lanes

  void start() {
    uint32_t steps;
    __builtin_memcpy(&steps, panel, sizeof steps);
    left = steps;
    for (size_t j = 0; j < kSide; ++j) {
      int16_t lane;
      __builtin_memcpy(&lane, panel + 16 + 2 * j, sizeof lane);
      _mm_store_si128(reinterpret_cast<__m128i*>(lanes[j]), _mm_set1_epi16(lane));
    }
    panel += 32;
  }
  void widen() {
    for (size_t j = 0; j < kSide; ++j) {
      const __m128i lane = _mm_load_si128(reinterpret_cast<const __m128i*>(lanes[j]));
      const __m128i sign = _mm_srai_epi16(lane, 15);
      __m128i* sum = reinterpret_cast<__m128i*>(sums[j]);
      _mm_store_si128(sum, _mm_add_epi32(_mm_load_si128(sum), _mm_unpacklo_epi16(lane, sign)));
      _mm_store_si128(sum + 1, _mm_add_epi32(_mm_load_si128(sum + 1), _mm_unpackhi_epi16(lane, sign)));
    }
  }
  void add(const uint8_t* pairs, size_t steps) {
    while (steps > 0) {
      if (left == 0) start();
      const size_t now = steps < left ? steps : left;
      add_pairs(lanes, pairs, panel, now);
      panel += now * 16;
      pairs += now * 16;
      steps -= now;
      left -= now;
      if (left == 0) widen();
    }
  }
};

}  // namespace

void dot16_3x8k8__ssse3(const GemmTask& task) {
  constexpr void (*kTiles[])(const GemmTask&, int32_t*) = {tile1, tile2, tile3};
  alignas(16) int32_t sums[kMr * kSums];
  kTiles[(task.m != 0 ? task.m : kMr) - 1](task, sums);
}

void dot16_8x8k2__ssse3(const GemmTask& task) {
  alignas(16) uint8_t pairs[kChunkQuads * 32];
  PublishedTile tile;
  tile.panel = static_cast<const int8_t*>(task.panel);
  for (size_t t = 0; t < task.taps; ++t) {
    for (size_t quad = 0; quad < task.depth; quad += kChunkQuads) {
      const size_t quads = task.depth - quad < kChunkQuads ? task.depth - quad : kChunkQuads;
      interleave(task.rows + t * kSide, quad * 4, quads, pairs);
      tile.add(pairs, quads * 2);
    }
  }
  int32_t* out = static_cast<int32_t*>(task.tile);
  for (size_t i = 0; i < kSide; ++i) {
    for (size_t j = 0; j < kSide; ++j) out[i * kSide + j] = tile.sums[j][i];
  }
}

}  // namespace fewbins
