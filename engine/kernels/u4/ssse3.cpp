// SPDX-License-Identifier: Apache-2.0
// The four-bit algorithm on SSSE3. Per step (8 depths x 8 columns x 1 row = 64 MACs): 1 movddup load, 3 copies, 4
// pmaddubsw, 4 paddw; nothing is widened before the end. Bound by two pmaddubsw per cycle. A column's sum lies in four
// 16-bit lanes, which are joined modulo 2^16.
#include "kernels/tile_ssse3.h"

namespace fewbins {
namespace {

FB_TILES(U4)

}  // namespace

void u4_3x8k8__ssse3(const GemmTask& task) { run_tile(task); }

}  // namespace fewbins
