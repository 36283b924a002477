// SPDX-License-Identifier: Apache-2.0
// Depthwise weights, from (C, taps) to what each packer wants; depthwise_dot32/README.md draws the layouts.
#include <algorithm>
#include <cstring>

#include "kernels/kernels.h"

namespace fewbins {
namespace {

std::size_t round_up(std::size_t x, std::size_t to) { return (x + to - 1) / to * to; }

/// Taps whose products one instruction adds.
std::size_t group_of(Packer packer) {
  if (packer == Packer::tap_quads) return 4;
  return packer == Packer::tap_pairs ? 2 : 1;
}

/// Channels of the block that starts with `left` channels to go: a vector's, or for tap_quads the narrowest that holds
/// the rest.
std::size_t block_width(const DepthwiseKernel& kernel, std::size_t left) {
  if (kernel.packer != Packer::tap_quads || left > 32) return kernel.lanes;
  return left > 16 ? 32 : 16;
}

/// Where channel c of a block lies among its channels. Unpacks work on 16 bytes at a time, so a vector of L such lanes
/// gives accumulator r the channels 16 L + 4 r .. + 3 of every lane; pairs have two accumulators on lanes of 8
/// channels.
std::size_t place(Packer packer, std::size_t width, std::size_t c) {
  if (packer == Packer::tap_quads) return c % 16 / 4 * (width / 4) + c / 16 * 4 + c % 4;
  if (packer == Packer::tap_pairs) return c % 8 / 4 * 8 + c / 8 * 4 + c % 4;
  return c;
}

}  // namespace

std::size_t packed_depthwise_bytes(const DepthwiseKernel& kernel, std::size_t taps, std::size_t channels) {
  std::size_t item = 1;
  if (kernel.packer == Packer::taps_f32) item = sizeof(float);
  if (kernel.packer == Packer::tap_pairs) item = sizeof(std::int16_t);
  return round_up(round_up(taps, group_of(kernel.packer)) * round_up(channels, kernel.lanes) * item, 64);
}

void pack_depthwise(const DepthwiseKernel& kernel, const std::int8_t* w, std::size_t taps, std::size_t channels,
                    void* out) {
  std::memset(out, 0, packed_depthwise_bytes(kernel, taps, channels));
  if (kernel.packer == Packer::taps_i8) {
    std::int8_t* to = static_cast<std::int8_t*>(out);
    const std::size_t width = round_up(channels, kernel.lanes);
    for (std::size_t c = 0; c < channels; ++c) {
      for (std::size_t t = 0; t < taps; ++t) to[t * width + c] = w[c * taps + t];
    }
    return;
  }
  const std::size_t group = group_of(kernel.packer);
  const std::size_t padded_taps = round_up(taps, group);
  std::size_t base = 0;  // elements before the block
  for (std::size_t first = 0; first < channels;) {
    const std::size_t width = block_width(kernel, channels - first);
    const std::size_t count = std::min(width, channels - first);
    for (std::size_t c = 0; c < count; ++c) {
      for (std::size_t t = 0; t < taps; ++t) {
        const std::size_t at = base + (t / group * width + place(kernel.packer, width, c)) * group + t % group;
        const std::int8_t value = w[(first + c) * taps + t];
        if (kernel.packer == Packer::tap_pairs) {
          static_cast<std::int16_t*>(out)[at] = value;
        } else {
          static_cast<std::int8_t*>(out)[at] = value;
        }
      }
    }
    base += padded_taps * width;
    first += width;
  }
}

void pack_depthwise_f32(const DepthwiseKernel& kernel, const float* w, std::size_t taps, std::size_t channels,
                        void* out) {
  const std::size_t width = round_up(channels, kernel.lanes);
  float* to = static_cast<float*>(out);
  std::memset(out, 0, packed_depthwise_bytes(kernel, taps, channels));
  for (std::size_t t = 0; t < taps; ++t) {
    for (std::size_t c = 0; c < channels; ++c) to[t * width + c] = w[c * taps + t];
  }
}

}  // namespace fewbins
