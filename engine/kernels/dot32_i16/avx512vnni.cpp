// SPDX-License-Identifier: Apache-2.0
// 16-bit operands on AVX-512 VNNI: vpdpwssd adds two products to the sum modulo 2^32 (vpdpwssds would saturate).
// Per step (2 depths x 32 columns x 1 row = 64 MACs): 1 broadcast load, 2 vpdpwssd; bound by two vpdpwssd per cycle.
#include "kernels/tasks.h"
#include "kernels/tile_avx512.h"

namespace fewbins {

FB_KERNEL(dot32_i16_8x32k2__avx512vnni, tile, FB_PANEL_WIDE, FB_STEP_I16_VNNI, FB_STORE, 2 * sizeof(int16_t))

}  // namespace fewbins
