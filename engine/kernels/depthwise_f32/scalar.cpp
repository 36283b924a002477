// SPDX-License-Identifier: Apache-2.0
// The plain depthwise sum in float32: the reference of this family. See README.md.
#include "kernels/tasks.h"

namespace fewbins {

void depthwise_f32__scalar(const DepthwiseTask& task) {
  const float* w = static_cast<const float*>(task.weights);
  for (size_t p = 0; p < task.pixels; ++p) {
    float* out = static_cast<float*>(task.out) + p * task.out_stride;
    for (size_t c = 0; c < task.channels; ++c) out[c] = 0.0f;
    for (size_t t = 0; t < task.taps; ++t) {
      const float* a = static_cast<const float*>(task.rows[p * task.taps + t]);
      for (size_t c = 0; c < task.channels; ++c) out[c] += a[c] * w[t * task.channels + c];
    }
  }
}

}  // namespace fewbins
