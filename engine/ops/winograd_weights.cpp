// SPDX-License-Identifier: Apache-2.0
#include "ops/winograd_weights.h"

#include <algorithm>
#include <cstdlib>

namespace fewbins {

namespace {

// U of one position at a time, [column][tap][channel] as the packers take it.
class TransformedKernels {
 public:
  TransformedKernels(const WinogradMatrices& matrices, const Kernels3x3& kernels)
      : matrices_(matrices), columns_(kernels.columns), channels_(kernels.channels) {
    const size_t count = columns_ * channels_;
    planes_.resize(9 * count);
    for (size_t i = 0; i < count; ++i)
      for (size_t t = 0; t < 9; ++t) planes_[t * count + i] = kernels.w[i * 9 + t];
  }

  // False where a weight leaves its lanes.
  bool at(size_t position, std::vector<int16_t>& u) const {
    const size_t taps = matrices_.taps();
    u.assign(columns_ * taps * channels_, 0);
    for (size_t tap = 0; tap < taps; ++tap) {
      for (size_t k = 0; k < 9; ++k) {
        int8_t unit[9] = {};
        unit[k] = 1;
        const auto factor = static_cast<int16_t>(weight_of(matrices_, position, tap, unit));
        if (factor == 0) continue;
        const int8_t* plane = planes_.data() + k * columns_ * channels_;
        for (size_t n = 0; n < columns_; ++n) {
          int16_t* to = u.data() + (n * taps + tap) * channels_;
          for (size_t c = 0; c < channels_; ++c)
            to[c] = static_cast<int16_t>(to[c] + factor * plane[n * channels_ + c]);
        }
      }
    }
    const auto [least, most] = std::ranges::minmax(u);
    return weight_fits(matrices_, least) && weight_fits(matrices_, most);
  }

