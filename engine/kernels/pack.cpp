// SPDX-License-Identifier: Apache-2.0
// Weights into panels, and the proof that 16-bit blocks cannot overflow.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/aligned.h"
#include "kernels/kernels.h"
#include "kernels/pack_arm.h"
#include "kernels/pack_few_rows.h"
#include "kernels/pack_steps.h"
#include "kernels/pack_u4.h"

namespace fewbins {
namespace {

constexpr std::size_t kBorder = 64;  // panels start on cache lines
constexpr std::int32_t kMax16 = 32767;

std::size_t round_up(std::size_t x, std::size_t to) { return (x + to - 1) / to * to; }

std::size_t quads_of(std::size_t channels) { return (channels + 3) / 4; }
std::size_t pairs_of(std::size_t channels) { return (channels + 1) / 2; }

/// Up to nr columns whose taps are padded to whole quads, so that packers need no test per weight.
class PaddedColumns {
 public:
  PaddedColumns(const WeightView& v, std::size_t first, std::size_t columns)
      : quads_(v.taps * quads_of(v.channels)), w_(columns * quads_ * 4) {
    const std::size_t depth = quads_of(v.channels) * 4;
    for (std::size_t j = 0; j < columns && first + j < v.n; ++j) {
      for (std::size_t t = 0; t < v.taps; ++t) {
        std::memcpy(w_.data() + j * quads_ * 4 + t * depth, v.w + ((first + j) * v.taps + t) * v.channels, v.channels);
      }
    }
  }
  /// The four weights of column j at flat quad `quad` (quads of all taps in a row).
  [[nodiscard]] const std::int8_t* at(std::size_t j, std::size_t quad) const {
    return w_.data() + (j * quads_ + quad) * 4;
  }
  [[nodiscard]] std::size_t quads() const { return quads_; }

 private:
  std::size_t quads_;
  std::vector<std::int8_t> w_;
};

/// One past the last flat quad of the block that starts at `first`: inside its tap, or a whole number of taps.
std::size_t block_end(std::size_t first, std::size_t taps, std::size_t depth, std::size_t block) {
  const std::size_t limit = block < depth ? (first / depth + 1) * depth : taps * depth;
  return std::min(first + block, limit);
}

std::size_t block_count(std::size_t taps, std::size_t depth, std::size_t block) {
  if (block < depth) return taps * ((depth + block - 1) / block);
  return (taps * depth + block - 1) / block;
}

/// The two conditions of docs/numerics.md section 3, from the actual weights.
class BlockProof {
 public:
  BlockProof(const WeightView& v, ActivationLevels levels)
      : taps_(v.taps), depth_(quads_of(v.channels)), lane_limit_(kMax16 / std::max({-levels.lo, levels.hi, 1})) {
    const std::int32_t top = levels.hi - levels.lo;  // bins - 1
    sizes_.reserve(v.n * taps_ * depth_);
    for (std::size_t n = 0; n < v.n; ++n) {
      const PaddedColumns column(v, n, 1);
      for (std::size_t quad = 0; quad < column.quads(); ++quad) {
        const std::int8_t* w = column.at(0, quad);
        pairs_fit_ = pairs_fit_ && pair_fits(w[0], w[1], top) && pair_fits(w[2], w[3], top);
        sizes_.push_back({static_cast<std::int16_t>(std::abs(w[0]) + std::abs(w[1])),
                          static_cast<std::int16_t>(std::abs(w[2]) + std::abs(w[3]))});
      }
    }
  }

  [[nodiscard]] bool holds(std::size_t block) const {
    if (block == 0 || !pairs_fit_) return false;
    const std::size_t quads = taps_ * depth_;
    for (std::size_t column = 0; column < sizes_.size(); column += quads) {
      for (std::size_t first = 0; first < quads;) {
        std::int64_t low = 0;
        std::int64_t high = 0;
        for (const std::size_t end = block_end(first, taps_, depth_, block); first < end; ++first) {
          low += sizes_[column + first].low;
          high += sizes_[column + first].high;
        }
        if (low > lane_limit_ || high > lane_limit_) return false;
      }
    }
    return true;
  }

 private:
  /// The sum that pmaddubsw forms of two products, which it would saturate past 16 bits.
  static bool pair_fits(std::int32_t a, std::int32_t b, std::int32_t top) {
    const std::int32_t positive = std::max(a, 0) + std::max(b, 0);
    const std::int32_t negative = std::max(-a, 0) + std::max(-b, 0);
    return top * std::max(positive, negative) <= kMax16;
  }

