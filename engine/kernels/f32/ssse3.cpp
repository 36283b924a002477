// SPDX-License-Identifier: Apache-2.0
// float32 on SSE. Per step (2 depths x 8 columns x 1 row = 16 MACs): 2 movddup loads, 2 copies, 4 mulps, 4 addps; bound
// by two mulps and two addps per cycle. Each of a column's two lanes sums every other depth; haddps joins them. No
// product is fused with its addition.
#include <pmmintrin.h>

#include "kernels/tasks.h"
#include "kernels/tile_ssse3.h"

namespace fewbins {
namespace {

// clang-format off: one instruction a line
// 1: a tap; 2: a step; 3: an odd last channel; 4: the next tap.
#define TILE(count)                                                                                                  \
  void tile##count(const GemmTask& task, float* sums) {                                                              \
    const void* const* rows = task.rows;                                                                             \
    const void* panel = task.panel;                                                                                  \
    size_t taps = task.taps;                                                                                         \
    const size_t even = task.depth / 2 * 8;                                                                          \
    const size_t odd = task.depth % 2;                                                                               \
    size_t index;                                                                                                    \
    __asm__ volatile(                                                                                                \
        FB_ROWS_##count(FB_ZERO)                                                                                     \
        "1:\n" FB_ROWS_##count(FB_POINTER)                                                                           \
        "mov %[even],%[index]\n" FB_ROWS_##count(ADVANCE)                                                            \
        "neg %[index]\n"                                                                                             \
        "jz 3f\n"                                                                                                    \
        FB_STEPS("2", FB_ROWS_##count, FB_LOW_F32, FB_HIGH_F32)                                                      \
        "3:\n"                                                                                                       \
        "cmpq $0,%[odd]\n"                                                                                           \
        "je 4f\n"                                                                                                    \
        FB_STEP(FB_ROWS_##count, FB_LAST_LOW_F32, FB_LAST_HIGH_F32)                                                  \
        "4:\n"                                                                                                       \
        "add %[stride],%[rows]\n"                                                                                    \
        "dec %[taps]\n"                                                                                              \
        "jnz 1b\n" FB_ROWS_##count(FB_STORE)                                                                         \
        : [rows] "+r"(rows), [panel] "+r"(panel), [taps] "+r"(taps), [index] "=&r"(index)                            \
        : [even] "m"(even), [odd] "m"(odd), [sums] "r"(sums), [stride] "i"(kMr * sizeof(void*)), [step] "i"(kStepBytes)                      \
        : FB_CLOBBERS);                                                                                              \
  }
#define ADVANCE(acc0, acc1, acc2, acc3, row, offset) "add %[index],%%" row "\n"
// clang-format on
TILE(1)
TILE(2)
TILE(3)

}  // namespace

void f32_3x8k2__ssse3(const GemmTask& task) {
  constexpr void (*kTiles[])(const GemmTask&, float*) = {tile1, tile2, tile3};
  const size_t m = task.m != 0 ? task.m : kMr;
  alignas(16) float sums[kMr * kSums];
  kTiles[m - 1](task, sums);
  float* tile = static_cast<float*>(task.tile);
  for (size_t i = 0; i < m; ++i) {
    const float* from = sums + i * kSums;
    _mm_store_ps(tile + i * kNr, _mm_hadd_ps(_mm_load_ps(from), _mm_load_ps(from + 4)));
    _mm_store_ps(tile + i * kNr + 4, _mm_hadd_ps(_mm_load_ps(from + 8), _mm_load_ps(from + 12)));
  }
}

}  // namespace fewbins
