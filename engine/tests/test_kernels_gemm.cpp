// SPDX-License-Identifier: Apache-2.0
// Every tile kernel against sums written out here, independent of the kernels' scalar rows.
#include <algorithm>
#include <cmath>

#include "kernel_fixtures.h"

namespace fewbins {
namespace {

using testing::Coverage;
using testing::Random;
using testing::TileRows;

struct Shape {
  std::size_t m;
  std::size_t n;
  std::size_t taps;
  std::size_t channels;
};

/// Shapes around the edges of a kernel's tile and steps.
std::vector<Shape> shapes_of(const GemmKernel& kernel) {
  std::vector<Shape> shapes;
  for (std::size_t channels = 1; channels <= 4 * kernel.ks + 1; ++channels)
    shapes.push_back({kernel.mr, 3, 1, channels});
  for (std::size_t channels : {31u, 32u, 33u, 64u, 100u, 1031u}) shapes.push_back({kernel.mr, kernel.nr, 2, channels});
  for (std::size_t m = 1; m <= kernel.mr; ++m) shapes.push_back({m, kernel.nr + 1, 3, 21});
  for (std::size_t n = 1; n <= 2 * kernel.nr + 1; ++n) shapes.push_back({1, n, 1, 9});
  for (std::size_t taps : {1u, 2u, 3u, 9u, 25u}) shapes.push_back({kernel.mr, kernel.nr, taps, 16});
  return shapes;
}

struct Levels {
  ActivationLevels activation;
  int weight_magnitude;
};

/// What the activations and weights of a case are.
enum class Values { random, all_high, all_low, alternating };

std::int8_t weight_of(Values values, int magnitude, std::size_t i, Random& random) {
  switch (values) {
    case Values::all_high:
      return static_cast<std::int8_t>(magnitude);
    case Values::all_low:
      return static_cast<std::int8_t>(-magnitude);
    case Values::alternating:
      return static_cast<std::int8_t>(i % 2 == 0 ? magnitude : -magnitude);
    case Values::random:
      break;
  }
  return static_cast<std::int8_t>(random.integer(-magnitude, magnitude));
}

/// Runs `kernel` on one shape and compares every sum that matters with sum over k of (q - z) * w + b.
void check_integer(const GemmKernel& kernel, const Shape& shape, const Levels& levels, Values values, bool extreme_u,
                   Random& random) {
  const auto [lo, hi] = levels.activation;
  const std::int32_t z = std::clamp(-3, lo, hi);
  std::vector<std::int8_t> w(shape.n * shape.taps * shape.channels);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = weight_of(values, levels.weight_magnitude, i, random);
  const WeightView view{w.data(), shape.n, shape.taps, shape.channels};
  std::size_t block = 0;
  if (kernel.family == Family::dot16) {
    block = block_for(kernel, view, levels.activation);
    BOOST_REQUIRE(block > 0);
    BOOST_REQUIRE(block_is_exact(kernel, view, levels.activation, block));
  }
  AlignedBytes packed(packed_bytes(kernel, shape.n, shape.taps, shape.channels, block));
  pack(kernel, view, levels.activation, block, packed.data());
  std::vector<std::int32_t> sums(shape.n);
  column_sums(view, sums.data());

  TileRows<std::uint8_t> rows(kernel.mr, shape.m, shape.taps, shape.channels);
  rows.fill([&, top = hi - lo] { return static_cast<std::uint8_t>(extreme_u ? top : random.integer(0, top)); });
  AlignedBytes tile(kernel.mr * kernel.nr * sizeof(std::int32_t));
  for (std::size_t n0 = 0; n0 < shape.n; n0 += kernel.nr) {
    const std::size_t panel = n0 / kernel.nr * panel_bytes(kernel, shape.taps, shape.channels, block);
    std::fill_n(tile.as<std::int32_t>(), kernel.mr * kernel.nr, 77);
    kernel.run({rows.pointers(), shape.taps, depth_of(kernel, shape.channels), packed.data() + panel, tile.data(),
                block, random.integer(0, 1) == 0 && shape.m == kernel.mr ? 0 : shape.m});
    for (std::size_t i = 0; i < shape.m; ++i) {
      for (std::size_t n = n0; n < std::min(n0 + kernel.nr, shape.n); ++n) {
        std::int64_t want = 5;
        for (std::size_t t = 0; t < shape.taps; ++t) {
          for (std::size_t c = 0; c < shape.channels; ++c) {
            want += (rows.row(t, i)[c] + lo - z) * w[(n * shape.taps + t) * shape.channels + c];
          }
        }
        const auto bias = static_cast<std::uint32_t>(folded_bias(kernel.family, 5, sums[n], lo, z));
        const auto raw = static_cast<std::uint32_t>(tile.as<std::int32_t>()[i * kernel.nr + n - n0]);
        const auto got = static_cast<std::int32_t>(raw + bias);
        if (got != want) {
          BOOST_ERROR(kernel.name << " m=" << shape.m << " n=" << shape.n << " taps=" << shape.taps
                                  << " channels=" << shape.channels << " block=" << block << " levels=" << lo << ".."
                                  << hi << "x" << levels.weight_magnitude << " row " << i << " column " << n << ": got "
                                  << got << ", want " << want);
          return;
        }
      }
    }
  }
}

constexpr Levels kAny[] = {{{-128, 127}, 127}, {{0, 255 - 128}, 127}, {{-11, 11}, 11}};
// Products up to 4095 in many splittings: always dot16-able.
constexpr Levels kFew[] = {{{-127, 127}, 16}, {{-127, 127}, 32}, {{-128, 127}, 31}, {{-32, 31}, 14}, {{-32, 31}, 127},
                           {{-11, 11}, 11},   {{-39, 39}, 105},  {{-1, 1}, 127},    {{0, 127}, 32},  {{-128, 0}, 31}};

void check_family(Family family, std::span<const Levels> all_levels) {
  Random random;
  Coverage coverage;
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.family != family || !runs_here(kernel.isa)) continue;
    for (const Levels& levels : all_levels) {
      for (const Shape& shape : shapes_of(kernel)) {
        const bool small = shape.channels < 64;
        check_integer(kernel, shape, levels, Values::random, false, random);
        if (!small && &levels != all_levels.data()) continue;
        for (const Values values : {Values::all_high, Values::all_low, Values::alternating}) {
          check_integer(kernel, shape, levels, values, true, random);
        }
      }
    }
    coverage.ran(kernel.name);
  }
  coverage.expect_all(family);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kernels_gemm)

