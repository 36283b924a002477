// SPDX-License-Identifier: Apache-2.0
#include "kernels/pack_arm.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/aligned.h"

namespace fewbins {
namespace {

constexpr std::size_t kStep = 16;        // depths of a step of lanes16
constexpr std::size_t kStepQuads = 4;    // and its quads
constexpr std::size_t kPassColumns = 4;  // columns that a pass of lanes16 takes
constexpr std::size_t kLanes = 8;        // 16-bit lanes of a register
constexpr std::size_t kHeader = 64;      // of a panel of lanes16

std::size_t divided(std::size_t x, std::size_t by) { return (x + by - 1) / by; }

std::size_t quads_of(std::size_t channels) { return divided(channels, 4); }

/// A weight, 0 past the channels of its tap and past the columns.
std::int8_t weight_at(const WeightView& v, std::size_t column, std::size_t tap, std::size_t channel) {
  if (column >= v.n || channel >= v.channels) return 0;
  return v.w[(column * v.taps + tap) * v.channels + channel];
}

/// A run of quads of one tap.
struct Piece {
  std::size_t tap;
  std::size_t first;
  std::size_t end;
};

/// The blocks of a tile kernel: each some quads of a tap, or some whole taps. See GemmTask::block.
std::vector<std::vector<Piece>> pieces_of(std::size_t taps, std::size_t quads, std::size_t block) {
  std::vector<std::vector<Piece>> blocks;
  if (block >= quads) {
    for (std::size_t tap = 0; tap < taps;) {
      std::vector<Piece>& pieces = blocks.emplace_back();
      for (std::size_t end = std::min(tap + block / quads, taps); tap < end; ++tap) pieces.push_back({tap, 0, quads});
    }
    return blocks;
  }
  for (std::size_t tap = 0; tap < taps; ++tap) {
    for (std::size_t first = 0; first < quads; first += block)
      blocks.push_back({{tap, first, std::min(first + block, quads)}});
  }
  return blocks;
}

std::size_t block_count(std::size_t taps, std::size_t quads, std::size_t block) {
  return block >= quads ? divided(taps, block / quads) : taps * divided(quads, block);
}

/// Bytes in a row, as a packer writes them.
class Writer {
 public:
  explicit Writer(std::byte* at) : at_(at) {}
  template <class T>
  void put(T value) {
    std::memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }
  /// `count` weights of a column from `channel` on.
  void put_weights(const WeightView& v, std::size_t column, std::size_t tap, std::size_t channel, std::size_t count) {
    for (std::size_t k = 0; k < count; ++k) put(weight_at(v, column, tap, channel + k));
  }

