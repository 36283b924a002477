// SPDX-License-Identifier: Apache-2.0
// Weights into panels, and the proof that 16-bit blocks cannot overflow.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/kernels.h"

namespace fewbins {
namespace {

constexpr std::size_t kBorder = 64;  // panels start on cache lines
constexpr std::int32_t kMax16 = 32767;

std::size_t round_up(std::size_t x, std::size_t to) { return (x + to - 1) / to * to; }

std::size_t quads_of(std::size_t channels) { return (channels + 3) / 4; }

/// Weight of column n at flat quad `quad` (quads of all taps in a row), depth `i` of the quad; 0 past the channels.
std::int8_t weight_at(const WeightView& v, std::size_t n, std::size_t quad, std::size_t i) {
  const std::size_t depth = quads_of(v.channels);
  const std::size_t channel = quad % depth * 4 + i;
  if (n >= v.n || channel >= v.channels) return 0;
  return v.w[(n * v.taps + quad / depth) * v.channels + channel];
}

/// One past the last flat quad of the block that starts at `first`: inside its tap, or a whole number of taps.
std::size_t block_end(std::size_t first, std::size_t taps, std::size_t depth, std::size_t block) {
  const std::size_t limit = block < depth ? (first / depth + 1) * depth : taps * depth;
  return std::min(first + block, limit);
}

std::size_t block_count(std::size_t taps, std::size_t depth, std::size_t block) {
  if (block < depth) return taps * ((depth + block - 1) / block);
  return (taps * depth + block - 1) / block;
}

/// Where one quad of a column lies, unpacked: the four weights, and the sum of each of its two lanes.
struct Quad {
  std::int8_t w[4];
  explicit Quad(const WeightView& v, std::size_t n, std::size_t quad) {
    for (std::size_t i = 0; i < 4; ++i) w[i] = weight_at(v, n, quad, i);
  }
  [[nodiscard]] std::int32_t lane_sum(std::size_t lane) const { return w[2 * lane] + w[2 * lane + 1]; }
  [[nodiscard]] std::int32_t lane_size(std::size_t lane) const {
    return std::abs(w[2 * lane]) + std::abs(w[2 * lane + 1]);
  }
};

void pack_quads(const GemmKernel& kernel, const WeightView& v, std::int8_t* out) {
  const std::size_t total = v.taps * quads_of(v.channels);
  for (std::size_t n0 = 0; n0 < v.n; n0 += kernel.nr) {
    for (std::size_t quad = 0; quad < total; ++quad) {
      for (std::size_t j = 0; j < kernel.nr; ++j) {
        for (std::size_t i = 0; i < 4; ++i) *out++ = weight_at(v, n0 + j, quad, i);
      }
    }
  }
}

void pack_quads16(const GemmKernel& kernel, const WeightView& v, std::int16_t* out) {
  const std::size_t total = v.taps * quads_of(v.channels);
  for (std::size_t n0 = 0; n0 < v.n; n0 += kernel.nr) {
    for (std::size_t quad = 0; quad < total; ++quad) {
      for (std::size_t half = 0; half < 2; ++half) {
        for (std::size_t j = 0; j < kernel.nr; ++j) {
          *out++ = weight_at(v, n0 + j, quad, 2 * half);
          *out++ = weight_at(v, n0 + j, quad, 2 * half + 1);
        }
      }
    }
  }
}

void pack_blocks(const GemmKernel& kernel, const WeightView& v, std::int32_t lo, std::size_t block, std::int8_t* out) {
  const std::size_t depth = quads_of(v.channels);
  const std::size_t total = v.taps * depth;
  for (std::size_t n0 = 0; n0 < v.n; n0 += kernel.nr) {
    for (std::size_t first = 0; first < total;) {
      const std::size_t end = block_end(first, v.taps, depth, block);
      for (std::size_t j = 0; j < kernel.nr; ++j) {
        for (std::size_t lane = 0; lane < 2; ++lane) {
          std::int32_t sum = 0;
          for (std::size_t quad = first; quad < end; ++quad) sum += Quad(v, n0 + j, quad).lane_sum(lane);
          const std::uint16_t start = static_cast<std::uint16_t>(lo * sum);  // modulo 2^16
          std::memcpy(out, &start, sizeof start);
          out += sizeof start;
        }
      }
      for (; first < end; ++first) {
        for (std::size_t j = 0; j < kernel.nr; ++j) {
          const Quad quad(v, n0 + j, first);
          std::memcpy(out, quad.w, sizeof quad.w);
          out += sizeof quad.w;
        }
      }
    }
  }
}

}  // namespace

std::size_t depth_of(const GemmKernel& kernel, std::size_t channels) {
  return kernel.family == Family::f32 ? channels : quads_of(channels);
}

std::size_t panel_bytes(const GemmKernel& kernel, std::size_t taps, std::size_t channels, std::size_t block) {
  const std::size_t quads = taps * quads_of(channels);
  switch (kernel.packer) {
    case Packer::columns:
      return round_up(taps * channels * kernel.nr * sizeof(float), kBorder);
    case Packer::quads16:
      return round_up(quads * kernel.nr * 4 * sizeof(std::int16_t), kBorder);
    case Packer::blocks: {
      const std::size_t starts = block_count(taps, quads_of(channels), block) * kernel.nr * 2 * sizeof(std::int16_t);
      return round_up(starts + quads * kernel.nr * 4, kBorder);
    }
    default:
      return round_up(quads * kernel.nr * 4, kBorder);
  }
}

std::size_t packed_bytes(const GemmKernel& kernel, std::size_t n, std::size_t taps, std::size_t channels,
                         std::size_t block) {
  return (n + kernel.nr - 1) / kernel.nr * panel_bytes(kernel, taps, channels, block);
}

void pack(const GemmKernel& kernel, const WeightView& weights, ActivationLevels levels, std::size_t block, void* out) {
  std::byte* panel = static_cast<std::byte*>(out);
  const std::size_t bytes = panel_bytes(kernel, weights.taps, weights.channels, block);
  for (std::size_t n0 = 0; n0 < weights.n; n0 += kernel.nr, panel += bytes) {
    const std::size_t columns = std::min(kernel.nr, weights.n - n0);
    const WeightView part{weights.w + n0 * weights.taps * weights.channels, columns, weights.taps, weights.channels};
    switch (kernel.packer) {
      case Packer::quads16:
        pack_quads16(kernel, part, reinterpret_cast<std::int16_t*>(panel));
        break;
      case Packer::blocks:
        pack_blocks(kernel, part, levels.lo, block, reinterpret_cast<std::int8_t*>(panel));
        break;
      default:
        pack_quads(kernel, part, reinterpret_cast<std::int8_t*>(panel));
        break;
    }
  }
}

void pack_f32(const GemmKernel& kernel, const float* w, std::size_t n, std::size_t taps, std::size_t channels,
              void* out) {
  std::byte* panel = static_cast<std::byte*>(out);
  const std::size_t depth = taps * channels;
  const std::size_t bytes = panel_bytes(kernel, taps, channels, 0);
  for (std::size_t n0 = 0; n0 < n; n0 += kernel.nr, panel += bytes) {
    float* to = reinterpret_cast<float*>(panel);
    for (std::size_t k = 0; k < depth; ++k) {
      for (std::size_t j = 0; j < kernel.nr; ++j) *to++ = n0 + j < n ? w[(n0 + j) * depth + k] : 0.0f;
    }
  }
}

void column_sums(const WeightView& weights, std::int32_t* sums) {
  const std::size_t depth = weights.taps * weights.channels;
  for (std::size_t n = 0; n < weights.n; ++n) {
    std::uint32_t sum = 0;
    for (std::size_t k = 0; k < depth; ++k) sum += static_cast<std::uint32_t>(weights.w[n * depth + k]);
    sums[n] = static_cast<std::int32_t>(sum);
  }
}

std::int32_t folded_bias(Family family, std::int32_t bias, std::int32_t column_sum, std::int32_t lo, std::int32_t z) {
  const std::int32_t factor = family == Family::dot16 ? -z : lo - z;
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(bias) +
                                   static_cast<std::uint32_t>(factor) * static_cast<std::uint32_t>(column_sum));
}