BOOST_AUTO_TEST_CASE(every_dot32_kernel_gives_the_exact_sum) { check_family(Family::dot32, kAny); }

BOOST_AUTO_TEST_CASE(every_dot16_kernel_gives_the_exact_sum) { check_family(Family::dot16, kFew); }

BOOST_AUTO_TEST_CASE(dot32_sums_wrap_modulo_2_to_the_32) {
  // 255 * 127 * 70,000 passes 2^31; saturating instructions would stop there.
  constexpr std::size_t kDepth = 70000;
  const std::vector<std::int8_t> w(kDepth, 127);
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.family != Family::dot32 || !runs_here(kernel.isa)) continue;
    AlignedBytes packed(packed_bytes(kernel, 1, 1, kDepth, 0));
    pack(kernel, {w.data(), 1, 1, kDepth}, {-128, 127}, 0, packed.data());
    TileRows<std::uint8_t> rows(kernel.mr, 1, 1, kDepth);
    rows.fill([] { return std::uint8_t{255}; });
    AlignedBytes tile(kernel.mr * kernel.nr * sizeof(std::int32_t));
    kernel.run({rows.pointers(), 1, depth_of(kernel, kDepth), packed.data(), tile.data(), 0, 1});
    const auto want = static_cast<std::int32_t>(static_cast<std::uint32_t>(std::int64_t{255} * 127 * kDepth));
    BOOST_CHECK_MESSAGE(tile.as<std::int32_t>()[0] == want, kernel.name);
  }
}