 private:
  std::byte* at_;
};

/// The weights of a column, or of a lane of it, in some pieces, summed: products with u - 128 in place of q = u + lo
/// lack (lo + 128) times this. Depths count that are `lane` modulo `lanes`.
std::int32_t sum_of(const WeightView& v, std::size_t column, const std::vector<Piece>& pieces, std::size_t lane,
                    std::size_t lanes) {
  std::int32_t sum = 0;
  for (const Piece& piece : pieces) {
    for (std::size_t k = piece.first * 4 + lane; k < piece.end * 4; k += lanes)
      sum += weight_at(v, column, piece.tap, k);
  }
  return sum;
}

std::uint16_t lane_start(std::int32_t lo, std::int32_t sum) {
  return static_cast<std::uint16_t>((lo + 128) * sum);  // modulo 2^16
}

/// What tile sums of u - 128 lack to be sums of u: 128 times the column's weights, modulo 2^32.
std::uint32_t column_start(const WeightView& v, std::size_t column) {
  std::uint32_t sum = 0;
  for (std::size_t tap = 0; tap < v.taps; ++tap) {
    for (std::size_t k = 0; k < v.channels; ++k) sum += static_cast<std::uint32_t>(weight_at(v, column, tap, k));
  }
  return 128 * sum;
}

void put_steps(Writer& writer, const WeightView& v, std::size_t column, const Piece& piece) {
  for (std::size_t quad = piece.first; quad < piece.end; quad += kStepQuads) {
    for (std::size_t j = 0; j < kPassColumns; ++j) writer.put_weights(v, column + j, piece.tap, quad * 4, kStep);
  }
}

void pack_lanes16(const GemmKernel& kernel, const WeightView& v, std::size_t first, std::byte* panel) {
  Writer header(panel);
  bool extreme = false;
  for (std::size_t j = first; j < first + kernel.nr; ++j) {
    header.put(column_start(v, j));
    for (std::size_t i = 0; j < v.n && i < v.taps * v.channels; ++i)
      extreme = extreme || v.w[j * v.taps * v.channels + i] == -128;
  }
  header.put(std::uint32_t{extreme});
  Writer writer(panel + kHeader);
  for (std::size_t j = first; j < first + kernel.nr; j += kPassColumns) {
    for (std::size_t tap = 0; tap < v.taps; ++tap) put_steps(writer, v, j, {tap, 0, quads_of(v.channels)});
  }
}

void pack_lanes16_blocks(const GemmKernel& kernel, const WeightView& v, std::size_t first, std::int32_t lo,
                         std::size_t block, std::byte* panel) {
  Writer writer(panel);
  for (std::size_t column = first; column < first + kernel.nr; column += kPassColumns) {
    for (const std::vector<Piece>& pieces : pieces_of(v.taps, quads_of(v.channels), block)) {
      for (std::size_t j = column; j < column + kPassColumns; ++j) {
        for (std::size_t lane = 0; lane < kLanes; ++lane)
          writer.put(lane_start(lo, sum_of(v, j, pieces, lane, kLanes)));
      }
      for (const Piece& piece : pieces) put_steps(writer, v, column, piece);
    }
  }
}

void pack_depth_pairs(const GemmKernel& kernel, const WeightView& v, std::size_t first, std::int32_t lo,
                      std::size_t block, std::byte* panel) {
  Writer writer(panel);
  for (const std::vector<Piece>& pieces : pieces_of(v.taps, quads_of(v.channels), block)) {
    for (std::size_t j = first; j < first + kernel.nr; ++j) writer.put(lane_start(lo, sum_of(v, j, pieces, 0, 1)));
    for (const Piece& piece : pieces) {
      for (std::size_t k = piece.first * 4; k < piece.end * 4; k += 2) {
        for (std::size_t j = first; j < first + kernel.nr; ++j) writer.put_weights(v, j, piece.tap, k, 2);
      }
    }
  }
}

void pack_started_quads(const GemmKernel& kernel, const WeightView& v, std::size_t first, std::byte* panel) {
  Writer writer(panel);
  for (std::size_t j = first; j < first + kernel.nr; ++j) writer.put(column_start(v, j));
  for (std::size_t tap = 0; tap < v.taps; ++tap) {
    for (std::size_t k = 0; k < v.channels; k += 4) {
      for (std::size_t j = first; j < first + kernel.nr; ++j) writer.put_weights(v, j, tap, k, 4);
    }
  }
}

void pack_octets(const GemmKernel& kernel, const WeightView& v, std::size_t first, std::byte* panel) {
  Writer writer(panel);
  for (std::size_t tap = 0; tap < v.taps; ++tap) {
    for (std::size_t k = 0; k < v.channels; k += 8) {
      for (std::size_t j = first; j < first + kernel.nr; ++j) writer.put_weights(v, j, tap, k, 8);
    }
  }
}

// ---- the proof ------------------------------------------------------------------------------------------------------

/// How a packer's products share lanes: a column has `lanes` of them, a depth goes to lane (depth modulo lanes), and a
/// block inside a tap is a multiple of `unit` quads.
struct LaneRule {
  std::size_t lanes;
  std::size_t unit;
};

LaneRule rule_of(Packer packer) {
  return packer == Packer::depth_pairs ? LaneRule{1, 1} : LaneRule{kLanes, kStepQuads};
}

/// The condition of docs/numerics.md section 3 that holds for lanes: h_a * sum|w| <= 32767. No instruction here adds
/// products with saturation, so there is no other.
class LaneProof {
 public:
  LaneProof(Packer packer, const WeightView& v, ActivationLevels levels)
      : rule_(rule_of(packer)),
        taps_(v.taps),
        quads_(quads_of(v.channels)),
        units_(divided(quads_, rule_.unit)),
        limit_(32767 / std::max({-levels.lo, levels.hi, 1})) {
    sizes_.reserve(memory_size(Size(v.n) * taps_ * units_ * rule_.lanes));
    for (std::size_t n = 0; n < v.n; ++n) {
      for (std::size_t tap = 0; tap < taps_; ++tap) {
        for (std::size_t unit = 0; unit < units_; ++unit) add_unit(v, n, tap, unit * rule_.unit * 4);
      }
    }
  }

