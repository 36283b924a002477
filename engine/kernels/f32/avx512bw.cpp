// SPDX-License-Identifier: Apache-2.0
// float32 on AVX-512. Per step (1 depth x 32 columns x 1 row = 32 MACs): 1 broadcast load, 2 vfmadd231ps; bound by the
// two multiply-adds per cycle. The narrow tile has one multiply-add per load and is for layers with few columns.
#include "kernels/tasks.h"
#include "kernels/tile_avx512.h"

namespace fewbins {

FB_KERNEL(f32_8x32k1__avx512bw, wide, FB_PANEL_WIDE, FB_STEP_F32, FB_STORE, sizeof(float))
FB_KERNEL(f32_8x16k1__avx512bw, narrow, FB_PANEL_NARROW, FB_STEP_F32_NARROW, FB_STORE_NARROW, sizeof(float))

}  // namespace fewbins
