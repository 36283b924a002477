// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit sums on AVX2: bytes are widened to 16 bits, so that vpmaddwd adds two products without saturating.
// Weights are widened when they are packed; rows are widened here, a chunk at a time (widened.h). Per step (2 depths x
// 16 columns x 1 row = 32 MACs): 1 broadcast load, 2 vpmaddwd, 2 vpaddd; bound by two vpmaddwd per cycle. Widening
// costs a load, a vpmovzxbw and a store per row and 16 depths, and one such store a cycle is all that Zen 5 does: 12 %
// beside 16 columns, 6 % beside 32, 3 % beside 64, hence the panels of several parts.
#include "kernels/dot32/widened.h"
#include "kernels/tile_avx2.h"

namespace fewbins {
namespace {

// clang-format off: one instruction a line
// X(first accumulator, second, row)
#define ROWS_1(X) X("0", "1", "0")
#define ROWS_2(X) ROWS_1(X) X("2", "3", "1")
#define ROWS_3(X) ROWS_2(X) X("4", "5", "2")
#define ROWS_4(X) ROWS_3(X) X("6", "7", "3")
#define ROWS_5(X) ROWS_4(X) X("8", "9", "4")
#define ROWS_6(X) ROWS_5(X) X("10", "11", "5")
#define ZERO(acc0, acc1, row) FB_ZERO(acc0, acc1, "", row)
#define LOAD(acc0, acc1, row)                                    \
  "vmovdqa %c[nr]*4*" row "(%[tile]),%%ymm" acc0 "\n"            \
  "vmovdqa %c[nr]*4*" row "+32(%[tile]),%%ymm" acc1 "\n"
#define STORE(acc0, acc1, row)                                   \
  "vmovdqa %%ymm" acc0 ",%c[nr]*4*" row "(%[tile])\n"            \
  "vmovdqa %%ymm" acc1 ",%c[nr]*4*" row "+32(%[tile])\n"
#define STEP(acc0, acc1, row)                                    \
  "vpbroadcastd 2048*" row "(%[wide],%[index]),%%ymm14\n"        \
  "vpmaddwd %%ymm12,%%ymm14,%%ymm15\n"                           \
  "vpaddd %%ymm15,%%ymm" acc0 ",%%ymm" acc0 "\n"                 \
  "vpmaddwd %%ymm13,%%ymm14,%%ymm15\n"                           \
  "vpaddd %%ymm15,%%ymm" acc1 ",%%ymm" acc1 "\n"

// 16 of kNr columns over one chunk.
#define TILE(count)                                                                                        \
  template <size_t kNr>                                                                                    \
  void tile##count(const Chunk& chunk, const char* panel, int32_t* tile) {                                 \
    size_t index = 0 - chunk.bytes;                                                                        \
    __asm__ volatile(ROWS_##count(ZERO)                                                                    \
                     "testb %[first],%[first]\n"                                                           \
                     "jnz 1f\n" ROWS_##count(LOAD)                                                         \
                     "1:\n"                                                                                \
                     ".p2align 4\n"                                                                        \
                     "2:\n" FB_AHEAD                                                                       \
                     "vmovdqa (%[panel]),%%ymm12\n"                                                        \
                     "vmovdqa 32(%[panel]),%%ymm13\n" ROWS_##count(STEP)                                   \
                     "add $4*%c[nr],%[panel]\n"                                                            \
                     "add $4,%[index]\n"                                                                   \
                     "jnz 2b\n" ROWS_##count(STORE)                                                        \
                     : [panel] "+r"(panel), [index] "+r"(index)                                            \
                     : [wide] "r"(chunk.wide + chunk.bytes), [tile] "r"(tile), [first] "q"(chunk.first),   \
                       [nr] "i"(kNr)                                                                       \
                     : "cc", "memory", FB_VECTORS);                                                        \
  }
// clang-format on
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)

constexpr size_t kMr = 6;

template <size_t kNr>
void run_tile(const GemmTask& task) {
  constexpr void (*kTiles[])(const Chunk&, const char*, int32_t*) = {tile1<kNr>, tile2<kNr>, tile3<kNr>,
                                                                     tile4<kNr>, tile5<kNr>, tile6<kNr>};
  const size_t m = task.m != 0 ? task.m : kMr;
  int32_t* tile = static_cast<int32_t*>(task.tile);
  for_each_chunk<kMr, kNr>(task, m, [&](const Chunk& chunk) {
    for (size_t n = 0; n < kNr; n += 16) kTiles[m - 1](chunk, chunk.panel + n * 4, tile + n);
  });
  leave_ymm();
}

}  // namespace

void dot32_6x64k4__avx2(const GemmTask& task) { run_tile<64>(task); }
void dot32_6x32k4__avx2(const GemmTask& task) { run_tile<32>(task); }
void dot32_6x16k4__avx2(const GemmTask& task) { run_tile<16>(task); }

}  // namespace fewbins