BOOST_AUTO_TEST_CASE(every_f32_kernel_is_within_rounding_of_the_double_sum) {
  Random random;
  Coverage coverage;
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.family != Family::f32 || !runs_here(kernel.isa)) continue;
    for (const Shape& shape : shapes_of(kernel)) {
      std::vector<float> w(shape.n * shape.taps * shape.channels);
      for (float& x : w) x = random.real(-1, 1);
      AlignedBytes packed(packed_bytes(kernel, shape.n, shape.taps, shape.channels, 0));
      pack_f32(kernel, w.data(), shape.n, shape.taps, shape.channels, packed.data());
      TileRows<float> rows(kernel.mr, shape.m, shape.taps, shape.channels);
      rows.fill([&] { return random.real(-1, 1); });
      AlignedBytes tile(kernel.mr * kernel.nr * sizeof(float));
      for (std::size_t n0 = 0; n0 < shape.n; n0 += kernel.nr) {
        const std::size_t panel = n0 / kernel.nr * panel_bytes(kernel, shape.taps, shape.channels, 0);
        kernel.run({rows.pointers(), shape.taps, shape.channels, packed.data() + panel, tile.data(), 0, shape.m});
        for (std::size_t i = 0; i < shape.m; ++i) {
          for (std::size_t n = n0; n < std::min(n0 + kernel.nr, shape.n); ++n) {
            double want = 0;
            double size = 0;
            for (std::size_t t = 0; t < shape.taps; ++t) {
              for (std::size_t c = 0; c < shape.channels; ++c) {
                const double product = double{rows.row(t, i)[c]} * w[(n * shape.taps + t) * shape.channels + c];
                want += product;
                size += std::fabs(product);
              }
            }
            const double depth = static_cast<double>(shape.taps * shape.channels);
            const double error = std::fabs(tile.as<float>()[i * kernel.nr + n - n0] - want);
            BOOST_REQUIRE_MESSAGE(error <= size * (depth + 1) * 6e-8, kernel.name << " channels=" << shape.channels);
          }
        }
      }
    }
    coverage.ran(kernel.name);
  }
  coverage.expect_all(Family::f32);
}

BOOST_AUTO_TEST_CASE(dot16_is_exact_at_the_largest_proven_sum_and_refused_one_past_it) {
  // One column, one tap, one lane filled to h_a * sum|w| = 127 * 258 = 32,766; a weight more makes 32,893.
  std::vector<std::int8_t> w(8, 0);
  w[0] = w[4] = 64;
  w[1] = -64;  // opposite signs, so that only the lane's bound is near
  w[5] = -66;
  const ActivationLevels levels{-127, 127};
  const WeightView view{w.data(), 1, 1, w.size()};
  BOOST_CHECK(block_is_exact(view, levels, 2));
  w[5] = -67;
  BOOST_CHECK(!block_is_exact(view, levels, 2));
  BOOST_CHECK(block_is_exact(view, levels, 1));
  BOOST_CHECK_EQUAL(block_for(view, levels), 1u);
}

BOOST_AUTO_TEST_CASE(dot16_refuses_a_pair_that_pmaddubsw_would_saturate) {
  // 255 levels: 254 * 129 = 32,766 fits, 254 * 130 = 33,020 does not, though each lane's own bound holds.
  const ActivationLevels levels{-127, 127};
  std::vector<std::int8_t> w{65, 64, 0, 0};
  BOOST_CHECK(block_is_exact({w.data(), 1, 1, 4}, levels, 1));
  w = {65, 65, 0, 0};
  BOOST_CHECK(!block_is_exact({w.data(), 1, 1, 4}, levels, 1));
  BOOST_CHECK_EQUAL(block_for({w.data(), 1, 1, 4}, levels), 0u);
  w = {65, -65, 0, 0};  // opposite signs never meet in one sum
  BOOST_CHECK(block_is_exact({w.data(), 1, 1, 4}, levels, 1));
  w = {-65, -65, 0, 0};
  BOOST_CHECK(!block_is_exact({w.data(), 1, 1, 4}, levels, 1));
}