bool block_is_exact(const WeightView& weights, ActivationLevels levels, std::size_t block) {
  if (block == 0) return false;
  const std::int32_t magnitude = std::max(-levels.lo, levels.hi);
  const std::int32_t top = levels.hi - levels.lo;  // bins - 1
  const std::size_t depth = quads_of(weights.channels);
  const std::size_t total = weights.taps * depth;
  const std::int64_t lane_limit = kMax16 / std::max(magnitude, 1);
  for (std::size_t n = 0; n < weights.n; ++n) {
    for (std::size_t first = 0; first < total;) {
      const std::size_t end = block_end(first, weights.taps, depth, block);
      std::int64_t lane[2] = {0, 0};
      for (; first < end; ++first) {
        const Quad quad(weights, n, first);
        for (std::size_t i = 0; i < 2; ++i) {
          lane[i] += quad.lane_size(i);
          const std::int32_t a = quad.w[2 * i];
          const std::int32_t b = quad.w[2 * i + 1];
          const std::int32_t positive = std::max(a, 0) + std::max(b, 0);
          const std::int32_t negative = std::max(-a, 0) + std::max(-b, 0);
          if (top * std::max(positive, negative) > kMax16) return false;
        }
      }
      if (lane[0] > lane_limit || lane[1] > lane_limit) return false;
    }
  }
  return true;
}

std::size_t block_for(const WeightView& weights, ActivationLevels levels) {
  const std::size_t depth = quads_of(weights.channels);
  if (depth == 0 || weights.taps == 0) return 0;
  std::size_t tried = 0;  // several parts may round to one size
  for (std::size_t parts = 1; parts < weights.taps; ++parts) {  // whole taps
    const std::size_t block = (weights.taps + parts - 1) / parts * depth;
    if (block == tried || block == depth) continue;
    if (block_is_exact(weights, levels, block)) return block;
    tried = block;
  }
  for (std::size_t parts = 1; parts <= depth; ++parts) {  // parts of a tap
    const std::size_t block = (depth + parts - 1) / parts;
    if (block == tried) continue;
    if (block_is_exact(weights, levels, block)) return block;
    tried = block;
  }
  return 0;
}

}  // namespace fewbins
