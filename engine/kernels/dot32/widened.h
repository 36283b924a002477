// SPDX-License-Identifier: Apache-2.0
// Rows widened from bytes to 16 bits, a chunk of depths at a time, for kernels on vpmaddwd. The buffer stays in L1;
// each row has its own kWideStride bytes of it, so that a loop reaches all rows from one pointer.
#pragma once

#include <immintrin.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

constexpr size_t kChunkQuads = 256;
constexpr size_t kWideStride = 2048;  // kChunkQuads * 4 * sizeof(int16_t); loops have it as a number too

/// A part of the tile's sums over one chunk: `wide` the rows, `bytes` of each, `panel` the weights of the chunk.
struct Chunk {
  const char* wide;
  size_t bytes;
  const char* panel;
  bool first;  ///< the tile holds nothing yet
};

/// Whole vectors, `bytes` >= 1 vector of them: a store a cycle, where compilers unroll to tests between the stores.
inline void widen_vectors(const uint8_t* from, size_t bytes, char* to) {
  size_t at = 0 - bytes;
#if defined(__AVX512BW__)
#define FB_WIDEN "vpmovzxbw (%[from],%[at]),%%zmm0\nvmovdqu64 %%zmm0,(%[to],%[at],2)\nadd $32,%[at]\n"
#else
#define FB_WIDEN "vpmovzxbw (%[from],%[at]),%%ymm0\nvmovdqu %%ymm0,(%[to],%[at],2)\nadd $16,%[at]\n"
#endif
  __asm__ volatile(".p2align 4\n1:\n" FB_WIDEN "jnz 1b\n"
                   : [at] "+r"(at)
                   : [from] "r"(from + bytes), [to] "r"(to + 2 * bytes)
                   : "cc", "memory", "xmm0");
}
#undef FB_WIDEN

/// `quads` quads of bytes to 16 bits each. Reads nothing past them.
inline void widen(const uint8_t* from, size_t quads, char* to) {
#if defined(__AVX512BW__)
  constexpr size_t kVector = 8;  // quads
#else
  constexpr size_t kVector = 4;
#endif
  size_t quad = quads / kVector * kVector;
  if (quad > 0) widen_vectors(from, quad * 4, to);
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
