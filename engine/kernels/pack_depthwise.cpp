// SPDX-License-Identifier: Apache-2.0
// Depthwise weights, from (C, taps) to what each packer wants; depthwise/README.md draws the layouts.
#include <cstring>

#include "kernels/kernels.h"

namespace fewbins {
namespace {

std::size_t padded(const DepthwiseKernel& kernel, std::size_t channels) {
  return (channels + kernel.lanes - 1) / kernel.lanes * kernel.lanes;
}

/// Taps per group: those whose products one instruction adds.
std::size_t group_of(Packer packer) {
  if (packer == Packer::tap_quads) return 4;
  return packer == Packer::tap_pairs ? 2 : 1;
}

}  // namespace

std::size_t packed_depthwise_bytes(const DepthwiseKernel& kernel, std::size_t taps, std::size_t channels) {
  const std::size_t group = group_of(kernel.packer);
  const std::size_t groups = (taps + group - 1) / group;
  std::size_t item = 1;
  if (kernel.packer == Packer::taps_f32) item = sizeof(float);
  if (kernel.packer == Packer::tap_pairs) item = sizeof(std::int16_t);
  return (groups * group * padded(kernel, channels) * item + 63) / 64 * 64;
}

void pack_depthwise(const DepthwiseKernel& kernel, const std::int8_t* w, std::size_t taps, std::size_t channels,
                    void* out) {
  const std::size_t group = group_of(kernel.packer);
  const std::size_t groups = (taps + group - 1) / group;
  const std::size_t width = padded(kernel, channels);
  std::memset(out, 0, packed_depthwise_bytes(kernel, taps, channels));
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t i = 0; i < group && g * group + i < taps; ++i) {
        const std::int8_t value = w[c * taps + g * group + i];
        const std::size_t at = (g * width + c) * group + i;
        if (kernel.packer == Packer::tap_pairs) {
          static_cast<std::int16_t*>(out)[at] = value;
        } else {
          static_cast<std::int8_t*>(out)[at] = value;
        }
      }
    }
  }
}

void pack_depthwise_f32(const DepthwiseKernel& kernel, const float* w, std::size_t taps, std::size_t channels,
                        void* out) {
  const std::size_t width = padded(kernel, channels);
  float* to = static_cast<float*>(out);
  std::memset(out, 0, packed_depthwise_bytes(kernel, taps, channels));
  for (std::size_t t = 0; t < taps; ++t) {
    for (std::size_t c = 0; c < channels; ++c) to[t * width + c] = w[c * taps + t];
  }
}

}  // namespace fewbins
