// SPDX-License-Identifier: Apache-2.0
#include "kernels/pack_few_rows.h"

#include <algorithm>
#include <cstring>

namespace fewbins {
namespace {

constexpr std::size_t kParts = 4;
constexpr std::size_t kTableBytes = 64;  // 16 entries, once per 128 bits of the widest vector

std::size_t octets_of(std::size_t channels) { return (channels + 7) / 8; }

std::size_t table_bytes(const GemmKernel& kernel) { return kernel.packer == Packer::nibbles ? kTableBytes : 0; }

/// Bytes of an octet of one part: a byte per weight, or half a byte.
std::size_t step_bytes(const GemmKernel& kernel) {
  return kernel.nr / kParts * (kernel.packer == Packer::nibbles ? 4 : 8);
}

/// Where weights of columns lie in a panel, and the starts of the columns.
class Panel {
 public:
  Panel(const GemmKernel& kernel, std::size_t channels, void* at)
      : at_(static_cast<std::byte*>(at)),
        starts_(at_ + table_bytes(kernel)),
        weights_(starts_ + kernel.nr * sizeof(std::int32_t)),
        columns_(kernel.nr / kParts),
        octets_(octets_of(channels)),
        step_(step_bytes(kernel)) {}

  /// The four bytes of column j that hold depths 8 octet + 4 half.. of a tap, or both halves of an octet as nibbles.
  [[nodiscard]] std::byte* quad(std::size_t j, std::size_t tap, std::size_t octet, std::size_t half) const {
    return weights_ + ((tap * octets_ + octet) * kParts + j / columns_) * step_ + (half * columns_ + j % columns_) * 4;
  }

  /// Centred kernels multiply u - 128: what that takes from the sum of column j is where the column starts.
  void start(const GemmKernel& kernel, std::size_t j, std::uint32_t sum) const {
    const std::uint32_t value = (kernel.flags & kernel_flag::centred) != 0 ? 128 * sum : 0;
    std::memcpy(starts_ + j * sizeof value, &value, sizeof value);
  }

 private:
  std::byte* at_;
  std::byte* starts_;
  std::byte* weights_;
  std::size_t columns_;
  std::size_t octets_;
  std::size_t step_;
};

}  // namespace

std::size_t few_rows_panel_bytes(const GemmKernel& kernel, std::size_t taps, std::size_t channels) {
  return table_bytes(kernel) + kernel.nr * sizeof(std::int32_t) +
         kParts * taps * octets_of(channels) * step_bytes(kernel);
}

void pack_octets(const GemmKernel& kernel, const WeightView& weights, std::size_t first, void* out) {
  std::memset(out, 0, few_rows_panel_bytes(kernel, weights.taps, weights.channels));
  const Panel panel(kernel, weights.channels, out);
  for (std::size_t j = 0; j < std::min(kernel.nr, weights.n - first); ++j) {
    const std::int8_t* w = weights.w + (first + j) * weights.taps * weights.channels;
    std::uint32_t sum = 0;
    for (std::size_t tap = 0; tap < weights.taps; ++tap) {
      for (std::size_t c = 0; c < weights.channels; c += 4) {
        const std::size_t count = std::min<std::size_t>(4, weights.channels - c);
        std::memcpy(panel.quad(j, tap, c / 8, c % 8 / 4), w, count);
        for (std::size_t k = 0; k < count; ++k, ++w) sum += static_cast<std::uint32_t>(std::int32_t{*w});
      }
    }
    panel.start(kernel, j, sum);
  }
}

void pack_lut4(const GemmKernel& kernel, const std::uint8_t* indices, const std::int8_t* table, std::size_t n,
               std::size_t taps, std::size_t channels, void* out) {
  const std::size_t bytes = panel_bytes(kernel, taps, channels, 0);
  std::memset(out, 0, packed_bytes(kernel, n, taps, channels, 0));
  for (std::size_t first = 0; first < n; first += kernel.nr) {
    std::byte* at = static_cast<std::byte*>(out) + first / kernel.nr * bytes;
    for (std::size_t copy = 0; copy < kTableBytes; copy += 16) std::memcpy(at + copy, table, 16);
    const Panel panel(kernel, channels, at);
    for (std::size_t j = 0; j < std::min(kernel.nr, n - first); ++j) {
      const std::uint8_t* own = indices + (first + j) * taps * channels;
      std::uint32_t sum = 0;
      for (std::size_t tap = 0; tap < taps; ++tap) {
        for (std::size_t c = 0; c < channels; ++c, ++own) {
          const auto nibble = static_cast<unsigned>(*own & 15U);
          panel.quad(j, tap, c / 8, 0)[c % 4] |= static_cast<std::byte>(nibble << (c % 8 / 4 * 4));
          sum += static_cast<std::uint32_t>(std::int32_t{table[nibble]});
        }
      }
      panel.start(kernel, j, sum);
    }
  }
}

}  // namespace fewbins
