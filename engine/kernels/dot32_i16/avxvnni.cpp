// SPDX-License-Identifier: Apache-2.0
// 16-bit operands on AVX-VNNI: vpdpwssd adds two products to the sum modulo 2^32 (vpdpwssds would saturate).
// Per step (2 depths x 16 columns x 1 row = 32 MACs): 1 broadcast load, 2 vpdpwssd; bound by two of them per cycle.
#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {

FB_KERNEL(dot32_i16_6x16k2__avxvnni, FB_STEP_I16_VNNI, 2 * sizeof(int16_t))

}  // namespace fewbins
