// SPDX-License-Identifier: Apache-2.0
#include "kernels/pack_steps.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace fewbins {
namespace {

constexpr std::size_t kHeader = 16;  // steps of the block, as uint32, and zeros: starts stay aligned

std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

/// Lanes of 16 bits that a column's depths of one step go to, two each.
std::size_t lanes_of(const GemmKernel& kernel) { return kernel.ks / 2; }

std::size_t steps_of_tap(const GemmKernel& kernel, std::size_t channels) {
  return ceil_div(ceil_div(channels, 4) * 4, kernel.ks);
}

/// The weights of a panel's columns, step by step, and what they add to each lane.
class Steps {
 public:
  Steps(const GemmKernel& kernel, const WeightView& v, std::size_t first)
      : bytes_(kernel.nr * kernel.ks), w_(v.taps * steps_of_tap(kernel, v.channels) * bytes_) {
    for (std::size_t j = 0; j < std::min(kernel.nr, v.n - first); ++j) {
      for (std::size_t t = 0; t < v.taps; ++t) {
        const std::int8_t* from = v.w + ((first + j) * v.taps + t) * v.channels;
        std::int8_t* to = w_.data() + t * steps_of_tap(kernel, v.channels) * bytes_ + j * kernel.ks;
        for (std::size_t c = 0; c < v.channels; ++c) to[c / kernel.ks * bytes_ + c % kernel.ks] = from[c];
      }
    }
  }
  [[nodiscard]] std::size_t count() const { return w_.size() / bytes_; }
  [[nodiscard]] const std::int8_t* at(std::size_t step) const { return w_.data() + step * bytes_; }

  /// One past the last step of the block that starts at `begin`: every lane has sum |w| <= limit.
  [[nodiscard]] std::size_t block_end(std::size_t begin, std::int32_t limit) const {
    std::vector<std::int32_t> sizes(bytes_ / 2);
    std::size_t end = begin;
    for (; end < count(); ++end) {
      bool fits = true;
      for (std::size_t lane = 0; lane < sizes.size(); ++lane) {
        sizes[lane] += std::abs(at(end)[2 * lane]) + std::abs(at(end)[2 * lane + 1]);
        fits = fits && sizes[lane] <= limit;
      }
      if (!fits) break;
    }
    return std::max(end, begin + 1);
  }

 private:
  std::size_t bytes_;
  std::vector<std::int8_t> w_;  // [step][column][ks]
};

}  // namespace

std::size_t steps_bytes(const GemmKernel& kernel, std::size_t taps, std::size_t channels, std::size_t block) {
  const std::size_t depth = ceil_div(channels, 4);
  const std::size_t steps = taps * steps_of_tap(kernel, channels);
  // Greedy blocks are the fewest that fit. Where a step has more depths than a quad, every proven block of quads is
  // whole steps that fit together and at most one that reaches into the next block; smaller steps may fit singly only,
  // since a lane then sums depths that the proof has in different lanes.
  const std::size_t proven = block < depth ? taps * ceil_div(depth, block) : ceil_div(taps * depth, block);
  const std::size_t blocks = kernel.ks > 4 ? std::min(steps, 2 * proven) : steps;
  return blocks * (kHeader + kernel.nr * lanes_of(kernel) * sizeof(std::int16_t)) + steps * kernel.nr * kernel.ks;
}

void pack_steps(const GemmKernel& kernel, const WeightView& weights, std::size_t first, ActivationLevels levels,
                std::byte* panel) {
  const Steps steps(kernel, weights, first);
  const std::int32_t limit = 32767 / std::max({-levels.lo, levels.hi, 1});
  const std::size_t lanes = kernel.nr * lanes_of(kernel);
  for (std::size_t begin = 0; begin < steps.count();) {
    const std::size_t end = steps.block_end(begin, limit);
    const std::uint32_t header[kHeader / sizeof(std::uint32_t)] = {static_cast<std::uint32_t>(end - begin)};
    std::memcpy(panel, header, kHeader);
    panel += kHeader;
    for (std::size_t lane = 0; lane < lanes; ++lane, panel += sizeof(std::uint16_t)) {
      std::int32_t sum = 0;
      for (std::size_t step = begin; step < end; ++step) sum += steps.at(step)[2 * lane] + steps.at(step)[2 * lane + 1];
      const auto start = static_cast<std::uint16_t>(levels.lo * sum);  // modulo 2^16
      std::memcpy(panel, &start, sizeof start);
    }
    const std::size_t bytes = (end - begin) * kernel.nr * kernel.ks;
    std::memcpy(panel, steps.at(begin), bytes);
    panel += bytes;
    begin = end;
  }
}

}  // namespace fewbins
