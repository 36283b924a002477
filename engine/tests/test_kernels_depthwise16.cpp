// SPDX-License-Identifier: Apache-2.0
// 16-bit depthwise kernels against sums written out here, and their proof.
#include <algorithm>
#include <cmath>

#include "kernel_fixtures.h"

namespace fewbins {
namespace {

using testing::Coverage;
using testing::Random;

constexpr std::size_t kChannels[] = {1, 3, 8, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65, 80, 96, 112, 130, 200};

struct Levels {
  ActivationLevels activation;
  int weight;
};
// Nine taps of these always fit: 9 * h_a * h_w <= 32767.
constexpr Levels kLevels[] = {{{-127, 127}, 16}, {{-128, 127}, 28}, {{-11, 11}, 127}, {{0, 127}, 28}, {{-128, 0}, 28}};

enum class Values { random, highest, alternating };
constexpr Values kValues[] = {Values::random, Values::highest, Values::alternating};

std::vector<std::int8_t> weights_of(std::size_t count, int magnitude, Values values, Random& random) {
  std::vector<std::int8_t> w(count);
  for (std::size_t i = 0; i < count; ++i) {
    const int extreme = values == Values::alternating && i % 2 == 0 ? -magnitude : magnitude;
    w[i] = static_cast<std::int8_t>(values == Values::random ? random.integer(-magnitude, magnitude) : extreme);
  }
  return w;
}

/// Levels u: random, or all at the end that makes the largest sums.
AlignedBytes levels_of(std::size_t count, const Levels& levels, Values values, Random& random) {
  const auto [lo, hi] = levels.activation;
  AlignedBytes u(count);
  for (std::size_t i = 0; i < u.size(); ++i) {
    const int end = random.integer(0, 15) == 0 ? 0 : hi - lo;
    u.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(values == Values::random ? random.integer(0, hi - lo) : end);
  }
  return u;
}

/// Three lines of an image in memory, some of them replaced by padding, and the sums of a 3x3 window over them.
struct Lines {
  Lines(const Levels& levels, std::size_t width_, std::size_t channels_, Values values, Random& random)
      : width(width_),
        channels(channels_),
        lo(levels.activation.lo),
        image(levels_of(3 * width_ * channels_, levels, values, random)),
        padding(levels_of(channels_, levels, values, random)),
        w(weights_of(9 * channels_, levels.weight, values, random)) {
    for (std::size_t r = 0; r < 3; ++r) {
      const bool inside = random.integer(0, 3) != 0;
      task.lines[r] = inside ? image.as<std::uint8_t>() + r * width * channels : padding.as<std::uint8_t>();
      task.steps[r] = inside ? channels : 0;
    }
    task.padding = padding.as<std::uint8_t>();
    task.width = width;
    task.channels = channels;
  }
  [[nodiscard]] std::int32_t sum(std::size_t p, std::size_t c) const {
    std::int32_t total = 0;
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::size_t k = 0; k < 3; ++k) {
        const std::ptrdiff_t x = task.first + static_cast<std::ptrdiff_t>(task.stride * p + k);
        const bool inside = x >= 0 && x < static_cast<std::ptrdiff_t>(width);
        const std::uint8_t* pixel = inside ? task.lines[r] + static_cast<std::size_t>(x) * task.steps[r] : task.padding;
        total += (pixel[c] + lo) * w[c * 9 + 3 * r + k];
      }
    }
    return total;
  }
  std::size_t width;
  std::size_t channels;
  std::int32_t lo;
  AlignedBytes image;
  AlignedBytes padding;
  std::vector<std::int8_t> w;
  DepthwiseLineTask task{};
};

const DepthwiseKernel& row_of(const DepthwiseLineKernel& line) {
  for (const DepthwiseKernel& kernel : depthwise_kernels()) {
    if (find_line_kernel(kernel) == &line) return kernel;
  }
  BOOST_FAIL(line.name << " has no row of its own to pack for");
  return depthwise_kernels().front();
}

