// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit sums on AVX2: bytes are widened to 16 bits, so that vpmaddwd adds two products without saturating.
// Weights are widened when they are packed; rows are widened here, a chunk at a time, into a buffer that stays in L1.
// Per step (2 depths x 16 columns x 1 row = 32 MACs): 1 broadcast load, 2 vpmaddwd, 2 vpaddd; widening a row costs one
// load, one vpmovzxbw and one store per 16 depths. Bound by two vpmaddwd per cycle.
#include <immintrin.h>

#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {
namespace {

// clang-format off: one instruction a line
// One chunk: the tile's sums go on from where the chunk before left them.
#define TILE(count)                                                                                                 \
  void tile##count(const TileRun& run, const char*& panel, int32_t* tile, bool first) {                             \
    const void* const* rows = run.rows;                                                                             \
    const size_t end = run.offset + run.bytes;                                                                      \
    const size_t begin = 0 - run.bytes;                                                                             \
    size_t taps = run.taps;                                                                                         \
    size_t index;                                                                                                   \
    const char* at = panel;                                                                                         \
    __asm__ volatile(FB_ROWS_##count(FB_ZERO) "testb %[first],%[first]\njnz 3f\n" FB_ROWS_##count(FB_LOAD) "3:\n"   \
                         FB_TAPS(FB_ROWS_##count, FB_STEP_DOT32) FB_ROWS_##count(FB_STORE)                          \
                     : [rows] "+r"(rows), [panel] "+r"(at), [taps] "+r"(taps), [index] "=&r"(index)                 \
                     : [end] "m"(end), [begin] "m"(begin), [stride] "m"(run.stride), [tile] "r"(tile),              \
                       [first] "q"(first)                                                                           \
                     : FB_CLOBBERS);                                                                                \
    panel = at;                                                                                                     \
  }
// clang-format on
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)

using TileFn = void (*)(const TileRun&, const char*&, int32_t*, bool);
constexpr TileFn kTiles[] = {tile1, tile2, tile3, tile4, tile5, tile6};
constexpr size_t kMr = 6;
constexpr size_t kChunkQuads = 128;  // 1 KiB of a row when widened

/// `quads` quads of bytes to 16 bits each. Reads nothing past them.
void widen(const uint8_t* from, size_t quads, int16_t* to) {
  size_t quad = 0;
  for (; quad + 4 <= quads; quad += 4) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + quad * 4));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + quad * 4), _mm256_cvtepu8_epi16(bytes));
  }
  for (; quad < quads; ++quad) {
    const __m128i bytes = _mm_loadu_si32(from + quad * 4);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + quad * 4), _mm_cvtepu8_epi16(bytes));
  }
}

}  // namespace

void dot32_6x16k4__avx2(const GemmTask& task) {
  const size_t m = task.m != 0 ? task.m : kMr;
  const char* panel = static_cast<const char*>(task.panel);
  alignas(64) int16_t wide[kMr][kChunkQuads * 4];
  const void* wide_rows[kMr];
  for (size_t i = 0; i < kMr; ++i) wide_rows[i] = wide[i];
  const size_t total = task.taps * task.depth;
  size_t tap = 0;
  size_t done_in_tap = 0;
  for (size_t done = 0; done < total;) {
    size_t filled = 0;
    const bool first = done == 0;
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
    kTiles[m - 1]({wide_rows, 0, 1, 0, filled * 4 * sizeof(int16_t)}, panel, static_cast<int32_t*>(task.tile), first);
    done += filled;
  }
  leave_ymm();
}

}  // namespace fewbins
