// SPDX-License-Identifier: Apache-2.0
// int16 x int16 on SSSE3. Per step (4 depths x 8 columns x 1 row = 32 MACs): 1 movddup load, 3 copies, 4 pmaddwd, 4
// paddd, which wrap modulo 2^32. Bound by two pmaddwd per cycle. phaddd joins a column's two lanes at the end.
#include "kernels/tile_ssse3.h"

namespace fewbins {
namespace {

FB_TILES(DOT32)

}  // namespace

void dot32_i16_3x8k4__ssse3(const GemmTask& task) { run_tile(task); }

}  // namespace fewbins
