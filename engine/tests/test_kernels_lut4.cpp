// SPDX-License-Identifier: Apache-2.0
// Products with weights of four bits against sums written out here.
#include <algorithm>

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

std::vector<Shape> shapes_of(const GemmKernel& kernel) {
  std::vector<Shape> shapes;
  for (std::size_t channels = 1; channels <= 4 * kernel.ks + 1; ++channels) shapes.push_back({1, 3, 1, channels});
  for (std::size_t channels : {64u, 100u, 1023u, 1024u, 1025u, 2500u}) shapes.push_back({1, kernel.nr, 2, channels});
  for (std::size_t m = 1; m <= kernel.mr; ++m) shapes.push_back({m, kernel.nr + 1, 3, 21});
  for (std::size_t n = 1; n <= 2 * kernel.nr + 1; ++n) shapes.push_back({1, n, 1, 9});
  return shapes;
}

enum class Values { random, largest, smallest, alternating };

/// Tables and rows with the sums that are hardest for 16 bits: all 255 or all 0 times 127 or -127.
bool check(const GemmKernel& kernel, const Shape& shape, Values values, Random& random) {
  std::vector<std::int8_t> table(16);
  for (auto& entry : table) entry = static_cast<std::int8_t>(random.integer(-127, 127));
  table[3] = 127;
  table[12] = -127;
  const std::size_t depth = shape.taps * shape.channels;
  std::vector<std::uint8_t> indices(shape.n * depth);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const int extreme = values == Values::alternating ? (i % 2 == 0 ? 3 : 12) : values == Values::largest ? 3 : 12;
    indices[i] = static_cast<std::uint8_t>(values == Values::random ? random.integer(0, 15) : extreme);
  }
  AlignedBytes packed(packed_bytes(kernel, shape.n, shape.taps, shape.channels, 0));
  pack_lut4(kernel, indices.data(), table.data(), shape.n, shape.taps, shape.channels, packed.data());
  TileRows<std::uint8_t> rows(kernel.mr, shape.m, shape.taps, shape.channels);
  const int end = random.integer(0, 1) * 255;
  rows.fill([&] { return static_cast<std::uint8_t>(values == Values::random ? random.integer(0, 255) : end); });
  AlignedBytes tile(kernel.mr * kernel.nr * sizeof(std::int32_t));
  for (std::size_t n0 = 0; n0 < shape.n; n0 += kernel.nr) {
    const std::size_t panel = n0 / kernel.nr * panel_bytes(kernel, shape.taps, shape.channels, 0);
    std::fill_n(tile.as<std::int32_t>(), kernel.mr * kernel.nr, 77);
    kernel.run({rows.pointers(), shape.taps, depth_of(kernel, shape.channels), packed.data() + panel, tile.data(), 0,
                random.integer(0, 1) == 0 && shape.m == kernel.mr ? 0 : shape.m});
    for (std::size_t i = 0; i < shape.m; ++i) {
      for (std::size_t n = n0; n < std::min(n0 + kernel.nr, shape.n); ++n) {
        std::int32_t want = 0;
        for (std::size_t t = 0; t < shape.taps; ++t) {
          for (std::size_t c = 0; c < shape.channels; ++c) {
            want += rows.row(t, i)[c] * table[indices[n * depth + t * shape.channels + c]];
          }
        }
        const std::int32_t got = tile.as<std::int32_t>()[i * kernel.nr + n - n0];
        if (got != want) {
          BOOST_ERROR(kernel.name << " m=" << shape.m << " n=" << shape.n << " taps=" << shape.taps << " channels="
                                  << shape.channels << " row " << i << " column " << n << ": " << got << ", " << want);
          return false;
        }
      }
    }
  }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kernels_lut4)

BOOST_AUTO_TEST_CASE(every_kernel_gives_the_exact_sum_for_any_table) {
  Random random;
  Coverage coverage;
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.family != Family::lut4 || !runs_here(kernel.isa)) continue;
    coverage.ran(kernel.name);
    for (const Shape& shape : shapes_of(kernel)) {
      for (const Values values : {Values::random, Values::largest, Values::smallest, Values::alternating}) {
        if (!check(kernel, shape, values, random)) return;
      }
    }
  }
  coverage.expect_all(Family::lut4);
}

BOOST_AUTO_TEST_CASE(every_pair_of_a_level_and_a_weight_is_exact_in_rows_of_bytes) {
  // Centred rows of dot32 flip the sign of weights: -128 among them has no opposite in 8 bits.
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.packer != Packer::octet_parts || !runs_here(kernel.isa)) continue;
    for (const int w : {-128, -127, -1, 0, 1, 126, 127}) {
      const std::vector<std::int8_t> weights(16, static_cast<std::int8_t>(w));
      AlignedBytes packed(packed_bytes(kernel, 1, 1, 16, 0));
      pack(kernel, {weights.data(), 1, 1, 16}, {-128, 127}, 0, packed.data());
      for (int u = 0; u < 256; ++u) {
        TileRows<std::uint8_t> rows(kernel.mr, 1, 1, 16);
        rows.fill([&] { return static_cast<std::uint8_t>(u); });
        AlignedBytes tile(kernel.mr * kernel.nr * sizeof(std::int32_t));
        kernel.run({rows.pointers(), 1, depth_of(kernel, 16), packed.data(), tile.data(), 0, 1});
        BOOST_REQUIRE_MESSAGE(tile.as<std::int32_t>()[0] == 16 * u * w, kernel.name << ": " << u << " * " << w);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(few_rows_are_chosen_for_few_rows_alone) {
  GemmProblem problem{.n = 4096, .taps = 1, .channels = 4096, .block = 0, .m = 1};
  for (const auto& [cap, name] : {std::pair{Isa::ssse3, "dot32_4x16k8__ssse3"},
                                  {Isa::avx2, "dot32_4x32k8__avx2"},
                                  {Isa::avx512bw, "dot32_4x64k8__avx512bw"},
                                  {Isa::avx512vnni, "dot32_4x64k8__avx512vnni"}}) {
#if defined(__x86_64__)
    problem.m = 4;
    BOOST_CHECK_EQUAL(select_gemm(Family::dot32, cap, problem).name, name);
#endif
    for (const std::size_t m : {0u, 5u, 100u}) {
      problem.m = m;
      BOOST_CHECK_NE(select_gemm(Family::dot32, cap, problem).name, name);
    }
  }
  problem.m = 1;
  BOOST_CHECK(select_gemm(Family::dot32, Isa::scalar, problem).isa == Isa::scalar);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fewbins
