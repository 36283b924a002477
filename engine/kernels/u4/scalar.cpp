// SPDX-License-Identifier: Apache-2.0
// The four-bit algorithm plainly: one unsigned 16-bit sum per column that wraps as the instructions do, so a depth that
// does not fit shows here too. See README.md.
#include "kernels/tasks.h"

namespace fewbins {

void u4_1x8k4__scalar(const GemmTask& task) {
  constexpr size_t kNr = 8;
  int32_t* tile = static_cast<int32_t*>(task.tile);
  const uint8_t* w = static_cast<const uint8_t*>(task.panel);
  uint16_t sums[kNr] = {};
  for (size_t t = 0; t < task.taps; ++t) {
    const uint8_t* a = static_cast<const uint8_t*>(task.rows[t]);
    for (size_t quad = 0; quad < task.depth; ++quad, a += 4) {
      for (size_t j = 0; j < kNr; ++j, w += 4) {
        const int products = a[0] * w[0] + a[1] * w[1] + a[2] * w[2] + a[3] * w[3];
        sums[j] = static_cast<uint16_t>(sums[j] + products);
      }
    }
  }
  for (size_t j = 0; j < kNr; ++j) tile[j] = sums[j];
}

}  // namespace fewbins
