// SPDX-License-Identifier: Apache-2.0
// Depthwise weights, from (C, taps) to what each packer wants, and the proof that 16 bits hold a window;
// depthwise_dot32/README.md and depthwise_dot16/README.md draw the layouts.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/aligned.h"
#include "kernels/kernels.h"

namespace fewbins {
namespace {

std::size_t round_up(std::size_t x, std::size_t to) { return (x + to - 1) / to * to; }

/// Taps whose products one instruction adds.
std::size_t group_of(Packer packer) {
  if (packer == Packer::tap_quads) return 4;
  return packer == Packer::tap_pairs ? 2 : 1;
}

/// Channels of the block that starts with `left` channels to go: a vector's, or for tap_quads and tap_bytes the
/// narrowest that holds the rest.
std::size_t block_width(const DepthwiseKernel& kernel, std::size_t left) {
  std::size_t width = kernel.lanes;
  if (kernel.packer != Packer::tap_quads && kernel.packer != Packer::tap_bytes) return width;
  while (width > 16 && left <= width / 2) width /= 2;
  return width;
}

/// Where channel c of a block lies among its channels. Unpacks work on 16 bytes at a time, so a vector of L such lanes
/// gives accumulator r the channels 16 L + 4 r .. + 3 of every lane; pairs have two accumulators on lanes of 8
/// channels.
std::size_t place(Packer packer, std::size_t width, std::size_t c) {
  if (packer == Packer::tap_quads) return c % 16 / 4 * (width / 4) + c / 16 * 4 + c % 4;
  if (packer == Packer::tap_pairs) return c % 8 / 4 * (width / 2) + c / 8 * 4 + c % 4;
  return c;
}

// ---- 16-bit sums ----------------------------------------------------------------------------------------------------

constexpr std::int32_t kMax16 = 32767;

/// The taps that share a pair of bytes; a tap without a partner stands first.
struct TapPair {
  std::size_t first;
  std::size_t second;
};

/// The pairs of a window in the order of the packing: those of 3x3 suit lines, see depthwise_dot16/body.h.
std::vector<TapPair> pairs_of(std::size_t taps) {
  if (taps == 9) return {{0, 3}, {1, 4}, {2, 5}, {6, taps}, {7, 8}};
  std::vector<TapPair> pairs;
  for (std::size_t t = 0; t < taps; t += 2) pairs.push_back({t, t + 1});
  return pairs;
}

std::int32_t sum_of(const std::int8_t* w, std::size_t taps) {
  std::int32_t sum = 0;
  for (std::size_t t = 0; t < taps; ++t) sum += w[t];
  return sum;
}

/// Byte of the first of two neighbours of channel c in a block, from the start of two vectors: channels 0-7 of every 16
/// fill the first, 8-15 the second.
std::size_t byte_of(std::size_t width, std::size_t c) { return c % 16 / 8 * width + c / 16 * 16 + c % 8 * 2; }

void pack_tap_bytes(const DepthwiseKernel& kernel, const std::int8_t* w, std::size_t taps, std::size_t channels,
                    std::int32_t lo, std::int8_t* out) {
  const std::vector<TapPair> pairs = pairs_of(taps);
  for (std::size_t first = 0; first < channels;) {
    const std::size_t width = block_width(kernel, channels - first);
    for (std::size_t c = 0; c < std::min(width, channels - first); ++c) {
      const std::int8_t* own = w + (first + c) * taps;
      std::int8_t* to = out + byte_of(width, c);
      const auto start = static_cast<std::uint16_t>(lo * sum_of(own, taps) + 32768);  // modulo 2^16
      std::memcpy(to, &start, sizeof start);
      for (const TapPair& pair : pairs) {
        to += 2 * width;
        to[0] = own[pair.first];
        to[1] = pair.second < taps ? own[pair.second] : std::int8_t{0};
      }
    }
    out += (2 + 2 * pairs.size()) * width;
    first += width;
  }
}

/// Rows that multiply u - `centre` make up for it in the starts. Lines have `width` channels.
void pack_taps_starts(const std::int8_t* w, std::size_t taps, std::size_t channels, std::size_t width, std::int32_t lo,
                      std::int32_t centre, std::int8_t* out) {
  for (std::size_t c = 0; c < channels; ++c) {
    const auto start = static_cast<std::uint16_t>((lo + centre) * sum_of(w + c * taps, taps));
    std::memcpy(out + 2 * c, &start, sizeof start);
    for (std::size_t t = 0; t < taps; ++t) out[(2 + t) * width + c] = w[c * taps + t];
  }
}

}  // namespace

bool depthwise_fits16(const std::int8_t* w, std::size_t taps, std::size_t channels, ActivationLevels levels) {
  const std::vector<TapPair> pairs = pairs_of(taps);
  const std::int64_t magnitude = std::max(-levels.lo, levels.hi);
  const std::int32_t top = levels.hi - levels.lo;  // bins - 1
  for (std::size_t c = 0; c < channels; ++c, w += taps) {
    std::int64_t sum = 0;
    for (std::size_t t = 0; t < taps; ++t) sum += std::abs(w[t]);
    if (magnitude * sum > kMax16) return false;
    for (const TapPair& pair : pairs) {
      const std::int32_t a = w[pair.first];
      const std::int32_t b = pair.second < taps ? w[pair.second] : 0;
      const std::int32_t positive = std::max(a, 0) + std::max(b, 0);
      const std::int32_t negative = std::max(-a, 0) + std::max(-b, 0);
      if (top * std::max(positive, negative) > kMax16) return false;
    }
  }
  return true;
}

bool depthwise_is_direct(const std::int32_t* bias, const float* m, std::size_t channels) {
  for (std::size_t c = 0; c < channels; ++c) {
    if (std::abs(std::int64_t{bias[c]}) > 1 << 22 || !(std::abs(m[c]) <= 128.0F)) return false;
  }
  return true;
}

std::size_t depthwise_scales_bytes(const DepthwiseKernel& kernel, std::size_t channels) {
  return 2 * round_up(channels, kernel.lanes) * sizeof(float);
}

void pack_depthwise_scales(const DepthwiseKernel& kernel, const std::int32_t* bias, const float* m,
                           std::size_t channels, void* out) {
  std::memset(out, 0, depthwise_scales_bytes(kernel, channels));
  const bool vectors = kernel.packer == Packer::tap_bytes;
  // Takes off what the kernel's floats have too much: see Requantizer in depthwise_dot16/body.h.
  const std::int32_t excess = vectors ? (1 << 23) + (1 << 15) : 0;
  float* to = static_cast<float*>(out);
  for (std::size_t first = 0; first < channels;) {
    const std::size_t width = block_width(kernel, channels - first);
    for (std::size_t c = 0; c < std::min(width, channels - first); ++c) {
      const std::size_t at = vectors ? place(Packer::tap_quads, width, c) : c;
      to[at] = static_cast<float>(bias[first + c] - excess);
      to[width + at] = m[first + c];
    }
    to += 2 * width;
    first += width;
  }
}

std::size_t packed_depthwise_bytes(const DepthwiseKernel& kernel, std::size_t taps, std::size_t channels) {
  // Nothing below is larger.
  static_cast<void>(memory_size((Size(taps) + 4) * sizeof(float) * round_up(channels, kernel.lanes)));
  if (kernel.packer == Packer::taps_starts || kernel.packer == Packer::taps_centred)
    return round_up((2 + taps) * round_up(channels, kernel.lanes), 64);
  if (kernel.packer == Packer::tap_bytes) return (2 + round_up(taps, 2)) * round_up(channels, kernel.lanes);
  std::size_t item = 1;
  if (kernel.packer == Packer::taps_f32) item = sizeof(float);
  if (kernel.packer == Packer::tap_pairs) item = sizeof(std::int16_t);
  return round_up(round_up(taps, group_of(kernel.packer)) * round_up(channels, kernel.lanes) * item, 64);
}

void pack_depthwise(const DepthwiseKernel& kernel, const std::int8_t* w, std::size_t taps, std::size_t channels,
                    void* out, ActivationLevels levels) {
  std::memset(out, 0, packed_depthwise_bytes(kernel, taps, channels));
  if (kernel.packer == Packer::taps_starts || kernel.packer == Packer::taps_centred) {
    pack_taps_starts(w, taps, channels, round_up(channels, kernel.lanes), levels.lo,
                     kernel.packer == Packer::taps_centred ? 128 : 0, static_cast<std::int8_t*>(out));
    return;
  }
  if (kernel.packer == Packer::tap_bytes) {
    pack_tap_bytes(kernel, w, taps, channels, levels.lo, static_cast<std::int8_t*>(out));
    return;
  }
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