bool check_line(const DepthwiseLineKernel& line, const Levels& levels, std::size_t channels, Values values,
                Random& random) {
  const DepthwiseKernel& kernel = row_of(line);
  const auto width = static_cast<std::size_t>(random.integer(1, 9));
  Lines lines(levels, width, channels, values, random);
  DepthwiseLineTask& task = lines.task;
  task.stride = static_cast<std::size_t>(random.integer(1, 2));
  task.first = random.integer(-2, 2);
  task.pixels = static_cast<std::size_t>(random.integer(1, 7));
  AlignedBytes packed(packed_depthwise_bytes(kernel, 9, channels));
  BOOST_REQUIRE(depthwise_fits16(lines.w.data(), 9, channels, levels.activation));
  pack_depthwise(kernel, lines.w.data(), 9, channels, packed.data(), levels.activation);
  task.weights = packed.data();

  std::vector<std::int32_t> sums(task.pixels * channels + 5, 77);
  task.sums = sums.data();
  line.run(task);

  std::vector<std::int32_t> bias(channels);
  std::vector<float> m(channels);
  for (auto& b : bias) b = random.integer(0, 3) == 0 ? random.integer(-(1 << 22), 1 << 22) : random.integer(-99, 99);
  for (auto& x : m) x = random.integer(0, 9) == 0 ? 128.0F : random.real(-0.01F, 0.05F);
  BOOST_REQUIRE(depthwise_is_direct(bias.data(), m.data(), channels));
  AlignedBytes scales(depthwise_scales_bytes(kernel, channels));
  pack_depthwise_scales(kernel, bias.data(), m.data(), channels, scales.data());
  task.scales = scales.as<float>();
  const int z = random.integer(-128, 127);
  const int low = random.integer(-128, 127);
  const int high = random.integer(low, 127);
  task.store = {low - z, high - z, z + 128, nullptr};
  std::vector<std::uint8_t> out(task.pixels * channels + 5, 77);
  task.out = out.data();
  line.run(task);

  for (std::size_t i = 0; i < out.size(); ++i) {
    std::int32_t want = 77;
    std::uint8_t want_u = 77;
    if (i < task.pixels * channels) {
      const std::size_t c = i % channels;
      want = lines.sum(i / channels, c);
      const float v = static_cast<float>(want + bias[c]) * m[c];
      const float clamped = std::clamp(v, static_cast<float>(low - z), static_cast<float>(high - z));
      want_u = static_cast<std::uint8_t>(static_cast<int>(std::nearbyint(clamped)) + z + 128);
    }
    if (sums[i] != want || out[i] != want_u) {
      BOOST_ERROR(line.name << " channels=" << channels << " pixel " << i / channels << " channel " << i % channels
                            << " stride " << task.stride << ": got " << sums[i] << " and " << int{out[i]} << ", want "
                            << want << " and " << int{want_u});
      return false;
    }
  }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kernels_depthwise16)

BOOST_AUTO_TEST_CASE(every_kernel_gives_the_exact_sum_of_any_window_that_fits) {
  Random random;
  Coverage coverage;
  for (const DepthwiseLineKernel& line : depthwise_line_kernels()) coverage.ran(line.name);  // below
  for (const DepthwiseKernel& kernel : depthwise_kernels()) {
    if (kernel.family != Family::depthwise_dot16 || !runs_here(kernel.isa)) continue;
    for (const std::size_t channels : kChannels) {
      for (const std::size_t taps : {1u, 2u, 3u, 4u, 5u, 9u, 25u}) {
        for (const Values values : kValues) {
          const Levels levels{{-127, 127}, taps == 25 ? 10 : 16};
          const auto pixels = static_cast<std::size_t>(random.integer(1, 9));
          const std::vector<std::int8_t> w = weights_of(channels * taps, levels.weight, values, random);
          const AlignedBytes image = levels_of(20 * channels, levels, values, random);
          std::vector<const void*> rows(pixels * taps);
          for (auto& row : rows) {
            row = image.as<std::uint8_t>() + static_cast<std::size_t>(random.integer(0, 19)) * channels;
          }
          BOOST_REQUIRE(depthwise_fits16(w.data(), taps, channels, levels.activation));
          AlignedBytes packed(packed_depthwise_bytes(kernel, taps, channels));
          pack_depthwise(kernel, w.data(), taps, channels, packed.data(), levels.activation);
          const std::size_t stride = channels + 3;
          std::vector<std::int32_t> out(pixels * stride, 77);
          kernel.run({rows.data(), pixels, taps, channels, packed.data(), out.data(), stride});
          for (std::size_t i = 0; i < out.size(); ++i) {
            const std::size_t c = i % stride;
            std::int32_t want = c < channels ? 0 : 77;
            for (std::size_t t = 0; t < taps && c < channels; ++t) {
              const int u = static_cast<const std::uint8_t*>(rows[i / stride * taps + t])[c];
              want += (u + levels.activation.lo) * w[c * taps + t];
            }
            BOOST_REQUIRE_MESSAGE(out[i] == want, kernel.name << " channels=" << channels << " taps=" << taps
                                                              << " channel " << c << ": " << out[i] << ", " << want);
          }
        }
      }
    }
    coverage.ran(kernel.name);
  }
  coverage.expect_all(Family::depthwise_dot16);
}

