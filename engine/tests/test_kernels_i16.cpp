// SPDX-License-Identifier: Apache-2.0
// Every kernel for 16-bit operands against sums modulo 2^32 written out here.
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
  for (std::size_t channels = 1; channels <= 9; ++channels) shapes.push_back({kernel.mr, 3, 1, channels});
  for (std::size_t channels : {31u, 32u, 33u, 100u, 515u}) shapes.push_back({kernel.mr, kernel.nr, 2, channels});
  for (std::size_t m = 1; m <= kernel.mr; ++m) shapes.push_back({m, kernel.nr + 1, 3, 21});
  for (std::size_t n = 1; n <= 2 * kernel.nr + 1; ++n) shapes.push_back({1, n, 1, 9});
  for (std::size_t taps : {1u, 2u, 9u, 16u}) shapes.push_back({kernel.mr, kernel.nr, taps, 16});
  return shapes;
}

/// Runs `kernel` on one shape with the operands that `activation()` and `weight()` give.
template <class Activation, class Weight>
void check(const GemmKernel& kernel, const Shape& shape, Activation activation, Weight weight) {
  std::vector<std::int16_t> w(shape.n * shape.taps * shape.channels);
  for (std::int16_t& x : w) x = weight();
  AlignedBytes packed(packed_bytes(kernel, shape.n, shape.taps, shape.channels, 0));
  pack_i16(kernel, w.data(), shape.n, shape.taps, shape.channels, packed.data());
  TileRows<std::int16_t> rows(kernel.mr, shape.m, shape.taps, shape.channels);
  rows.fill(activation);
  AlignedBytes tile(kernel.mr * kernel.nr * sizeof(std::int32_t));
  for (std::size_t n0 = 0; n0 < shape.n; n0 += kernel.nr) {
    const std::size_t panel = n0 / kernel.nr * panel_bytes(kernel, shape.taps, shape.channels, 0);
    std::fill_n(tile.as<std::int32_t>(), kernel.mr * kernel.nr, 77);
    kernel.run({rows.pointers(), shape.taps, depth_of(kernel, shape.channels), packed.data() + panel, tile.data(), 0,
                n0 == 0 && shape.m == kernel.mr ? 0 : shape.m});
    for (std::size_t i = 0; i < shape.m; ++i) {
      for (std::size_t n = n0; n < std::min(n0 + kernel.nr, shape.n); ++n) {
        std::uint32_t want = 0;
        for (std::size_t t = 0; t < shape.taps; ++t) {
          for (std::size_t c = 0; c < shape.channels; ++c) {
            want += static_cast<std::uint32_t>(rows.row(t, i)[c] * w[(n * shape.taps + t) * shape.channels + c]);
          }
        }
        const auto got = static_cast<std::uint32_t>(tile.as<std::int32_t>()[i * kernel.nr + n - n0]);
        BOOST_REQUIRE_MESSAGE(got == want, kernel.name << " m=" << shape.m << " n=" << shape.n << " taps=" << shape.taps
                                                       << " channels=" << shape.channels << " row " << i << " column "
                                                       << n << ": got " << got << ", want " << want);
      }
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kernels_i16)

BOOST_AUTO_TEST_CASE(every_dot32_i16_kernel_gives_the_sum_modulo_2_to_the_32) {
  Random random;
  Coverage coverage;
  const auto any = [&] { return static_cast<std::int16_t>(random.integer(-32768, 32767)); };
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.family != Family::dot32_i16 || !runs_here(kernel.isa)) continue;
    for (const Shape& shape : shapes_of(kernel)) check(kernel, shape, any, any);
    coverage.ran(kernel.name);
  }
  coverage.expect_all(Family::dot32_i16);
}

BOOST_AUTO_TEST_CASE(dot32_i16_keeps_worst_case_pairs_and_sums_that_wrap) {
  // -32768 * -32768 * 2 is 2^31, the one pair that leaves int32; hundreds of them pass 2^32 many times.
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.family != Family::dot32_i16 || !runs_here(kernel.isa)) continue;
    for (const int a : {-32768, 32767}) {
      for (const int w : {-32768, 32767}) {
        for (const std::size_t channels : {2u, 4u, 517u}) {
          check(
              kernel, {kernel.mr, kernel.nr, 3, channels}, [&] { return static_cast<std::int16_t>(a); },
              [&] { return static_cast<std::int16_t>(w); });
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(dot32_i16_is_selected_by_set_and_takes_no_kernel_of_bytes) {
  const GemmProblem problem{.n = 64, .taps = 1, .channels = 64};
  BOOST_CHECK(select_gemm(Family::dot32_i16, Isa::scalar, problem).isa == Isa::scalar);
  for (const Isa cap : {Isa::avx2, Isa::avxvnni, Isa::avx512bw, Isa::avx512vnni}) {
#if defined(__x86_64__)
    BOOST_CHECK(select_gemm(Family::dot32_i16, cap, problem).isa == cap);
#endif
    BOOST_CHECK(select_gemm(Family::dot32_i16, cap, problem, "dot32_1x8k4__scalar").family == Family::dot32_i16);
    BOOST_CHECK(select_gemm(Family::dot32, cap, problem, "dot32_i16_1x8k2__scalar").family == Family::dot32);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fewbins