  [[nodiscard]] bool holds(std::size_t block) const {
    if (block == 0 || quads_ == 0) return false;
    if (block < quads_ && block % rule_.unit != 0) return false;
    // Blocks as runs of units; taps have whole units, so the units of some taps follow each other.
    const std::size_t run = block >= quads_ ? block / quads_ * units_ : block / rule_.unit;
    const std::size_t border = block >= quads_ ? taps_ * units_ : units_;  // no block crosses it
    const std::size_t all = sizes_.size() / rule_.lanes;
    for (std::size_t first = 0; first < all;) {
      const std::size_t end = std::min(first + run, (first / border + 1) * border);
      std::array<std::int64_t, kLanes> sums{};
      for (; first < end; ++first) {
        for (std::size_t lane = 0; lane < rule_.lanes; ++lane) sums[lane] += sizes_[first * rule_.lanes + lane];
      }
      if (std::ranges::max(sums) > limit_) return false;
    }
    return true;
  }

 private:
  void add_unit(const WeightView& v, std::size_t n, std::size_t tap, std::size_t channel) {
    for (std::size_t lane = 0; lane < rule_.lanes; ++lane) {
      int sum = 0;
      for (std::size_t k = lane; k < rule_.unit * 4; k += rule_.lanes)
        sum += std::abs(weight_at(v, n, tap, channel + k));
      sizes_.push_back(static_cast<std::uint16_t>(sum));
    }
  }

  LaneRule rule_;
  std::size_t taps_;
  std::size_t quads_;
  std::size_t units_;  // of a tap
  std::int64_t limit_;
  std::vector<std::uint16_t> sizes_;  // [column][tap][unit][lane]: sum of |w|
};

}  // namespace

bool is_arm_packer(Packer packer) {
  return packer == Packer::lanes16 || packer == Packer::lanes16_blocks || packer == Packer::depth_pairs ||
         packer == Packer::started_quads || packer == Packer::octets;
}

std::size_t arm_panel_bytes(const GemmKernel& kernel, std::size_t taps, std::size_t channels, std::size_t block) {
  const std::size_t quads = quads_of(channels);
  const std::uint64_t step_bytes = divided(quads, kStepQuads) * kStep * kernel.nr;
  const std::uint64_t quad_bytes = 4 * kernel.nr;
  switch (kernel.packer) {
    case Packer::lanes16:
      return kHeader + memory_size(Size(taps) * step_bytes);
    case Packer::lanes16_blocks:
      return memory_size(Size(block_count(taps, quads, block)) * kernel.nr * kLanes * sizeof(std::int16_t)) +
             memory_size(Size(taps) * step_bytes);
    case Packer::depth_pairs:
      return memory_size(Size(block_count(taps, quads, block)) * kernel.nr * sizeof(std::int16_t)) +
             memory_size(Size(taps) * quads * quad_bytes);
    case Packer::started_quads:
      return kernel.nr * sizeof(std::int32_t) + memory_size(Size(taps) * quads * quad_bytes);
    default:
      return memory_size(Size(taps) * divided(quads, 2) * 2 * quad_bytes);
  }
}

void pack_arm(const GemmKernel& kernel, const WeightView& weights, std::size_t first, std::int32_t lo,
              std::size_t block, std::byte* panel) {
  switch (kernel.packer) {
    case Packer::lanes16:
      return pack_lanes16(kernel, weights, first, panel);
    case Packer::lanes16_blocks:
      return pack_lanes16_blocks(kernel, weights, first, lo, block, panel);
    case Packer::depth_pairs:
      return pack_depth_pairs(kernel, weights, first, lo, block, panel);
    case Packer::started_quads:
      return pack_started_quads(kernel, weights, first, panel);
    default:
      return pack_octets(kernel, weights, first, panel);
  }
}

bool arm_block_is_exact(Packer packer, const WeightView& weights, ActivationLevels levels, std::size_t block) {
  return LaneProof(packer, weights, levels).holds(block);
}

std::size_t arm_block_for(Packer packer, const WeightView& weights, ActivationLevels levels) {
  const std::size_t quads = quads_of(weights.channels);
  if (quads == 0 || weights.taps == 0) return 0;
  const LaneProof proof(packer, weights, levels);
  // Largest first: equal parts of the taps, then equal parts of a tap, in whole units.
  for (std::size_t parts = 1; parts < weights.taps; ++parts) {
    const std::size_t block = divided(weights.taps, parts) * quads;
    if (proof.holds(block)) return block;
  }
  const std::size_t unit = rule_of(packer).unit;
  for (std::size_t parts = 1; parts <= quads; ++parts) {
    const std::size_t part = divided(quads, parts);
    const std::size_t block = part == quads ? quads : divided(part, unit) * unit;
    if (proof.holds(block)) return block;
    if (part <= unit) break;
  }
  return 0;
}

}  // namespace fewbins
