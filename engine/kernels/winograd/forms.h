// SPDX-License-Identifier: Apache-2.0
// Exact Winograd forms as integer matrices: docs/numerics.md section 6. Everything else is derived from these tables:
// packed weights, growth, folded constants, proofs. The transforms themselves (transforms.h) are written by hand and
// held against the tables by a test.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "kernels/kernels.h"

namespace fewbins {

/// Y = A^T [ (G g G^T) . (B^T d B) ] A / (odd * 2^shift), all integers: G's fractions are scaled away row by row, and A
/// brings the factors to one denominator. Row forms transform along a line only, and sum over the kernel's rows as
/// taps.
struct WinogradMatrices {
  const char* name;     ///< of the form: "f2x2_i8"
  std::size_t tile;     ///< outputs along an axis
  std::size_t points;   ///< inputs and products along an axis: tile + 2
  bool two_d;           ///< both axes
  bool bytes;           ///< V in u8 and U in int8; else both int16
  std::int8_t b[6][6];  ///< B^T
  std::int8_t g[6][3];
  std::int8_t a[4][6];  ///< A^T
  std::uint32_t odd_inverse;
  int shift;

  [[nodiscard]] constexpr std::size_t positions() const { return two_d ? points * points : points; }
  [[nodiscard]] constexpr std::size_t outputs() const { return two_d ? tile * tile : tile; }
  /// Taps that each position's product still sums over: the kernel's rows in row forms.
  [[nodiscard]] constexpr std::size_t taps() const { return two_d ? 1 : 3; }
  /// Input rows under a tile, output rows of it.
  [[nodiscard]] constexpr std::size_t input_rows() const { return two_d ? points : 1; }
  [[nodiscard]] constexpr std::size_t output_rows() const { return two_d ? tile : 1; }
};

/// In int16, where there is room, factors of A that cost instructions are moved to G: rows 0 and 3 of F(2) carry 2,
/// rows 0, 1, 2, 5 of F(4) carry 6, 4, 4, 12. U then grows x9 and x144. In bytes G is as small as it gets. In F(4) row
/// 1 of B^T and of G is negated: of 26 bins it gives -128..122 instead of -122..128.
inline constexpr WinogradMatrices kWinograd[] = {
    {"f2x2_i8",
     2,
     4,
     true,
     true,
     {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
     {{1, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 1}},
     {{2, 1, 1, 0}, {0, 1, -1, -2}},
     1,
     2},
    {"f2x2_i16",
     2,
     4,
     true,
     false,
     {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
     {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}},
     {{1, 1, 1, 0}, {0, 1, -1, -1}},
     1,
     2},
    {"f4x4_i16",
     4,
     6,
     true,
     false,
     {{4, 0, -5, 0, 1, 0},
      {0, 4, 4, -1, -1, 0},
      {0, 4, -4, -1, 1, 0},
      {0, -2, -1, 2, 1, 0},
      {0, 2, -1, -2, 1, 0},
      {0, 4, 0, -5, 0, 1}},
     {{6, 0, 0}, {4, 4, 4}, {-4, 4, -4}, {1, 2, 4}, {1, -2, 4}, {0, 0, 12}},
     {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 2}},
     954437177,  // of 9
     6},
    {"f2_i8",
     2,
     4,
     false,
     true,
     {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}},
     {{1, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 1}},
     {{2, 1, 1, 0}, {0, 1, -1, -2}},
     1,
     1},
    {"f4_i8",
     4,
     6,
     false,
     true,
     {{4, 0, -5, 0, 1, 0},
      {0, 4, 4, -1, -1, 0},
      {0, 4, -4, -1, 1, 0},
      {0, -2, -1, 2, 1, 0},
      {0, 2, -1, -2, 1, 0},
      {0, 4, 0, -5, 0, 1}},
     {{1, 0, 0}, {1, 1, 1}, {-1, 1, -1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 1}},
     {{6, 4, 4, 1, 1, 0}, {0, 4, -4, 2, -2, 0}, {0, 4, 4, 4, 4, 0}, {0, 4, -4, 8, -8, 24}},
     2863311531,  // of 3
     3},
};

constexpr const WinogradMatrices& matrices_of(WinogradForm form) { return kWinograd[static_cast<std::size_t>(form)]; }

inline constexpr std::size_t kMostPositions = 36;
inline constexpr std::size_t kMostOutputs = 16;

/// V[position] = sum over input rows r and columns c of input_factor() * d[r][c].
constexpr std::int32_t input_factor(const WinogradMatrices& f, std::size_t position, std::size_t r, std::size_t c) {
  if (!f.two_d) return f.b[position][c];
  return f.b[position / f.points][r] * f.b[position % f.points][c];
}

/// Y[output] = sum over positions of output_factor() * M[position], divided by odd * 2^shift.
constexpr std::int32_t output_factor(const WinogradMatrices& f, std::size_t output, std::size_t position) {
  if (!f.two_d) return f.a[output][position];
  return f.a[output / f.tile][position / f.points] * f.a[output % f.tile][position % f.points];
}

/// U[position] at `tap` of a 3x3 kernel, row-major.
constexpr std::int32_t weight_of(const WinogradMatrices& f, std::size_t position, std::size_t tap,
                                 const std::int8_t* kernel) {
  std::int32_t sum = 0;
  for (std::size_t c = 0; c < 3; ++c) {
    if (!f.two_d) {
      sum += f.g[position][c] * kernel[tap * 3 + c];
    } else {
      for (std::size_t r = 0; r < 3; ++r)
        sum += f.g[position / f.points][r] * f.g[position % f.points][c] * kernel[r * 3 + c];
    }
  }
  return sum;
}

/// The smallest and the largest V of a position, for inputs in `levels`: the ends of the interval are reached.
constexpr ActivationLevels input_range(const WinogradMatrices& f, std::size_t position, ActivationLevels levels) {
  ActivationLevels range{0, 0};
  for (std::size_t r = 0; r < f.input_rows(); ++r) {
    for (std::size_t c = 0; c < f.points; ++c) {
      const std::int32_t factor = input_factor(f, position, r, c);
      range.lo += factor * (factor > 0 ? levels.lo : levels.hi);
      range.hi += factor * (factor > 0 ? levels.hi : levels.lo);
    }
  }
  return range;
}

/// The sum of a position's input factors: what a constant added to every input adds to V.
constexpr std::int32_t input_factor_sum(const WinogradMatrices& f, std::size_t position) {
  return input_range(f, position, {1, 1}).lo;
}

/// Whether V of every position fits its lanes: u8 after an offset, or int16.
constexpr bool inputs_fit(const WinogradMatrices& f, ActivationLevels levels) {
  for (std::size_t p = 0; p < f.positions(); ++p) {
    const ActivationLevels range = input_range(f, p, levels);
    if (f.bytes ? range.hi - range.lo > 255 : range.lo < -32768 || range.hi > 32767) return false;
  }
  return true;
}

/// Whether U of a position fits its lanes. int8 leaves out -128, as all weights do.
constexpr bool weight_fits(const WinogradMatrices& f, std::int32_t u) {
  const std::int32_t most = f.bytes ? 127 : 32767;
  return u >= -most && u <= most;
}

/// Whether the division at the end is exact: every y = sum q_a * q_w lies in -2^(31 - shift) .. 2^(31 - shift) - 1.
/// `largest` is magnitude * (the largest sum |q_w| of a column).
constexpr bool division_is_exact(const WinogradMatrices& f, std::int64_t largest) {
  return largest < std::int64_t{1} << (31 - f.shift);
}

}  // namespace fewbins
