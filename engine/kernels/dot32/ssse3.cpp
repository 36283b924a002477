// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit sums on SSSE3: rows are widened to 16 bits, a chunk at a time, into a buffer that stays in L1; weights
// when they are packed. Per step (4 depths x 8 columns x 1 row = 32 MACs): 1 movddup load, 3 copies, 4 pmaddwd, 4
// paddd; widening a row costs one load, one copy, two punpck and two stores per 16 depths. Bound by two pmaddwd per
// cycle. A column's two lanes are joined by phaddd at the end.
#include <tmmintrin.h>

#include "kernels/tile_ssse3.h"

namespace fewbins {
namespace {

constexpr size_t kChunkQuads = 128;                 // 1 KiB of a row when widened
constexpr size_t kRowBytes = kChunkQuads * 8 + 64;  // rows start on different sets of the cache

// clang-format off: one instruction a line
// One chunk of 8 columns: the sums go on from where the chunk before left them. `wide` is the end of the first row's
// chunk, `step` the bytes of all columns of the panel per quad.
#define TILE(count)                                                                                                  \
  void tile##count(const int16_t* wide, size_t bytes, const char* panel, size_t step, int32_t* sums) {               \
    size_t index = 0 - bytes;                                                                                        \
    __asm__ volatile(                                                                                                \
        FB_ROWS_##count(FB_LOAD) FB_ROWS_##count(WIDE_ROW)                                                           \
        FB_STEPS("2", FB_ROWS_##count, FB_DOT32) FB_ROWS_##count(FB_STORE)                        \
        : [panel] "+r"(panel), [index] "+r"(index)                                                                   \
        : [wide] "r"(wide), [sums] "r"(sums), [step] "r"(step), [row_bytes] "i"(kRowBytes / 8)                         \
        : FB_CLOBBERS);                                                                                              \
  }
#define WIDE_ROW(acc0, acc1, acc2, acc3, row, offset) "lea %c[row_bytes]*" offset "(%[wide]),%%" row "\n"
// clang-format on
TILE(1)
TILE(2)
TILE(3)

/// `quads` quads of bytes to 16 bits each. Reads nothing past them.
void widen(const uint8_t* from, size_t quads, int16_t* to) {
  const __m128i zero = _mm_setzero_si128();
  size_t quad = 0;
  for (; quad + 4 <= quads; quad += 4) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + quad * 4));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + quad * 4), _mm_unpacklo_epi8(bytes, zero));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + quad * 4 + 8), _mm_unpackhi_epi8(bytes, zero));
  }
  for (; quad < quads; ++quad) {
    const __m128i bytes = _mm_loadu_si32(from + quad * 4);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + quad * 4), _mm_unpacklo_epi8(bytes, zero));
  }
}

/// A panel of kColumns columns, 8 at a time against the same widened rows.
template <size_t kColumns>
inline void run_tile(const GemmTask& task) {
  constexpr void (*kTiles[])(const int16_t*, size_t, const char*, size_t, int32_t*) = {tile1, tile2, tile3};
  constexpr size_t kStep = kColumns * 4 * sizeof(int16_t);
  const size_t m = task.m != 0 ? task.m : kMr;
  const char* panel = static_cast<const char*>(task.panel);
  alignas(64) int16_t wide[kMr][kRowBytes / sizeof(int16_t)];
  alignas(16) int32_t sums[kColumns / kNr][kMr * kSums] = {};
  size_t tap = 0;
  size_t done_in_tap = 0;
  while (tap < task.taps) {
    size_t filled = 0;
    while (filled < kChunkQuads && tap < task.taps) {
      const size_t left = task.depth - done_in_tap;
      const size_t quads = left < kChunkQuads - filled ? left : kChunkQuads - filled;
      for (size_t i = 0; i < m; ++i) {
        const uint8_t* row = static_cast<const uint8_t*>(task.rows[tap * kMr + i]);
        widen(row + done_in_tap * 4, quads, wide[i] + filled * 4);
      }
      filled += quads;
      done_in_tap += quads;
      if (done_in_tap == task.depth) {
        done_in_tap = 0;
        ++tap;
      }
    }
    for (size_t part = 0; part < kColumns / kNr; ++part) {
      kTiles[m - 1](wide[0] + filled * 4, filled * 8, panel + part * kStepBytes, kStep, sums[part]);
    }
    panel += filled * kStep;
  }
  int32_t* tile = static_cast<int32_t*>(task.tile);
  for (size_t part = 0; part < kColumns / kNr; ++part) join_lanes(sums[part], m, tile + part * kNr, kColumns);
}

}  // namespace

void dot32_3x8k4__ssse3(const GemmTask& task) { run_tile<8>(task); }

void dot32_3x32k4__ssse3(const GemmTask& task) { run_tile<32>(task); }

}  // namespace fewbins