BOOST_AUTO_TEST_CASE(every_line_kernel_gives_exact_sums_and_their_levels) {
  Random random;
  for (const DepthwiseLineKernel& line : depthwise_line_kernels()) {
    if (line.family != Family::depthwise_dot16 || !runs_here(line.isa)) continue;
    for (const Levels& levels : kLevels) {
      for (const std::size_t channels : kChannels) {
        for (const Values values : kValues) {
          if (!check_line(line, levels, channels, values, random)) return;
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_window_fits_up_to_the_largest_16_bit_sum_and_is_refused_one_past_it) {
  const ActivationLevels levels{-127, 127};
  std::vector<std::int8_t> w(9, 0);
  w[0] = 65;  // with its partner in row 1, w[3], and so on: no pair near its own bound
  w[1] = -64;
  w[2] = 64;
  w[6] = -65;
  BOOST_CHECK(depthwise_fits16(w.data(), 9, 1, levels));  // 127 * 258 = 32,766
  for (const DepthwiseKernel& kernel : depthwise_kernels()) {
    if (kernel.family != Family::depthwise_dot16 || !runs_here(kernel.isa)) continue;
    AlignedBytes packed(packed_depthwise_bytes(kernel, 9, 1));
    pack_depthwise(kernel, w.data(), 9, 1, packed.data(), levels);
    for (const bool largest : {true, false}) {
      AlignedBytes ends(2);
      ends.as<std::uint8_t>()[0] = largest ? 254 : 0;
      ends.as<std::uint8_t>()[1] = largest ? 0 : 254;
      std::vector<const void*> rows(9);
      for (std::size_t t = 0; t < 9; ++t) rows[t] = ends.data() + (w[t] < 0 ? 1 : 0);
      std::int32_t out = 0;
      kernel.run({rows.data(), 1, 9, 1, packed.data(), &out, 1});
      BOOST_CHECK_MESSAGE(out == (largest ? 32766 : -32766), kernel.name << ": " << out);
    }
  }
  w[6] = -66;
  BOOST_CHECK(!depthwise_fits16(w.data(), 9, 1, levels));
}

BOOST_AUTO_TEST_CASE(a_pair_that_pmaddubsw_would_saturate_is_refused) {
  const ActivationLevels levels{-127, 127};
  std::vector<std::int8_t> w(9, 0);
  w[0] = 65;  // 254 * (65 + 64) = 32,766
  w[3] = 64;
  BOOST_CHECK(depthwise_fits16(w.data(), 9, 1, levels));
  w[3] = 65;
  BOOST_CHECK(!depthwise_fits16(w.data(), 9, 1, levels));
  w[3] = -65;  // opposite signs never meet in one sum
  BOOST_CHECK(depthwise_fits16(w.data(), 9, 1, levels));
  w = {-65, 0, 0, -65, 0, 0, 0, 0, 0};
  BOOST_CHECK(!depthwise_fits16(w.data(), 9, 1, levels));
  w = {65, 65};  // other windows pair neighbours
  BOOST_CHECK(!depthwise_fits16(w.data(), 2, 1, levels));
  w = {0, 65, 65};
  BOOST_CHECK(depthwise_fits16(w.data(), 3, 1, levels));
}

BOOST_AUTO_TEST_CASE(products_up_to_3640_always_fit_a_3x3_window) {
  for (int a = 1; a <= 128; ++a) {
    const int h_w = std::min(3640 / a, 127);
    const std::vector<std::int8_t> w(9, static_cast<std::int8_t>(h_w));
    BOOST_CHECK(depthwise_fits16(w.data(), 9, 1, {-a, std::min(a, 127)}));
  }
}

BOOST_AUTO_TEST_CASE(requantizing_on_the_spot_needs_small_biases_and_multipliers) {
  const float one = 1.0F;
  std::int32_t bias = 1 << 22;
  BOOST_CHECK(depthwise_is_direct(&bias, &one, 1));
  bias = -(1 << 22) - 1;
  BOOST_CHECK(!depthwise_is_direct(&bias, &one, 1));
  bias = 0;
  for (const float m : {129.0F, -129.0F, std::nanf(""), INFINITY}) BOOST_CHECK(!depthwise_is_direct(&bias, &m, 1));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fewbins