  struct LaneSizes {
    std::int16_t low;   ///< sum of |w| of depths 0 and 1 of a quad
    std::int16_t high;  ///< of depths 2 and 3
  };
  std::size_t taps_;
  std::size_t depth_;
  std::int64_t lane_limit_;
  bool pairs_fit_ = true;
  std::vector<LaneSizes> sizes_;  // [column][quad]
};

void pack_quads(const GemmKernel& kernel, const PaddedColumns& columns, std::int8_t* out) {
  for (std::size_t quad = 0; quad < columns.quads(); ++quad) {
    for (std::size_t j = 0; j < kernel.nr; ++j, out += 4) std::memcpy(out, columns.at(j, quad), 4);
  }
}

void pack_quads16(const GemmKernel& kernel, const PaddedColumns& columns, std::int16_t* out) {
  for (std::size_t quad = 0; quad < columns.quads(); ++quad) {
    for (std::size_t half = 0; half < 2; ++half) {
      for (std::size_t j = 0; j < kernel.nr; ++j) {
        const std::int8_t* w = columns.at(j, quad) + 2 * half;
        *out++ = w[0];
        *out++ = w[1];
      }
    }
  }
}

void pack_wide_quads(const GemmKernel& kernel, const PaddedColumns& columns, std::int16_t* out) {
  for (std::size_t quad = 0; quad < columns.quads(); ++quad) {
    for (std::size_t j = 0; j < kernel.nr; ++j, out += 4) std::copy_n(columns.at(j, quad), 4, out);
  }
}

void pack_blocks(const GemmKernel& kernel, const PaddedColumns& columns, std::size_t taps, std::int32_t lo,
                 std::size_t block, std::int8_t* out) {
  const std::size_t depth = columns.quads() / taps;
  for (std::size_t first = 0; first < columns.quads();) {
    const std::size_t end = block_end(first, taps, depth, block);
    for (std::size_t j = 0; j < kernel.nr; ++j) {
      for (std::size_t lane = 0; lane < 2; ++lane, out += 2) {
        std::int32_t sum = 0;
        for (std::size_t quad = first; quad < end; ++quad) {
          sum += columns.at(j, quad)[2 * lane] + columns.at(j, quad)[2 * lane + 1];
        }
        const auto start = static_cast<std::uint16_t>(lo * sum);  // modulo 2^16
        std::memcpy(out, &start, sizeof start);
      }
    }
    for (; first < end; ++first) {
      for (std::size_t j = 0; j < kernel.nr; ++j, out += 4) std::memcpy(out, columns.at(j, first), 4);
    }
  }
}

/// One panel of f32 pairs; an odd last channel meets a 0.
void pack_column_pairs(const GemmKernel& kernel, const float* w, std::size_t columns, std::size_t taps,
                       std::size_t channels, float* out) {
  std::fill_n(out, taps * pairs_of(channels) * kernel.nr * 2, 0.0f);
  for (std::size_t t = 0; t < taps; ++t) {
    for (std::size_t c = 0; c < channels; ++c) {
      float* to = out + ((t * pairs_of(channels) + c / 2) * kernel.nr) * 2 + c % 2;
      for (std::size_t j = 0; j < columns; ++j) to[2 * j] = w[(j * taps + t) * channels + c];
    }
  }
}

}  // namespace

std::size_t depth_of(const GemmKernel& kernel, std::size_t channels) {
  if (kernel.family == Family::dot32_i16) return pairs_of(channels);
  return kernel.family == Family::f32 || is_few_rows_packer(kernel.packer) ? channels : quads_of(channels);
}

std::size_t panel_bytes(const GemmKernel& kernel, std::size_t taps, std::size_t channels, std::size_t block) {
  // Of a quad no packer makes more than 32 bytes a column: what passes here, no product below overflows.
  static_cast<void>(memory_size(Size(taps) * quads_of(channels) * 32 * kernel.nr));
  if (is_arm_packer(kernel.packer)) return round_up(arm_panel_bytes(kernel, taps, channels, block), kBorder);
  if (is_few_rows_packer(kernel.packer)) return round_up(few_rows_panel_bytes(kernel, taps, channels), kBorder);
  const std::size_t quads = taps * quads_of(channels);
  switch (kernel.packer) {
    case Packer::columns:
      return round_up(taps * channels * kernel.nr * sizeof(float), kBorder);
    case Packer::pairs_i16:
      return round_up(taps * pairs_of(channels) * kernel.nr * 2 * sizeof(std::int16_t), kBorder);
    case Packer::column_pairs:
      return round_up(taps * pairs_of(channels) * kernel.nr * 2 * sizeof(float), kBorder);
    case Packer::steps:
      return round_up(steps_bytes(kernel, taps, channels, block), kBorder);
    case Packer::wide_quads:
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
  if (kernel.family == Family::u4) check_u4_weights(weights);
  std::byte* panel = static_cast<std::byte*>(out);
  const std::size_t bytes = panel_bytes(kernel, weights.taps, weights.channels, block);
  for (std::size_t first = 0; first < weights.n; first += kernel.nr, panel += bytes) {
    if (is_arm_packer(kernel.packer)) {
      pack_arm(kernel, weights, first, levels.lo, block, panel);
      continue;
    }
    if (kernel.packer == Packer::octet_parts) {
      pack_octets(kernel, weights, first, panel);
      continue;
    }
    const PaddedColumns columns(weights, first, kernel.nr);
    switch (kernel.packer) {
      case Packer::quads16:
        pack_quads16(kernel, columns, reinterpret_cast<std::int16_t*>(panel));
        break;
      case Packer::wide_quads:
        pack_wide_quads(kernel, columns, reinterpret_cast<std::int16_t*>(panel));
        break;
      case Packer::steps:
        pack_steps(kernel, weights, first, levels, panel);
        break;
      case Packer::blocks:
        pack_blocks(kernel, columns, weights.taps, levels.lo, block, reinterpret_cast<std::int8_t*>(panel));
        break;
      default:
        pack_quads(kernel, columns, reinterpret_cast<std::int8_t*>(panel));
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
    if (kernel.packer == Packer::column_pairs) {
      pack_column_pairs(kernel, w + n0 * depth, std::min(kernel.nr, n - n0), taps, channels, to);
      continue;
    }
    for (std::size_t k = 0; k < depth; ++k) {
      for (std::size_t j = 0; j < kernel.nr; ++j) *to++ = n0 + j < n ? w[(n0 + j) * depth + k] : 0.0f;
    }
  }
}

void pack_i16(const GemmKernel& kernel, const std::int16_t* w, std::size_t n, std::size_t taps, std::size_t channels,
              void* out) {
  std::byte* panel = static_cast<std::byte*>(out);
  const std::size_t bytes = panel_bytes(kernel, taps, channels, 0);
  const std::size_t group = kernel.packer == Packer::wide_quads ? 4 : 2;  // depths of a column side by side
  for (std::size_t n0 = 0; n0 < n; n0 += kernel.nr, panel += bytes) {
    std::int16_t* to = reinterpret_cast<std::int16_t*>(panel);
    for (std::size_t t = 0; t < taps; ++t) {
      for (std::size_t c = 0; c < channels; c += group) {
        for (std::size_t j = 0; j < kernel.nr; ++j) {
          const std::size_t from = ((n0 + j) * taps + t) * channels;
          for (std::size_t k = c; k < c + group; ++k) {
            *to++ = n0 + j < n && k < channels ? w[from + k] : std::int16_t{0};
          }
        }
      }
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
  return BlockProof(weights, levels).holds(block);
}

std::size_t block_for(const WeightView& weights, ActivationLevels levels) {
  const std::size_t depth = quads_of(weights.channels);
  if (depth == 0 || weights.taps == 0) return 0;
  const BlockProof proof(weights, levels);
  // Largest first: equal parts of the taps, then equal parts of a tap. Several parts may round to one size.
  std::size_t tried = 0;
  const auto holds = [&](std::size_t block) {
    const bool again = block == tried;
    tried = block;
    return !again && proof.holds(block);
  };
  for (std::size_t parts = 1; parts < weights.taps; ++parts) {
    const std::size_t block = (weights.taps + parts - 1) / parts * depth;
    if (holds(block)) return block;
  }
  for (std::size_t parts = 1; parts <= depth; ++parts) {
    const std::size_t block = (depth + parts - 1) / parts;
    if (holds(block)) return block;
  }
  return 0;
}

std::size_t block_for(const GemmKernel& kernel, const WeightView& weights, ActivationLevels levels) {
  if (is_arm_packer(kernel.packer)) return arm_block_for(kernel.packer, weights, levels);
  return block_for(weights, levels);
}

bool block_is_exact(const GemmKernel& kernel, const WeightView& weights, ActivationLevels levels, std::size_t block) {
  if (is_arm_packer(kernel.packer)) return arm_block_is_exact(kernel.packer, weights, levels, block);
  return block_is_exact(weights, levels, block);
}

}  // namespace fewbins
