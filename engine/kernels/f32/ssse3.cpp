// SPDX-License-Identifier: Apache-2.0
// float32 on SSE. Per step (2 depths x 8 columns x 1 row = 16 MACs): 1 movddup load, 3 copies, 4 mulps, 4 addps; bound
// by two mulps and two addps per cycle. Each of a column's two lanes sums every other depth; haddps joins them. No
// product is fused with its addition.
#include "kernels/tile_ssse3.h"

namespace fewbins {
namespace {

FB_TILES(F32)

}  // namespace

void f32_3x8k2__ssse3(const GemmTask& task) { run_tile(task); }

}  // namespace fewbins
