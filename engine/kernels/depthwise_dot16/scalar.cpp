// SPDX-License-Identifier: Apache-2.0
// The plain 16-bit depthwise sum, the reference of this family: lanes wrap as they do in vectors. See README.md.
#include "kernels/elementwise/rules.h"
#include "kernels/tasks.h"

namespace fewbins {
namespace {

/// Channel c of a 3x3 window whose left column is x.
int16_t sum_window(const DepthwiseLineTask& task, ptrdiff_t x, size_t c) {
  const int16_t* starts = static_cast<const int16_t*>(task.weights);
  const int8_t* w = reinterpret_cast<const int8_t*>(starts + task.channels);
  uint32_t lane = static_cast<uint32_t>(starts[c]);
  for (size_t r = 0; r < 3; ++r) {
    for (size_t k = 0; k < 3; ++k) {
      const size_t at = static_cast<size_t>(x) + k;
      const uint8_t* pixel = at < task.width ? task.lines[r] + at * task.steps[r] : task.padding;
      lane += static_cast<uint32_t>(pixel[c] * w[(3 * r + k) * task.channels + c]);
    }
  }
  return static_cast<int16_t>(lane);  // modulo 2^16
}

}  // namespace

void depthwise_dot16__scalar(const DepthwiseTask& task) {
  const int16_t* starts = static_cast<const int16_t*>(task.weights);
  const int8_t* w = reinterpret_cast<const int8_t*>(starts + task.channels);
  for (size_t p = 0; p < task.pixels; ++p) {
    int32_t* out = static_cast<int32_t*>(task.out) + p * task.out_stride;
    for (size_t c = 0; c < task.channels; ++c) {
      uint32_t lane = static_cast<uint32_t>(starts[c]);
      for (size_t t = 0; t < task.taps; ++t) {
        const int32_t u = static_cast<const uint8_t*>(task.rows[p * task.taps + t])[c];
        lane += static_cast<uint32_t>(u * w[t * task.channels + c]);
      }
      out[c] = static_cast<int16_t>(lane);  // modulo 2^16
    }
  }
}

void depthwise_dot16_line__scalar(const DepthwiseLineTask& task) {
  for (size_t p = 0; p < task.pixels; ++p) {
    const ptrdiff_t x = task.first + static_cast<ptrdiff_t>(task.stride * p);
    for (size_t c = 0; c < task.channels; ++c) {
      const int32_t sum = sum_window(task, x, c);
      if (task.out == nullptr) {
        task.sums[p * task.channels + c] = sum;
      } else {
        const float acc = static_cast<float>(sum) + task.scales[2 * c];
        task.out[p * task.channels + c] = store_float(acc * task.scales[2 * c + 1], task.store);
      }
    }
  }
}

}  // namespace fewbins
