// SPDX-License-Identifier: Apache-2.0
// The plain depthwise sum of u8 x s8, the reference of this family. See README.md.
#include "kernels/tasks.h"

namespace fewbins {

void depthwise_dot32__scalar(const DepthwiseTask& task) {
  const int8_t* w = static_cast<const int8_t*>(task.weights);
  for (size_t p = 0; p < task.pixels; ++p) {
    int32_t* out = static_cast<int32_t*>(task.out) + p * task.out_stride;
    for (size_t c = 0; c < task.channels; ++c) out[c] = 0;
    for (size_t t = 0; t < task.taps; ++t) {
      const uint8_t* a = static_cast<const uint8_t*>(task.rows[p * task.taps + t]);
      for (size_t c = 0; c < task.channels; ++c) out[c] += a[c] * w[t * task.channels + c];
    }
  }
}

}  // namespace fewbins
