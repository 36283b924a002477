// SPDX-License-Identifier: Apache-2.0
// 16-bit depthwise sums on AVX2, 32 channels at a time, the last 16 or fewer in a half vector. Per output of a 3x3 line
// (288 MACs): 10 vpmaddubsw, 10 vpaddw, 4 unpacks; README.md counts the rest.
#include <stddef.h>
#include <stdint.h>

#include "kernels/depthwise_dot16/block16.h"
#include "kernels/depthwise_dot16/block32.h"
#include "kernels/depthwise_dot16/body.h"

namespace fewbins {

void depthwise_dot16__avx2(const DepthwiseTask& task) { sum_pixels<Block32, Block16, Block16>(task); }
void depthwise_dot16_line__avx2(const DepthwiseLineTask& task) { sum_lines<Block32, Block16, Block16>(task); }

}  // namespace fewbins
