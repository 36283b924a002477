// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit sums on AVX-512BW, as on AVX2: rows and weights are widened to 16 bits, vpmaddwd adds two products
// without saturating. Per step (2 depths x 32 columns x 1 row = 64 MACs): 1 broadcast load, 2 vpmaddwd, 2 vpaddd; bound
// by two vpmaddwd per cycle. Widening costs a load, a vpmovzxbw and a store per row and 32 depths: 7 to 10 % beside 32
// columns, half of that beside 64. The narrow tile has one vpmaddwd per broadcast and is for layers with few columns.
#include "kernels/dot32/widened.h"

namespace fewbins {
namespace {

// clang-format off: one instruction a line
// zmm0..15 the accumulators, zmm16 and zmm17 the panel, zmm18 and zmm19 the row's two depths in every lane, zmm20 to
// zmm23 products. X(first accumulator, second, lanes, first product, second, row)
#define ROWS_1(X) X("0", "1", "18", "20", "21", "0")
#define ROWS_2(X) ROWS_1(X) X("2", "3", "19", "22", "23", "1")
#define ROWS_3(X) ROWS_2(X) X("4", "5", "18", "20", "21", "2")
#define ROWS_4(X) ROWS_3(X) X("6", "7", "19", "22", "23", "3")
#define ROWS_5(X) ROWS_4(X) X("8", "9", "18", "20", "21", "4")
#define ROWS_6(X) ROWS_5(X) X("10", "11", "19", "22", "23", "5")
#define ROWS_7(X) ROWS_6(X) X("12", "13", "18", "20", "21", "6")
#define ROWS_8(X) ROWS_7(X) X("14", "15", "19", "22", "23", "7")
#define ZERO(acc0, acc1, lanes, p0, p1, row)                     \
  "vpxord %%zmm" acc0 ",%%zmm" acc0 ",%%zmm" acc0 "\n"           \
  "vpxord %%zmm" acc1 ",%%zmm" acc1 ",%%zmm" acc1 "\n"
#define LOAD_WIDE(acc0, acc1, lanes, p0, p1, row)                \
  "vmovdqa32 %c[nr]*4*" row "(%[tile]),%%zmm" acc0 "\n"               \
  "vmovdqa32 %c[nr]*4*" row "+64(%[tile]),%%zmm" acc1 "\n"
#define STORE_WIDE(acc0, acc1, lanes, p0, p1, row)               \
  "vmovdqa32 %%zmm" acc0 ",%c[nr]*4*" row "(%[tile])\n"               \
  "vmovdqa32 %%zmm" acc1 ",%c[nr]*4*" row "+64(%[tile])\n"
#define STEP_WIDE(acc0, acc1, lanes, p0, p1, row)                \
  "vpbroadcastd 2048*" row "(%[wide],%[index]),%%zmm" lanes "\n" \
  "vpmaddwd %%zmm16,%%zmm" lanes ",%%zmm" p0 "\n"                \
  "vpaddd %%zmm" p0 ",%%zmm" acc0 ",%%zmm" acc0 "\n"             \
  "vpmaddwd %%zmm17,%%zmm" lanes ",%%zmm" p1 "\n"                \
  "vpaddd %%zmm" p1 ",%%zmm" acc1 ",%%zmm" acc1 "\n"
#define PANEL_WIDE "prefetcht0 8192(%[panel])\nprefetcht0 8256(%[panel])\nvmovdqa32 (%[panel]),%%zmm16\nvmovdqa32 64(%[panel]),%%zmm17\n"
#define LOAD_NARROW(acc0, acc1, lanes, p0, p1, row) "vmovdqa32 64*" row "(%[tile]),%%zmm" acc0 "\n"
#define STORE_NARROW(acc0, acc1, lanes, p0, p1, row) "vmovdqa32 %%zmm" acc0 ",64*" row "(%[tile])\n"
#define STEP_NARROW(acc0, acc1, lanes, p0, p1, row)              \
  "vpbroadcastd 2048*" row "(%[wide],%[index]),%%zmm" lanes "\n" \
  "vpmaddwd %%zmm16,%%zmm" lanes ",%%zmm" p0 "\n"                \
  "vpaddd %%zmm" p0 ",%%zmm" acc0 ",%%zmm" acc0 "\n"
#define PANEL_NARROW "vmovdqa32 (%[panel]),%%zmm16\n"

// The columns of one half, or all, of kNr over one chunk.
#define TILE(name, ROWS, PANEL, LOAD, STEP, STORE)                                                             \
  template <size_t kNr>                                                                                        \
  void name(const Chunk& chunk, const char* panel, int32_t* tile) {                                            \
    size_t index = 0 - chunk.bytes;                                                                            \
    __asm__ volatile(ROWS(ZERO)                                                                                \
                     "testb %[first],%[first]\n"                                                               \
                     "jnz 1f\n" ROWS(LOAD)                                                                     \
                     "1:\n"                                                                                    \
                     ".p2align 4\n"                                                                            \
                     "2:\n" PANEL ROWS(STEP)                                                                   \
                     "add $4*%c[nr],%[panel]\n"                                                                \
                     "add $4,%[index]\n"                                                                       \
                     "jnz 2b\n" ROWS(STORE)                                                                    \
                     : [panel] "+r"(panel), [index] "+r"(index)                                                \
                     : [wide] "r"(chunk.wide + chunk.bytes), [tile] "r"(tile), [first] "q"(chunk.first),       \
                       [nr] "i"(kNr)                                                                           \
                     : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17",         \
                       "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23");                                  \
  }
// clang-format on
#define WIDE(count) TILE(wide##count, ROWS_##count, PANEL_WIDE, LOAD_WIDE, STEP_WIDE, STORE_WIDE)
WIDE(1)
WIDE(2)
WIDE(3)
WIDE(4)
WIDE(5)
WIDE(6)
WIDE(7)
WIDE(8)
#define NARROW(count) TILE(narrow##count, ROWS_##count, PANEL_NARROW, LOAD_NARROW, STEP_NARROW, STORE_NARROW)
NARROW(1)
NARROW(2)
NARROW(3)
NARROW(4)
NARROW(5)
NARROW(6)
NARROW(7)
NARROW(8)

using TileFn = void (*)(const Chunk&, const char*, int32_t*);
template <size_t kNr>
constexpr TileFn kWide[] = {wide1<kNr>, wide2<kNr>, wide3<kNr>, wide4<kNr>,
                            wide5<kNr>, wide6<kNr>, wide7<kNr>, wide8<kNr>};
constexpr TileFn kNarrow[] = {narrow1<16>, narrow2<16>, narrow3<16>, narrow4<16>,
                              narrow5<16>, narrow6<16>, narrow7<16>, narrow8<16>};
constexpr size_t kMr = 8;

/// kPart columns at a time.
template <size_t kNr, size_t kPart>
void run_tile(const TileFn* tiles, const GemmTask& task) {
  const size_t m = task.m != 0 ? task.m : kMr;
  int32_t* tile = static_cast<int32_t*>(task.tile);
  for_each_chunk<kMr, kNr>(task, m, [&](const Chunk& chunk) {
    for (size_t n = 0; n < kNr; n += kPart) tiles[m - 1](chunk, chunk.panel + n * 4, tile + n);
  });
  __asm__ volatile("vzeroupper");
}

}  // namespace

void dot32_8x64k4__avx512bw(const GemmTask& task) { run_tile<64, 32>(kWide<64>, task); }
void dot32_8x32k4__avx512bw(const GemmTask& task) { run_tile<32, 32>(kWide<32>, task); }
void dot32_8x16k4__avx512bw(const GemmTask& task) { run_tile<16, 16>(kNarrow, task); }

}  // namespace fewbins
