// SPDX-License-Identifier: Apache-2.0
// Every elementwise kernel against the rules of docs/numerics.md section 4, written out here once more: floats with
// std::nearbyint, integers in 128 bits. Compared bit by bit.
#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>

#if !defined(__SIZEOF_INT128__)
#include <boost/multiprecision/cpp_int.hpp>
#endif

#include "kernel_fixtures.h"

namespace fewbins {
namespace {

using testing::Random;
#if defined(__SIZEOF_INT128__)
__extension__ using Int128 = __int128;
#else  // 32-bit CPUs
using Int128 = boost::multiprecision::int128_t;
#endif

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::int32_t kMin = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();

/// The sets that this machine runs; each is complete, so no operation goes untested.
std::vector<const ElementwiseKernels*> runnable() {
  std::vector<const ElementwiseKernels*> sets;
  for (const ElementwiseKernels& set : elementwise_kernels()) {
    if (runs_here(set.isa)) sets.push_back(&set);
  }
  return sets;
}

std::int32_t wrapped(std::int64_t x) { return static_cast<std::int32_t>(static_cast<std::uint32_t>(x)); }

template <class T>
T clamped(T x, T lo, T hi) {
  return std::min(std::max(x, lo), hi);
}

Int128 floor_shift(Int128 x, int e) { return x >> e; }

/// An output tensor's levels, narrowed as a fused activation narrows them.
struct Output {
  std::int32_t lo, hi, z, low, high;  // low = lo', high = hi'
  [[nodiscard]] StoreU8 store(const std::uint8_t* table = nullptr) const { return {low - z, high - z, z - lo, table}; }
  [[nodiscard]] std::uint8_t level(Int128 q) const {
    return static_cast<std::uint8_t>(clamped<Int128>(q, low, high) - lo);
  }
};

constexpr Output kOutputs[] = {
    {-128, 127, 0, -128, 127}, {-128, 127, -128, -128, 127}, {-128, 127, 127, -128, 127},
    {-128, 127, 5, 5, 90},     {-11, 11, -11, -11, 11},      {0, 15, 3, 3, 15},
    {-32, 31, 7, -20, 5},
};

/// A tile with everything that can happen in it.
struct Tile {
  std::size_t rows, cols, stride, out_stride;
  std::vector<std::int32_t> acc, bias;
  std::vector<float> m, m_neg;
  std::vector<std::uint8_t> residual;
  std::int32_t residual_offset;
  float residual_m;

