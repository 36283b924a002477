// SPDX-License-Identifier: Apache-2.0
// Around the kernels of the four-bit algorithm: its limit, its proof and its zero points. See u4/README.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/kernels.h"

namespace fewbins {

/// floor(65535 / (15 * 15)): products that one unsigned 16-bit sum takes whatever they are.
inline constexpr std::size_t kU4MaxDepth = 291;

/// Whether a sum over taps * channels products fits. pack() and select_gemm() throw Error where it does not.
bool u4_depth_fits(std::size_t taps, std::size_t channels);
void check_u4_depth(std::size_t taps, std::size_t channels);
/// The depth, and that every weight is in 0..15.
void check_u4_weights(const WeightView& weights);

/// Where a row of tile row i is summed: sums[i] = sum over taps t and channels c of ua(t, i)[c], rows[t * mr + i], for
/// the first `m` rows.
void u4_row_sums(const void* const* rows, std::size_t mr, std::size_t m, std::size_t taps, std::size_t channels,
                 std::int32_t* sums);

struct U4ZeroPoints {
  std::int32_t activation;
  std::int32_t weight;
};
/// The zero points of section 3 of docs/numerics.md in two parts. What belongs to a column, to be added to every row:
/// bias - za * sum uw + K * za * zw, modulo 2^32.
std::int32_t u4_folded_bias(std::int32_t bias, std::int32_t column_sum, std::size_t depth, U4ZeroPoints zero);
/// What belongs to a row, taken off a tile of `m` rows: tile[i * nr + j] -= zw * row_sums[i].
void u4_subtract_rows(std::int32_t* tile, std::size_t nr, std::size_t m, const std::int32_t* row_sums,
                      std::int32_t weight_zero);
/// Both: the accumulator from one raw sum.
std::int32_t u4_fold(std::int32_t sum, std::int32_t row_sum, std::int32_t column_sum, std::size_t depth,
                     U4ZeroPoints zero);

/// For signed weights w = uw - zw, as layers have them: a zero point with which all are in 0..15, if there is one. Any
/// gives the same accumulators.
std::optional<std::int32_t> u4_weight_zero(const WeightView& weights);
/// The row named `forced` if it is a u4 row in reach of `cap` that can compute this layer; else null.
const GemmKernel* forced_u4(Isa cap, std::string_view forced, const WeightView& weights, ActivationLevels levels);

}  // namespace fewbins
