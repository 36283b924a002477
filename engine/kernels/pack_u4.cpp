// SPDX-License-Identifier: Apache-2.0
#include "kernels/pack_u4.h"

#include <algorithm>

#include "base/error.h"

namespace fewbins {
namespace {

constexpr std::int32_t kLevels = 16;

std::uint32_t product(std::int32_t a, std::int32_t b) {
  return static_cast<std::uint32_t>(a) * static_cast<std::uint32_t>(b);
}

}  // namespace

bool u4_depth_fits(std::size_t taps, std::size_t channels) { return channels == 0 || taps <= kU4MaxDepth / channels; }

void check_u4_depth(std::size_t taps, std::size_t channels) {
  if (u4_depth_fits(taps, channels)) return;
  fail(ErrorCode::unsupported, "a u4 sum of ", taps, " x ", channels, " products may pass 16 bits: ", kU4MaxDepth,
       " at most, take 4bit instead");
}

void check_u4_weights(const WeightView& weights) {
  check_u4_depth(weights.taps, weights.channels);
  const std::size_t count = weights.n * weights.taps * weights.channels;
  const auto* bad = std::find_if(weights.w, weights.w + count, [](std::int8_t w) { return w < 0 || w >= kLevels; });
  if (bad != weights.w + count) fail(ErrorCode::invalid_argument, "u4 weight ", int{*bad}, " is not in 0..15");
}

void u4_row_sums(const void* const* rows, std::size_t mr, std::size_t m, std::size_t taps, std::size_t channels,
                 std::int32_t* sums) {
  for (std::size_t i = 0; i < m; ++i) {
    std::int32_t sum = 0;
    for (std::size_t t = 0; t < taps; ++t) {
      const auto* row = static_cast<const std::uint8_t*>(rows[t * mr + i]);
      for (std::size_t c = 0; c < channels; ++c) sum += row[c];
    }
    sums[i] = sum;
  }
}

std::int32_t u4_folded_bias(std::int32_t bias, std::int32_t column_sum, std::size_t depth, U4ZeroPoints zero) {
  const std::uint32_t constant = static_cast<std::uint32_t>(depth) * product(zero.activation, zero.weight);
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(bias) - product(zero.activation, column_sum) + constant);
}

void u4_subtract_rows(std::int32_t* tile, std::size_t nr, std::size_t m, const std::int32_t* row_sums,
                      std::int32_t weight_zero) {
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < nr; ++j) tile[i * nr + j] -= weight_zero * row_sums[i];
  }
}

std::int32_t u4_fold(std::int32_t sum, std::int32_t row_sum, std::int32_t column_sum, std::size_t depth,
                     U4ZeroPoints zero) {
  u4_subtract_rows(&sum, 1, 1, &row_sum, zero.weight);
  return u4_folded_bias(sum, column_sum, depth, zero);
}

std::optional<std::int32_t> u4_weight_zero(const WeightView& weights) {
  const std::size_t count = weights.n * weights.taps * weights.channels;
  if (count == 0) return 0;
  const auto [least, most] = std::minmax_element(weights.w, weights.w + count);
  if (*most - *least >= kLevels) return std::nullopt;
  return -*least;
}

const GemmKernel* forced_u4(Isa cap, std::string_view forced, const WeightView& weights, ActivationLevels levels) {
  if (levels.lo != 0 || levels.hi >= kLevels || !u4_depth_fits(weights.taps, weights.channels)) return nullptr;
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.family != Family::u4 || forced != kernel.name || !isa_includes(cap, kernel.isa)) continue;
    return u4_weight_zero(weights) ? &kernel : nullptr;
  }
  return nullptr;
}

}  // namespace fewbins
