// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit sums on AVX-VNNI: vpdpbusd adds four products modulo 2^32 (vpdpbusds would saturate), in 256 bits.
// Per step (4 depths x 16 columns x 1 row = 64 MACs): 1 broadcast load, 2 vpdpbusd; bound by two vpdpbusd per cycle.
#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {

FB_KERNEL(dot32_6x16k4__avxvnni, FB_STEP_DOT32_VNNI, 4)

}  // namespace fewbins
