// SPDX-License-Identifier: Apache-2.0
// 16-bit depthwise sums on SSSE3, 16 channels at a time. Per output of a 3x3 line (144 MACs): 10 pmaddubsw, 10 paddw, 4
// unpacks; README.md counts the rest.
#include <stddef.h>
#include <stdint.h>

#include "kernels/depthwise_dot16/block16.h"
#include "kernels/depthwise_dot16/body.h"

namespace fewbins {

void depthwise_dot16__ssse3(const DepthwiseTask& task) { sum_pixels<Block16, Block16, Block16>(task); }
void depthwise_dot16_line__ssse3(const DepthwiseLineTask& task) { sum_lines<Block16, Block16, Block16>(task); }

}  // namespace fewbins
