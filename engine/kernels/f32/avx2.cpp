// SPDX-License-Identifier: Apache-2.0
// float32 on AVX2 and FMA. Per step (1 depth x 16 columns x 1 row = 16 MACs): 1 broadcast load, 2 vfmadd231ps; bound by
// the two multiply-adds per cycle. The only place besides its AVX-512 twin where products are not rounded by
// themselves.
#include "kernels/tasks.h"
#include "kernels/tile_avx2.h"

namespace fewbins {

FB_KERNEL(f32_6x16k1__avx2, FB_STEP_F32, sizeof(float))

}  // namespace fewbins
