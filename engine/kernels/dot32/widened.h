// SPDX-License-Identifier: Apache-2.0
// Rows widened from bytes to 16 bits, a chunk of depths at a time, for kernels on vpmaddwd. The buffer stays in L1;
// each row has its own kWideStride bytes of it, so that a loop reaches all rows from one pointer.
#pragma once

#include <immintrin.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

constexpr size_t kChunkQuads = 128;
constexpr size_t kWideStride = 1024;  // kChunkQuads * 4 * sizeof(int16_t); loops have it as a number too

/// A part of the tile's sums over one chunk: `wide` the rows, `bytes` of each, `panel` the weights of the chunk.
struct Chunk {
  const char* wide;
  size_t bytes;
  const char* panel;
  bool first;  ///< the tile holds nothing yet
};

/// `quads` quads of bytes to 16 bits each. Reads nothing past them.
inline void widen(const uint8_t* from, size_t quads, char* to) {
  size_t quad = 0;
#if defined(__AVX512BW__)
  for (; quad + 8 <= quads; quad += 8) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + quad * 4));
    _mm512_storeu_si512(to + quad * 8, _mm512_cvtepu8_epi16(bytes));
  }
#endif
  for (; quad + 4 <= quads; quad += 4) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + quad * 4));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + quad * 8), _mm256_cvtepu8_epi16(bytes));
  }
  for (; quad < quads; ++quad) {
    const __m128i bytes = _mm_loadu_si32(from + quad * 4);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to + quad * 8), _mm_cvtepu8_epi16(bytes));
  }
}

/// Calls run(chunk) for chunk after chunk of the depth, `m` of kMr rows widened.
template <size_t kMr, size_t kNr, class Run>
inline void for_each_chunk(const GemmTask& task, size_t m, Run run) {
  alignas(64) char wide[kMr][kWideStride];
  const char* panel = static_cast<const char*>(task.panel);
  size_t tap = 0;
  size_t done_in_tap = 0;
  bool first = true;
  while (tap < task.taps) {
    size_t filled = 0;
    while (filled < kChunkQuads && tap < task.taps) {
      const size_t left = task.depth - done_in_tap;
      const size_t quads = left < kChunkQuads - filled ? left : kChunkQuads - filled;
      for (size_t i = 0; i < m; ++i) {
        widen(static_cast<const uint8_t*>(task.rows[tap * kMr + i]) + done_in_tap * 4, quads, wide[i] + filled * 8);
      }
      filled += quads;
      done_in_tap += quads;
      if (done_in_tap == task.depth) {
        done_in_tap = 0;
        ++tap;
      }
    }
    run(Chunk{wide[0], filled * 8, panel, first});
    panel += filled * kNr * 8;
    first = false;
  }
}

}  // namespace
}  // namespace fewbins
