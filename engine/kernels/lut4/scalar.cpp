// SPDX-License-Identifier: Apache-2.0
// The plain product with weights of four bits, the reference of this family. See README.md.
#include "kernels/tasks.h"

namespace fewbins {

void lut4_1x8k8__scalar(const GemmTask& task) {
  constexpr size_t kNr = 8;
  const int8_t* table = static_cast<const int8_t*>(task.panel);
  const uint8_t* nibbles = static_cast<const uint8_t*>(task.panel) + 64 + kNr * sizeof(int32_t);
  const size_t octets = (task.depth + 7) / 8;
  int32_t* tile = static_cast<int32_t*>(task.tile);
  for (size_t j = 0; j < kNr; ++j) {
    uint32_t sum = 0;
    for (size_t t = 0; t < task.taps; ++t) {
      const uint8_t* row = static_cast<const uint8_t*>(task.rows[t]);
      for (size_t k = 0; k < task.depth; ++k) {
        const uint8_t both = nibbles[((t * octets + k / 8) * kNr + j) * 4 + k % 4];
        sum += static_cast<uint32_t>(row[k] * table[k % 8 < 4 ? both % 16 : both / 16]);
      }
    }
    tile[j] = static_cast<int32_t>(sum);
  }
}

}  // namespace fewbins
