// SPDX-License-Identifier: Apache-2.0
// The plain product of 16-bit integers: tile[j] = sum over k of a[k] * w[j][k], modulo 2^32. See README.md.
#include "kernels/tasks.h"

namespace fewbins {

void dot32_i16_1x8k2__scalar(const GemmTask& task) {
  constexpr size_t kNr = 8;
  int32_t* tile = static_cast<int32_t*>(task.tile);
  const int16_t* w = static_cast<const int16_t*>(task.panel);
  uint32_t sums[kNr] = {};  // unsigned: sums are modulo 2^32
  for (size_t t = 0; t < task.taps; ++t) {
    const int16_t* a = static_cast<const int16_t*>(task.rows[t]);
    for (size_t pair = 0; pair < task.depth; ++pair, a += 2) {
      for (size_t j = 0; j < kNr; ++j, w += 2) {
        sums[j] += static_cast<uint32_t>(a[0] * w[0]) + static_cast<uint32_t>(a[1] * w[1]);
      }
    }
  }
  for (size_t j = 0; j < kNr; ++j) tile[j] = static_cast<int32_t>(sums[j]);
}

}  // namespace fewbins