  Tile(std::size_t rows_, std::size_t cols_, Random& random)
      : rows(rows_),
        cols(cols_),
        stride(cols_ + 5),
        out_stride(cols_ + 3),
        acc(rows_ * stride),
        bias(cols_),
        m(cols_),
        m_neg(cols_),
        residual(rows_ * (cols_ + 2)),
        residual_offset(-random.integer(0, 255)),
        residual_m(random.integer(0, 1) == 0 ? 0.5f : random.real(-2.0f, 2.0f)) {
    constexpr std::int32_t kEdges[] = {0, 1, -1, 5, -5, kMin, kMax, kMin + 1, 1 << 24, (1 << 24) + 1, -(1 << 30)};
    for (auto& x : acc) {
      const int kind = random.integer(0, 5);
      x = kind == 0 ? kEdges[random.integer(0, 10)] : kind == 1 ? random.word() : random.integer(-3000, 3000);
    }
    for (auto& x : bias) x = random.integer(0, 3) == 0 ? random.word() : random.integer(-100, 100);
    // Powers of two give many ties.
    for (auto& x : m)
      x = random.integer(0, 2) == 0 ? 0.25f : random.integer(0, 5) == 0 ? 3e8f : random.real(0.0f, 0.2f);
    for (auto& x : m_neg) x = random.integer(0, 1) == 0 ? -0.5f : random.real(-0.1f, 0.1f);
    for (auto& x : residual) x = static_cast<std::uint8_t>(random.integer(0, 255));
  }
  [[nodiscard]] std::size_t residual_stride() const { return cols + 2; }
  [[nodiscard]] std::int32_t sum(std::size_t i, std::size_t j, bool with_bias) const {
    return wrapped(std::int64_t{acc[i * stride + j]} + (with_bias ? bias[j] : 0));
  }
  [[nodiscard]] std::int32_t q_residual(std::size_t i, std::size_t j) const {
    return residual[i * residual_stride() + j] + residual_offset;
  }
  [[nodiscard]] RequantizeTask task(const StoreU8& store, bool with_bias, bool with_residual) const {
    RequantizeTask task{};
    task.acc = acc.data();
    task.acc_stride = stride;
    task.rows = rows;
    task.cols = cols;
    task.bias = with_bias ? bias.data() : nullptr;
    task.store = store;
    if (with_residual) {
      task.residual = residual.data();
      task.residual_stride = residual_stride();
      task.residual_offset = residual_offset;
      task.residual_m = residual_m;
    }
    task.out_stride = out_stride;
    return task;
  }
};

constexpr std::size_t kColumns[] = {1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 63, 64, 65, 130};

/// Runs an operation that fills a tile of bytes and compares it with want(i, j); bytes between rows must stay.
template <class Want>
void check_bytes(const char* what, const ElementwiseKernels& set, void (*run)(const RequantizeTask&),
                 RequantizeTask task, Want want) {
  std::vector<std::uint8_t> out(task.rows * task.out_stride, 0xa5);
  task.out = out.data();
  run(task);
  for (std::size_t i = 0; i < task.rows; ++i) {
    for (std::size_t j = 0; j < task.out_stride; ++j) {
      const int expected = j < task.cols ? want(i, j) : 0xa5;
      const int got = out[i * task.out_stride + j];
      if (got != expected) {
        BOOST_ERROR(what << " on " << isa_name(set.isa) << ", " << task.rows << "x" << task.cols << " at " << i << ","
                         << j << ": got " << got << ", want " << expected);
        return;
      }
    }
  }
}

std::uint8_t float_level(float v, const Output& output) {
  const float low = static_cast<float>(output.low - output.z);
  const float high = static_cast<float>(output.high - output.z);
  return output.level(static_cast<Int128>(std::nearbyint(clamped(v, low, high))) + output.z);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kernels_elementwise)

BOOST_AUTO_TEST_CASE(every_set_that_this_cpu_has_is_complete_and_selected) {
  for (const KernelRow& row : kernel_rows()) {
    if (row.family != Family::elementwise || !runs_here(row.isa)) continue;
    BOOST_CHECK(select_elementwise(row.isa).isa == row.isa);
  }
  for (const ElementwiseKernels* set : runnable()) {
    BOOST_CHECK(set->requantize_float && set->requantize_fixed && set->requantize_shift && set->dequantize_tile &&
                set->finish_float && set->quantize && set->quantize_planes && set->dequantize && set->add_float &&
                set->add_fixed && set->add_shift && set->max_rows && set->sum_rows && set->lookup);
  }
}

BOOST_AUTO_TEST_CASE(requantize_float_rounds_half_to_even_after_the_clamp) {
  Random random;
  std::uint8_t table[256];
  for (int i = 0; i < 256; ++i) table[i] = static_cast<std::uint8_t>(i * 37 + 11);
  for (const std::size_t cols : kColumns) {
    for (const Output& output : kOutputs) {
      const Tile tile(3, cols, random);
      for (const ElementwiseKernels* set : runnable()) {
        for (int variant = 0; variant < 8; ++variant) {
          const bool with_bias = (variant & 1) != 0;
          const bool with_table = (variant & 2) != 0;
          const bool with_residual = variant >= 4 && (variant & 1) != 0;
          const bool with_negative = variant >= 4 && !with_residual;
          RequantizeTask task = tile.task(output.store(with_table ? table : nullptr), with_bias, with_residual);
          task.m = tile.m.data();
          if (with_negative) task.m_neg = tile.m_neg.data();
          check_bytes("requantize_float", *set, set->requantize_float, task, [&](std::size_t i, std::size_t j) {
            const std::int32_t acc = tile.sum(i, j, with_bias);
            float v = static_cast<float>(acc) * (with_negative && acc < 0 ? tile.m_neg[j] : tile.m[j]);
            if (with_residual) v += static_cast<float>(tile.q_residual(i, j)) * tile.residual_m;
            const std::uint8_t u = float_level(v, output);
            return with_table ? table[u] : u;
          });
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(requantize_fixed_is_the_64_bit_formula) {
  Random random;
  for (const std::size_t cols : kColumns) {
    for (const Output& output : kOutputs) {
      const Tile tile(2, cols, random);
      std::vector<std::int32_t> m(cols), e(cols), m_neg(cols), e_neg(cols), r_m(cols);
      for (std::size_t j = 0; j < cols; ++j) {
        const int kind = random.integer(0, 9);
        m[j] = kind == 0 ? kMax : kind == 1 ? 0 : random.integer(1 << 30, kMax);
        e[j] = kind == 2 ? 1 : kind == 3 ? 62 : random.integer(28, 42);
        m_neg[j] = kind == 4 ? -kMax : -random.integer(1 << 30, kMax);
        e_neg[j] = random.integer(1, 62);
        r_m[j] = random.integer(-kMax, kMax);
      }
      for (const ElementwiseKernels* set : runnable()) {
        for (const int variant : {0, 1, 2, 3}) {
          const bool with_bias = variant != 0;
          RequantizeTask task = tile.task(output.store(), with_bias, variant == 2);
          task.fixed_m = m.data();
          task.fixed_e = e.data();
          if (variant == 2) task.residual_fixed_m = r_m.data();
          if (variant == 3) {
            task.fixed_m_neg = m_neg.data();
            task.fixed_e_neg = e_neg.data();
          }
          check_bytes("requantize_fixed", *set, set->requantize_fixed, task, [&](std::size_t i, std::size_t j) {
            const std::int32_t acc = tile.sum(i, j, with_bias);
            const bool negative = variant == 3 && acc < 0;
            const int exponent = negative ? e_neg[j] : e[j];
            Int128 sum = Int128{acc} * (negative ? m_neg[j] : m[j]);
            if (variant == 2) sum += Int128{tile.q_residual(i, j)} * r_m[j];
            return output.level(floor_shift(sum + (Int128{1} << (exponent - 1)), exponent) + output.z);
          });
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(requantize_shift_is_the_64_bit_formula_for_every_shift) {
  Random random;
  for (const std::size_t cols : kColumns) {
    for (const Output& output : kOutputs) {
      const Tile tile(2, cols, random);
      std::vector<std::int32_t> shift(cols);
      for (const ElementwiseKernels* set : runnable()) {
        for (auto& n : shift) n = random.integer(0, 3) == 0 ? random.integer(-70, 70) : random.integer(-4, 12);
        RequantizeTask task = tile.task(output.store(), true, false);
        task.shift = shift.data();
        check_bytes("requantize_shift", *set, set->requantize_shift, task, [&](std::size_t i, std::size_t j) {
          const Int128 acc = tile.sum(i, j, true);
          if (shift[j] > 31) return output.level(output.z);
          if (shift[j] < 1) return output.level((acc * (Int128{1} << -shift[j])) + output.z);
          return output.level(floor_shift(acc + (Int128{1} << (shift[j] - 1)), shift[j]) + output.z);
        });

        const std::int32_t residual_shift = random.integer(-20, 25);
        const bool negate = random.integer(0, 1) == 1;
        const std::int32_t least = std::max(residual_shift, 1) - 31;
        for (auto& n : shift)
          n = random.integer(std::max(least, residual_shift - 31), std::min(40, residual_shift + 52));
        task = tile.task(output.store(), true, true);
        task.shift = shift.data();
        task.residual_shift = residual_shift;
        task.residual_negate = negate;
        check_bytes("requantize_shift, two", *set, set->requantize_shift, task, [&](std::size_t i, std::size_t j) {
          const int most = std::max({shift[j], residual_shift, 1});
          const Int128 r = negate ? -tile.q_residual(i, j) : tile.q_residual(i, j);
          const Int128 sum = Int128{tile.sum(i, j, true)} * (Int128{1} << (most - shift[j])) +
                             r * (Int128{1} << (most - residual_shift));
          return output.level(floor_shift(sum + (Int128{1} << (most - 1)), most) + output.z);
        });
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(tiles_become_floats_with_one_rounding_per_operation) {
  Random random;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const std::size_t cols : kColumns) {
    const Tile tile(3, cols, random);
    std::vector<float> residual(3 * (cols + 2)), sums(3 * tile.stride), bias(cols);
    for (float& x : residual) x = random.integer(0, 20) == 0 ? nan : random.real(-10, 10);
    for (float& x : sums)
      x = random.integer(0, 20) == 0 ? nan : random.integer(0, 9) == 0 ? -0.0f : random.real(-10, 10);
    for (float& x : bias) x = random.real(-1, 1);
    const float ends[][2] = {{-kInfinity, kInfinity}, {0.0f, kInfinity}, {0.0f, 6.0f}};
    for (const ElementwiseKernels* set : runnable()) {
      for (int variant = 0; variant < 12; ++variant) {
        const float lo = ends[variant % 3][0];
        const float hi = ends[variant % 3][1];
        const bool second = variant >= 6;
        const bool negative = variant % 2 == 1 && !second;
        std::vector<float> out(3 * tile.out_stride, 77.0f);
        const auto check = [&](const char* what, auto value) {
          for (std::size_t i = 0; i < 3; ++i) {
            for (std::size_t j = 0; j < tile.out_stride; ++j) {
              float want = 77.0f;
              if (j < cols) {
                want = value(i, j);
                if (want < lo) want = lo;
                if (want > hi) want = hi;
              }
              const float got = out[i * tile.out_stride + j];
              const bool same = std::isnan(want)
                                    ? std::isnan(got)
                                    : std::bit_cast<std::uint32_t>(want) == std::bit_cast<std::uint32_t>(got);
              BOOST_REQUIRE_MESSAGE(same, what << " on " << isa_name(set->isa) << " cols=" << cols << " at " << j
                                               << ": " << got << ", want " << want);
            }
          }
        };
        DequantizeTileTask task{};
        task.acc = tile.acc.data();
        task.acc_stride = tile.stride;
        task.rows = 3;
        task.cols = cols;
        task.bias = tile.bias.data();
        task.m = tile.m.data();
        task.m_neg = negative ? tile.m_neg.data() : nullptr;
        task.residual = second ? residual.data() : nullptr;
        task.residual_stride = cols + 2;
        task.clamp_lo = lo;
        task.clamp_hi = hi;
        task.out = out.data();
        task.out_stride = tile.out_stride;
        set->dequantize_tile(task);
        check("dequantize_tile", [&](std::size_t i, std::size_t j) {
          const std::int32_t acc = tile.sum(i, j, true);
          float y = static_cast<float>(acc) * (negative && acc < 0 ? tile.m_neg[j] : tile.m[j]);
          if (second) y += residual[i * (cols + 2) + j];
          return y;
        });

        FinishFloatTask finish{};
        finish.acc = sums.data();
        finish.acc_stride = tile.stride;
        finish.rows = 3;
        finish.cols = cols;
        finish.bias = bias.data();
        finish.slope = negative ? tile.m_neg.data() : nullptr;
        finish.residual = task.residual;
        finish.residual_stride = cols + 2;
        finish.clamp_lo = lo;
        finish.clamp_hi = hi;
        finish.out = out.data();
        finish.out_stride = tile.out_stride;
        set->finish_float(finish);
        check("finish_float", [&](std::size_t i, std::size_t j) {
          float y = sums[i * tile.stride + j] + bias[j];
          if (negative && y < 0) y *= tile.m_neg[j];
          if (second) y += residual[i * (cols + 2) + j];
          return y;
        });
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(quantize_divides_rounds_half_to_even_and_takes_nan_for_zero) {
  Random random;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float edges[] = {0.0f, -0.0f, nan, -nan, kInfinity, -kInfinity, FLT_MAX, -FLT_MAX, FLT_MIN, 1e-42f, 0.5f, 1.5f};
  for (const float scale : {1.0f, 0.1f, FLT_MIN, 3e30f, 0.0078125f}) {
    for (const Output& o : kOutputs) {
      const Output output{o.lo, o.hi, o.z, o.lo, o.hi};
      for (const std::size_t count : kColumns) {
        std::vector<float> x(count);
        for (std::size_t i = 0; i < count; ++i) {
          const int kind = random.integer(0, 3);
          x[i] = kind == 0
                     ? edges[random.integer(0, 11)]
                     : (static_cast<float>(random.integer(-300, 300)) + (kind == 1 ? 0.5f : random.real(0, 1))) * scale;
        }
        std::vector<std::uint8_t> want(count);
        for (std::size_t i = 0; i < count; ++i) {
          want[i] = std::isnan(x[i]) ? output.level(output.z) : float_level(x[i] / scale, output);
        }
        for (const ElementwiseKernels* set : runnable()) {
          std::vector<std::uint8_t> out(count + 1, 0xa5);
          set->quantize({x.data(), count, scale, o.z, o.lo, o.hi, out.data()});
          BOOST_CHECK_EQUAL(out[count], 0xa5);
          out.pop_back();
          BOOST_CHECK_MESSAGE(out == want,
                              "quantize on " << isa_name(set->isa) << " count=" << count << " scale=" << scale);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(planes_become_pixels_padded_with_the_zero_point) {
  Random random;
  for (const std::size_t channels : {1u, 3u, 5u}) {
    for (const std::size_t out_channels : {channels, (channels + 3) / 4 * 4}) {
      for (const std::size_t pixels : {1u, 31u, 513u, 1100u}) {
        const std::size_t stride = pixels + 3;
        std::vector<float> x(channels * stride);
        for (float& v : x) v = random.real(-2, 2);
        for (const ElementwiseKernels* set : runnable()) {
          std::vector<std::uint8_t> out(pixels * out_channels);
          set->quantize_planes({x.data(), stride, channels, pixels, 0.01f, -20, -127, 127, out.data(), out_channels});
          for (std::size_t p = 0; p < pixels; ++p) {
            for (std::size_t c = 0; c < out_channels; ++c) {
              const Output output{-127, 127, -20, -127, 127};
              const int want = c < channels ? float_level(x[c * stride + p] / 0.01f, output) : -20 + 127;
              BOOST_REQUIRE_EQUAL(int{out[p * out_channels + c]}, want);
            }
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(dequantize_and_lookup_take_every_level) {
  std::vector<std::uint8_t> u(256 + 9);
  std::uint8_t table[256];
  for (std::size_t i = 0; i < u.size(); ++i) u[i] = static_cast<std::uint8_t>(i);
  for (int i = 0; i < 256; ++i) table[i] = static_cast<std::uint8_t>(255 - i);
  for (const ElementwiseKernels* set : runnable()) {
    for (const std::size_t count : {1u, 7u, 16u, 255u, 265u}) {
      std::vector<float> y(count + 1, 77.0f);
      set->dequantize({u.data(), count, 0.1f, -131, y.data()});
      std::vector<std::uint8_t> out(u.begin(), u.begin() + static_cast<std::ptrdiff_t>(count));
      set->lookup({out.data(), count, table, out.data()});
      for (std::size_t i = 0; i < count; ++i) {
        BOOST_CHECK_EQUAL(y[i], 0.1f * static_cast<float>(int{u[i]} - 131));
        BOOST_CHECK_EQUAL(int{out[i]}, 255 - int{u[i]});
      }
      BOOST_CHECK_EQUAL(y[count], 77.0f);
    }
  }
}

BOOST_AUTO_TEST_CASE(add_is_the_requantization_of_two_tensors_or_of_one) {
  Random random;
  for (const Output& output : kOutputs) {
    for (const std::size_t count : kColumns) {
      std::vector<std::uint8_t> a(count), b(count);
      for (auto& x : a) x = static_cast<std::uint8_t>(random.integer(0, 255));
      for (auto& x : b) x = static_cast<std::uint8_t>(random.integer(0, 255));
      for (const bool two : {false, true}) {
        AddTask task{};
        task.a = a.data();
        task.b = two ? b.data() : nullptr;
        task.count = count;
        task.a_offset = -random.integer(0, 255);
        task.b_offset = -random.integer(0, 255);
        task.a_m = random.integer(0, 1) == 0 ? 0.5f : random.real(0, 2);
        task.b_m = random.integer(0, 1) == 0 ? -0.5f : random.real(-2, 2);
        task.a_fixed_m = random.integer(1 << 30, kMax);
        task.b_fixed_m = -random.integer(0, kMax);
        task.fixed_e = random.integer(28, 36);
        task.a_shift = random.integer(-20, 10);
        task.b_shift = random.integer(-20, 10);
        task.b_negate = random.integer(0, 1) == 1;
        task.store = output.store();
        const auto q_a = [&](std::size_t i) { return Int128{a[i] + task.a_offset}; };
        const auto q_b = [&](std::size_t i) { return two ? Int128{b[i] + task.b_offset} : Int128{0}; };
        for (const ElementwiseKernels* set : runnable()) {
          std::vector<std::uint8_t> out(count + 1, 0xa5);
          task.out = out.data();
          const auto check = [&](const char* what, auto value) {
            for (std::size_t i = 0; i < count; ++i) {
              if (out[i] != value(i)) {
                BOOST_ERROR(what << " on " << isa_name(set->isa) << " count=" << count << " at " << i);
                return;
              }
            }
            BOOST_CHECK_EQUAL(int{out[count]}, 0xa5);
          };
          set->add_float(task);
          check("add_float", [&](std::size_t i) {
            float v = static_cast<float>(q_a(i)) * task.a_m;
            if (two) v += static_cast<float>(q_b(i)) * task.b_m;
            return float_level(v, output);
          });
          set->add_fixed(task);
          check("add_fixed", [&](std::size_t i) {
            const Int128 sum = q_a(i) * task.a_fixed_m + q_b(i) * task.b_fixed_m;
            return output.level(floor_shift(sum + (Int128{1} << (task.fixed_e - 1)), task.fixed_e) + output.z);
          });
          set->add_shift(task);
          check("add_shift", [&](std::size_t i) {
            const int most = two ? std::max({task.a_shift, task.b_shift, 1}) : std::max(task.a_shift, 1);
            Int128 sum = q_a(i) * (Int128{1} << (most - task.a_shift));
            if (two) sum += (task.b_negate ? -q_b(i) : q_b(i)) * (Int128{1} << (most - task.b_shift));
            return output.level(floor_shift(sum + (Int128{1} << (most - 1)), most) + output.z);
          });
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(rows_are_reduced_channel_by_channel) {
  Random random;
  for (const std::size_t channels : kColumns) {
    for (const std::size_t row_count : {1u, 2u, 9u, 49u}) {
      std::vector<std::uint8_t> data(row_count * channels);
      for (auto& x : data) x = static_cast<std::uint8_t>(random.integer(0, 1) == 0 ? 255 : random.integer(0, 255));
      std::vector<const std::uint8_t*> rows;
      for (std::size_t r = 0; r < row_count; ++r) rows.push_back(data.data() + r * channels);
      for (const ElementwiseKernels* set : runnable()) {
        std::vector<std::uint8_t> best(channels + 1, 0xa5);
        std::vector<std::int32_t> sums(channels + 1, 77);
        set->max_rows({rows.data(), row_count, channels, best.data()});
        set->sum_rows({rows.data(), row_count, channels, sums.data()});
        for (std::size_t c = 0; c < channels; ++c) {
          int most = 0;
          int sum = 0;
          for (std::size_t r = 0; r < row_count; ++r) {
            most = std::max(most, int{rows[r][c]});
            sum += rows[r][c];
          }
          BOOST_CHECK_EQUAL(int{best[c]}, most);
          BOOST_CHECK_EQUAL(sums[c], sum);
        }
        BOOST_CHECK_EQUAL(int{best[channels]}, 0xa5);
        BOOST_CHECK_EQUAL(sums[channels], 77);
        set->sum_rows({rows.data(), 0, channels, sums.data()});
        BOOST_CHECK_EQUAL(sums[0], 0);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(sums_of_doubles_have_one_order_on_every_instruction_set) {
  Random random;
  const double mean = 0.3;
  for (const std::size_t count : {1u, 7u, 8u, 9u, 16u, 37u, 64u}) {
    std::vector<float> x(count);
    for (auto& value : x) value = static_cast<float>(random.integer(-1000, 1000)) / 7.0F;
    const std::vector<double> means(count, mean);
    for (const std::size_t first : {0u, 3u, 7u}) {
      for (const double* center : {static_cast<const double*>(nullptr), means.data()}) {
        std::array<double, kSumLanes> lanes{};
        lanes.fill(0.125);
        std::vector<double> row(count, 0.25);
        for (std::size_t i = 0; i < count; ++i) {
          const double wide = static_cast<double>(x[i]) - (center == nullptr ? 0.0 : mean);
          lanes[(first + i) % kSumLanes] += center == nullptr ? wide : wide * wide;
          row[i] += center == nullptr ? wide : wide * wide;
        }
        for (const ElementwiseKernels* set : runnable()) {
          std::array<double, kSumLanes> got{};
          got.fill(0.125);
          set->sum_lanes({.x = x.data(), .count = count, .first = first, .mean = center, .lanes = got.data()});
          BOOST_TEST(got == lanes, isa_name(set->isa));
          std::vector<double> sums(count, 0.25);
          set->sum_row({.x = x.data(), .count = count, .mean = center, .sums = sums.data()});
          BOOST_TEST(sums == row, isa_name(set->isa));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(normalization_and_products_of_doubles_round_alike_on_every_instruction_set) {
  Random random;
  const auto number = [&] { return static_cast<float>(random.integer(-1000, 1000)) / 7.0F; };
  for (const std::size_t count : {1u, 5u, 8u, 33u}) {
    std::vector<float> x(count), scale(count), bias(count);
    std::vector<double> mean(count), factor(count);
    for (std::size_t i = 0; i < count; ++i) {
      x[i] = number(), scale[i] = number(), bias[i] = number();
      mean[i] = static_cast<double>(number()), factor[i] = static_cast<double>(number());
    }
    std::vector<double> rows(count * kProductRows), columns(count * kProductColumns);
    for (auto& value : rows) value = static_cast<double>(number());
    for (auto& value : columns) value = static_cast<double>(number());
    std::array<double, kProductRows * kProductColumns> tile{};
    for (std::size_t k = 0; k < count; ++k)
      for (std::size_t i = 0; i < tile.size(); ++i)
        tile[i] += rows[k * kProductRows + i / kProductColumns] * columns[k * kProductColumns + i % kProductColumns];
    for (const ElementwiseKernels* set : runnable()) {
      std::vector<float> out(count + 1, 77.0F);
      set->normalize({.x = x.data(),
                      .count = count,
                      .mean = mean.data(),
                      .factor = factor.data(),
                      .scale = scale.data(),
                      .bias = bias.data(),
                      .out = out.data()});
      for (std::size_t i = 0; i < count; ++i) {
        const double steps = (static_cast<double>(x[i]) - mean[i]) * factor[i] * static_cast<double>(scale[i]);
        BOOST_TEST(out[i] == static_cast<float>(steps + static_cast<double>(bias[i])), isa_name(set->isa));
      }
      BOOST_TEST(out[count] == 77.0F);
      std::array<double, kProductRows * kProductColumns> sums{};
      set->product_f64({.rows = rows.data(), .columns = columns.data(), .depth = count, .sums = sums.data()});
      BOOST_TEST(sums == tile, isa_name(set->isa));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fewbins
