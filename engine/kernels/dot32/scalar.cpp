// SPDX-License-Identifier: Apache-2.0
// The plain 8-bit product: tile[j] = sum over k of u[k] * w[j][k], modulo 2^32. See README.md.
#include "kernels/tasks.h"

namespace fewbins {

void dot32_1x8k4__scalar(const GemmTask& task) {
  constexpr size_t kNr = 8;
  int32_t* tile = static_cast<int32_t*>(task.tile);
  const int8_t* w = static_cast<const int8_t*>(task.panel);
  uint32_t sums[kNr] = {};  // unsigned: sums are modulo 2^32
  for (size_t t = 0; t < task.taps; ++t) {
    const uint8_t* a = static_cast<const uint8_t*>(task.rows[t]);
    for (size_t quad = 0; quad < task.depth; ++quad, a += 4) {
      for (size_t j = 0; j < kNr; ++j, w += 4) {
        const int32_t sum = a[0] * w[0] + a[1] * w[1] + a[2] * w[2] + a[3] * w[3];
        sums[j] += static_cast<uint32_t>(sum);
      }
    }
  }
  for (size_t j = 0; j < kNr; ++j) tile[j] = static_cast<int32_t>(sums[j]);
}

}  // namespace fewbins
