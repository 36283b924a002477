// SPDX-License-Identifier: Apache-2.0
// 16-bit operands on AVX2: vpmaddwd adds two products, vpaddd adds that to the sum, both modulo 2^32.
// Per step (2 depths x 16 columns x 1 row = 32 MACs): 1 broadcast load, 2 vpmaddwd, 2 vpaddd; bound by two vpmaddwd
// per cycle.
#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {

FB_KERNEL(dot32_i16_6x16k2__avx2, FB_STEP_I16, 2 * sizeof(int16_t))

}  // namespace fewbins
