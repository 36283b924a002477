// SPDX-License-Identifier: Apache-2.0
// The plain float32 product: the reference of this family. See README.md for layout and rounding.
#include "kernels/tasks.h"

namespace fewbins {

void f32_1x8k1__scalar(const GemmTask& task) {
  constexpr size_t kNr = 8;
  float* tile = static_cast<float*>(task.tile);
  const float* w = static_cast<const float*>(task.panel);
  for (size_t j = 0; j < kNr; ++j) tile[j] = 0.0f;
  for (size_t t = 0; t < task.taps; ++t) {
    const float* a = static_cast<const float*>(task.rows[t]);
    for (size_t k = 0; k < task.depth; ++k, w += kNr) {
      for (size_t j = 0; j < kNr; ++j) tile[j] += a[k] * w[j];
    }
  }
}

}  // namespace fewbins