 private:
  const WinogradMatrices& matrices_;
  size_t columns_;
  size_t channels_;
  std::vector<int8_t> planes_;  // [tap of 9][column][channel]
};

// V of a position as a product sees it: bytes from 0 on, which stand for levels around zero.
struct ByteRange {
  int32_t lowest;           // V of byte 0
  ActivationLevels levels;  // bytes as levels, the middle at 0: lanes hold the most products
};

ByteRange byte_range(const WinogradMatrices& matrices, size_t position, ActivationLevels input) {
  const ActivationLevels v = input_range(matrices, position, input);
  const int32_t lo = -((v.hi - v.lo + 1) / 2);
  return {v.lo, {lo, v.hi - v.lo + lo}};
}

std::vector<int8_t> narrow(const std::vector<int16_t>& u) {
  std::vector<int8_t> bytes(u.size());
  std::ranges::transform(u, bytes.begin(), [](int16_t x) { return static_cast<int8_t>(x); });
  return bytes;
}

// The row for bytes of width nr, with its block; nullptr where a set has none.
GemmChoice choose_width(size_t nr, Isa isa, const WeightView& view, ActivationLevels levels) {
  GemmChoice best{nullptr, 0};
  for (const GemmKernel& kernel : gemm_kernels()) {
    const bool blocked = kernel.family == Family::dot16;
    if ((kernel.family != Family::dot32 && !blocked) || (kernel.flags & kernel_flag::few_rows) != 0 ||
        kernel.nr != nr || !isa_includes(isa, kernel.isa))
      continue;
    if (best.kernel != nullptr && (kernel.isa < best.kernel->isa || (kernel.isa == best.kernel->isa && !blocked)))
      continue;
    const size_t block = blocked ? block_for(kernel, view, levels) : 0;
    if (!blocked || block > 0) best = {&kernel, block};
  }
  return best;
}

}  // namespace

int64_t largest_sum(const Kernels3x3& kernels, ActivationLevels levels) {
  int64_t most = 0;
  for (size_t n = 0; n < kernels.columns; ++n) {
    int64_t sum = 0;
    const int8_t* w = kernels.w + n * kernels.channels * 9;
    for (size_t i = 0; i < kernels.channels * 9; ++i) sum += std::abs(int{w[i]});
    most = std::max(most, sum);
  }
  return std::max(-levels.lo, levels.hi) * most;
}

// Positions share their panels, so their rows have one width.
template <class Choose>
bool WinogradWeights::join_widths(const Choose& choose) {
  for (const WinogradPosition& like : positions_) {
    const size_t nr = like.kernel->nr;
    std::vector<WinogradPosition> joined = positions_;
    bool all = true;
    for (size_t p = 0; p < joined.size() && all; ++p) {
      if (joined[p].kernel->nr == nr) continue;
      const GemmChoice choice = choose(p, nr);
      joined[p].kernel = choice.kernel;
      joined[p].block = choice.block;
      all = choice.kernel != nullptr;
    }
    if (!all) continue;
    positions_ = std::move(joined);
    return true;
  }
  return false;
}

std::optional<WinogradWeights> WinogradWeights::make(WinogradForm form, Isa isa, const Kernels3x3& kernels,
                                                     ActivationLevels levels, const MemoryBudget& budget) {
  const WinogradMatrices& matrices = matrices_of(form);
  if (!inputs_fit(matrices, levels) || !division_is_exact(matrices, largest_sum(kernels, levels))) return std::nullopt;
  const size_t taps = matrices.taps();
  // Planes of the weights, U of a position as 16 and as 8 bits, and the proof of its blocks.
  const Size weights = Size(kernels.columns) * kernels.channels;
  const Size temporary = weights * 9 + weights * taps * 3 + Size(kernels.columns) * taps * (kernels.channels + 3) * 4;
  if (!budget.fits(temporary)) return std::nullopt;
  const TransformedKernels transformed(matrices, kernels);
  std::vector<int16_t> u;

  WinogradWeights result;
  result.matrices_ = &matrices;
  result.positions_.resize(matrices.positions());
  const auto choose = [&](size_t p, size_t width) {
    if (!matrices.bytes)
      return GemmChoice{&select_gemm(Family::dot32_i16, isa, {kernels.columns, taps, kernels.channels}), 0};
    if (!transformed.at(p, u)) return GemmChoice{nullptr, 0};
    const ActivationLevels range = byte_range(matrices, p, levels).levels;
    const std::vector<int8_t> bytes = narrow(u);
    const WeightView view{bytes.data(), kernels.columns, taps, kernels.channels};
    return width == 0 ? choose_gemm(Family::dot16, isa, view, range) : choose_width(width, isa, view, range);
  };
  for (size_t p = 0; p < matrices.positions(); ++p) {
    WinogradPosition& position = result.positions_[p];
    const GemmChoice choice = choose(p, 0);
    if (choice.kernel == nullptr) return std::nullopt;
    position.kernel = choice.kernel;
    position.block = choice.block;
    if (matrices.bytes) {
      const int32_t lowest = byte_range(matrices, p, levels).lowest;
      position.input_offset = static_cast<uint8_t>(levels.lo * input_factor_sum(matrices, p) - lowest);
    }
  }
  if (!result.join_widths(choose)) return std::nullopt;

  const size_t nr = result.nr();
  result.panels_ = memory_size(ceil_div(kernels.columns, nr));
  for (WinogradPosition& position : result.positions_) {
    position.depth = depth_of(*position.kernel, kernels.channels);
    position.panel_offset = result.panel_bytes_;
    const size_t bytes = panel_bytes(*position.kernel, taps, kernels.channels, position.block);
    result.panel_bytes_ = memory_size(Size(result.panel_bytes_) + bytes);
  }
  const Size packed = Size(result.panels_) * result.panel_bytes_;
  const Size constants = Size(result.panels_) * matrices.outputs() * nr * sizeof(int32_t);
  if (!budget.fits(temporary + 2 * (packed + constants))) return std::nullopt;
  result.packed_ = AlignedBytes(memory_size(packed));
  result.constants_.assign(memory_size(Size(result.panels_) * matrices.outputs() * nr), 0);
  std::vector<int32_t> sums(kernels.columns);
  for (size_t p = 0; p < matrices.positions(); ++p) {
    const WinogradPosition& position = result.positions_[p];
    if (!transformed.at(p, u)) return std::nullopt;
    const std::vector<int8_t> bytes = matrices.bytes ? narrow(u) : std::vector<int8_t>();
    const ByteRange range = byte_range(matrices, p, levels);
    for (size_t panel = 0; panel < result.panels_; ++panel) {
      const size_t first = panel * nr;
      const size_t count = std::min(nr, kernels.columns - first);
      std::byte* to = result.packed_.data() + panel * result.panel_bytes_ + position.panel_offset;
      if (matrices.bytes) {
        const WeightView part{bytes.data() + first * taps * kernels.channels, count, taps, kernels.channels};
        pack(*position.kernel, part, range.levels, position.block, to);
      } else {
        pack_i16(*position.kernel, u.data() + first * taps * kernels.channels, count, taps, kernels.channels, to);
      }
    }
    if (!matrices.bytes) continue;
    // A product sums bytes (dot32) or levels (dot16); V is more than that by a constant.
    const int32_t more = range.lowest - (position.kernel->family == Family::dot16 ? range.levels.lo : 0);
    column_sums({bytes.data(), kernels.columns, taps, kernels.channels}, sums.data());
    for (size_t output = 0; output < matrices.outputs(); ++output) {
      const auto factor = static_cast<uint32_t>(output_factor(matrices, output, p) * more);
      for (size_t n = 0; n < kernels.columns; ++n) {
        int32_t& constant = result.constants_[(n / nr * matrices.outputs() + output) * nr + n % nr];
        constant = static_cast<int32_t>(static_cast<uint32_t>(constant) + factor * static_cast<uint32_t>(sums[n]));
      }
    }
  }
  return result;
}

std::string WinogradWeights::kernel_names() const {
  std::vector<std::string_view> names;
  for (const WinogradPosition& position : positions_)
    if (std::ranges::find(names, position.kernel->name) == names.end()) names.emplace_back(position.kernel->name);
  std::string text;
  for (const std::string_view name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

}  // namespace fewbins
