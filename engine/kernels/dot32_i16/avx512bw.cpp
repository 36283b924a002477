// SPDX-License-Identifier: Apache-2.0
// 16-bit operands on AVX-512BW: vpmaddwd adds two products, vpaddd adds that to the sum, both modulo 2^32.
// Per step (2 depths x 32 columns x 1 row = 64 MACs): 1 broadcast load, 2 vpmaddwd, 2 vpaddd; bound by two vpmaddwd
// per cycle.
#include "kernels/tasks.h"
#include "kernels/tile_avx512.h"

namespace fewbins {

FB_KERNEL(dot32_i16_8x32k2__avx512bw, tile, FB_PANEL_WIDE, FB_STEP_I16, FB_STORE, 2 * sizeof(int16_t))

}  // namespace fewbins
