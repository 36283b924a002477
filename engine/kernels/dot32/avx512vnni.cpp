// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit sums on AVX-512 VNNI: vpdpbusd adds four products modulo 2^32 (vpdpbusds would saturate).
// Per step (4 depths x 32 columns x 1 row = 128 MACs): 1 broadcast load, 2 vpdpbusd; bound by two vpdpbusd per cycle.
// The narrow tile has one vpdpbusd per broadcast and is bound by loads; it is for layers with few columns.
#include "kernels/tasks.h"
#include "kernels/tile_avx512.h"

namespace fewbins {

FB_KERNEL(dot32_8x32k4__avx512vnni, wide, FB_PANEL_WIDE, FB_STEP_DOT32, FB_STORE, 4)
FB_KERNEL(dot32_8x16k4__avx512vnni, narrow, FB_PANEL_NARROW, FB_STEP_DOT32_NARROW, FB_STORE_NARROW, 4)

}  // namespace fewbins