BOOST_AUTO_TEST_CASE(products_up_to_4095_always_have_blocks_of_four_quads) {
  for (int magnitude_a = 1; magnitude_a <= 128; ++magnitude_a) {
    const int magnitude_w = std::min(4095 / magnitude_a, 127);
    const std::vector<std::int8_t> w(16, static_cast<std::int8_t>(magnitude_w));
    const ActivationLevels levels{-magnitude_a, std::min(magnitude_a, 127)};
    BOOST_CHECK_EQUAL(block_for({w.data(), 1, 1, 16}, levels), 4u);
  }
}

BOOST_AUTO_TEST_CASE(blocks_span_whole_taps_or_divide_one) {
  const ActivationLevels levels{-127, 127};
  const std::vector<std::int8_t> w(9 * 40, 16);  // 32,767 / (127 * 16) = 16 products per lane: 8 quads
  BOOST_CHECK_EQUAL(block_for({w.data(), 1, 9, 16}, levels), 8u);  // two taps of 4 quads
  BOOST_CHECK_EQUAL(block_for({w.data(), 1, 9, 40}, levels), 5u);  // 10 quads in two equal parts
  BOOST_CHECK_EQUAL(block_for({w.data(), 1, 1, 16}, levels), 4u);  // all there is
}

#if defined(__x86_64__)
BOOST_AUTO_TEST_CASE(selection_is_a_function_of_the_cap_and_the_problem) {
  GemmProblem problem{.n = 64, .taps = 9, .channels = 64, .block = 4};
  BOOST_CHECK(select_gemm(Family::dot16, Isa::scalar, problem).isa == Isa::scalar);
  BOOST_CHECK(select_gemm(Family::dot16, Isa::avx2, problem).isa == Isa::avx2);
  BOOST_CHECK(select_gemm(Family::dot16, Isa::avx2, problem).family == Family::dot16);
  BOOST_CHECK(select_gemm(Family::dot16, Isa::avx512vnni, problem).family == Family::dot32);
  BOOST_CHECK(select_gemm(Family::dot16, Isa::avx512bw, problem).isa == Isa::avx512bw);
  BOOST_CHECK(select_gemm(Family::dot16, Isa::avx512bw, problem).family == Family::dot16);
  BOOST_CHECK(select_gemm(Family::dot16, Isa::avxvnni, problem).family == Family::dot32);
  // Nobody has measured AMX: it waits for a table of its own.
  BOOST_CHECK(select_gemm(Family::dot32, Isa::amx, problem).isa == Isa::avx512vnni);
  BOOST_CHECK_EQUAL(select_gemm(Family::dot32, Isa::amx, problem, "dot32_32x32k64__amx").name, "dot32_32x32k64__amx");
  problem.block = 0;
  BOOST_CHECK(select_gemm(Family::dot16, Isa::avx2, problem).family == Family::dot32);
  BOOST_CHECK_EQUAL(select_gemm(Family::dot32, Isa::avx512vnni, problem).nr, 32u);
  problem.n = 16;
  BOOST_CHECK_EQUAL(select_gemm(Family::dot32, Isa::avx512vnni, problem).nr, 16u);
}

BOOST_AUTO_TEST_CASE(a_forced_kernel_is_taken_where_it_can_do_the_problem) {
  const GemmProblem problem{.n = 64, .taps = 1, .channels = 64, .block = 0};
  const std::string_view plain = "dot32_1x8k4__scalar";
  BOOST_CHECK_EQUAL(select_gemm(Family::dot32, Isa::avx512vnni, problem, plain).name, plain);
  BOOST_CHECK(select_gemm(Family::f32, Isa::avx2, problem, plain).family == Family::f32);
  // Without a proven block, and above the cap, the name does not count.
  BOOST_CHECK(select_gemm(Family::dot16, Isa::avx2, problem, "dot16_6x16k4__avx2").family == Family::dot32);
  BOOST_CHECK(select_gemm(Family::dot32, Isa::scalar, problem, "dot32_6x16k4__avx2").isa == Isa::scalar);
  BOOST_CHECK(find_kernel("dot32_6x16k4__avx2") != nullptr);
  BOOST_CHECK(find_kernel("dot32_6x16k4__avx3") == nullptr);
}
#endif

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fewbins
