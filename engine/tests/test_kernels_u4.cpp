// SPDX-License-Identifier: Apache-2.0
// The four-bit algorithm: its kernels against sums written out here, its depth, and its zero points.
#include <algorithm>

#include "base/error.h"
#include "kernel_fixtures.h"
#include "kernels/pack_u4.h"
#include "op_fixture.h"

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
  for (std::size_t channels = 1; channels <= 4 * kernel.ks + 1; ++channels)
    shapes.push_back({kernel.mr, 3, 1, channels});
  for (std::size_t m = 1; m <= kernel.mr; ++m) shapes.push_back({m, kernel.nr + 1, 3, 21});
  for (std::size_t n = 1; n <= 2 * kernel.nr + 1; ++n) shapes.push_back({1, n, 1, 9});
  for (std::size_t taps : {1u, 2u, 9u, 25u}) shapes.push_back({kernel.mr, kernel.nr, taps, 11});
  for (std::size_t channels : {287u, 288u, 289u, 290u, 291u}) shapes.push_back({kernel.mr, kernel.nr, 1, channels});
  shapes.push_back({kernel.mr, kernel.nr, 3, 97});
  shapes.push_back({kernel.mr, kernel.nr, 291, 1});
  return shapes;
}

/// Runs `kernel` with the operands that `level()` gives and compares every sum that matters.
template <class Level>
void check(const GemmKernel& kernel, const Shape& shape, Level level) {
  std::vector<std::int8_t> w(shape.n * shape.taps * shape.channels);
  for (std::int8_t& x : w) x = static_cast<std::int8_t>(level());
  AlignedBytes packed(packed_bytes(kernel, shape.n, shape.taps, shape.channels, 0));
  pack(kernel, {w.data(), shape.n, shape.taps, shape.channels}, {0, 15}, 0, packed.data());
  TileRows<std::uint8_t> rows(kernel.mr, shape.m, shape.taps, shape.channels);
  rows.fill([&] { return static_cast<std::uint8_t>(level()); });
  AlignedBytes tile(kernel.mr * kernel.nr * sizeof(std::int32_t));
  for (std::size_t n0 = 0; n0 < shape.n; n0 += kernel.nr) {
    const std::size_t panel = n0 / kernel.nr * panel_bytes(kernel, shape.taps, shape.channels, 0);
    std::fill_n(tile.as<std::int32_t>(), kernel.mr * kernel.nr, 77);
    kernel.run({rows.pointers(), shape.taps, depth_of(kernel, shape.channels), packed.data() + panel, tile.data(), 0,
                n0 == 0 && shape.m == kernel.mr ? 0 : shape.m});
    for (std::size_t i = 0; i < shape.m; ++i) {
      for (std::size_t n = n0; n < std::min(n0 + kernel.nr, shape.n); ++n) {
        std::int32_t want = 0;
        for (std::size_t t = 0; t < shape.taps; ++t) {
          for (std::size_t c = 0; c < shape.channels; ++c) {
            want += rows.row(t, i)[c] * w[(n * shape.taps + t) * shape.channels + c];
          }
        }
        const std::int32_t got = tile.as<std::int32_t>()[i * kernel.nr + n - n0];
        BOOST_REQUIRE_MESSAGE(got == want, kernel.name << " m=" << shape.m << " n=" << shape.n << " taps=" << shape.taps
                                                       << " channels=" << shape.channels << " row " << i << " column "
                                                       << n << ": got " << got << ", want " << want);
      }
    }
  }
}

/// The fastest row of this machine.
const GemmKernel& best_kernel() { return select_gemm(Family::u4, detect_isa(), {.n = 16, .channels = 16}); }

}  // namespace

BOOST_AUTO_TEST_SUITE(kernels_u4)

BOOST_AUTO_TEST_CASE(every_u4_kernel_gives_the_exact_sum_up_to_the_largest_of_the_deepest) {
  Random random;
  Coverage coverage;
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.family != Family::u4 || !runs_here(kernel.isa)) continue;
    for (const Shape& shape : shapes_of(kernel)) {
      check(kernel, shape, [&] { return random.integer(0, 15); });
      check(kernel, shape, [] { return 15; });  // at depth 291 the sum is 65,475
    }
    coverage.ran(kernel.name);
  }
  coverage.expect_all(Family::u4);
}

BOOST_AUTO_TEST_CASE(a_sum_of_292_products_is_refused) {
  BOOST_CHECK(u4_depth_fits(1, 291));
  BOOST_CHECK(u4_depth_fits(9, 32));
  BOOST_CHECK(u4_depth_fits(291, 1));
  BOOST_CHECK(!u4_depth_fits(1, 292));
  BOOST_CHECK(!u4_depth_fits(9, 33));
  BOOST_CHECK(!u4_depth_fits(SIZE_MAX, 2));
  BOOST_CHECK_THROW((void)select_gemm(Family::u4, Isa::scalar, {.n = 8, .taps = 4, .channels = 73}), Error);
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.family != Family::u4) continue;
    const std::vector<std::int8_t> w(292, 1);
    AlignedBytes packed(packed_bytes(kernel, 1, 1, w.size(), 0));
    BOOST_CHECK_THROW(pack(kernel, {w.data(), 1, 1, 292}, {0, 15}, 0, packed.data()), Error);
    BOOST_CHECK_NO_THROW(pack(kernel, {w.data(), 1, 1, 291}, {0, 15}, 0, packed.data()));
  }
}

BOOST_AUTO_TEST_CASE(a_weight_outside_0_to_15_is_refused) {
  AlignedBytes packed(packed_bytes(best_kernel(), 1, 1, 2, 0));
  for (const std::int8_t bad : {std::int8_t{-1}, std::int8_t{16}}) {
    const std::int8_t w[] = {15, bad};
    BOOST_CHECK_THROW(pack(best_kernel(), {w, 1, 1, 2}, {0, 15}, 0, packed.data()), Error);
  }
}

BOOST_AUTO_TEST_CASE(zero_points_fold_as_worked_by_hand) {
  // ua = 3 15 0, uw = 7 0 12, za = 4, zw = 9:
  // (3 - 4)(7 - 9) + (15 - 4)(0 - 9) + (0 - 4)(12 - 9) = 2 - 99 - 12 = -109;
  // sum ua*uw = 21, sum ua = 18, sum uw = 19, K za zw = 108: 21 - 9 * 18 - 4 * 19 + 108 = -109.
  BOOST_CHECK_EQUAL(u4_fold(21, 18, 19, 3, {.activation = 4, .weight = 9}), -109);
  BOOST_CHECK_EQUAL(u4_folded_bias(1000, 19, 3, {.activation = 4, .weight = 9}), 1000 - 4 * 19 + 108);
  const std::uint8_t row[] = {3, 15, 0, 99};
  const void* rows[] = {row, row + 1};
  std::int32_t sums[2];
  u4_row_sums(rows, 2, 2, 1, 2, sums);
  BOOST_CHECK_EQUAL(sums[0], 18);
  BOOST_CHECK_EQUAL(sums[1], 15);
}

BOOST_AUTO_TEST_CASE(any_zero_point_of_the_weights_that_fits_gives_the_same_accumulator) {
  const std::int8_t w[] = {-9, 0, 6};
  BOOST_CHECK_EQUAL(u4_weight_zero({w, 1, 1, 3}).value(), 9);
  const std::int8_t wide[] = {-9, 0, 7};
  BOOST_CHECK(!u4_weight_zero({wide, 1, 1, 3}));
}

BOOST_AUTO_TEST_CASE(a_layer_with_a_forced_u4_row_gives_the_integers_of_the_other_kernels) {
  Random random;
  constexpr std::int64_t kColumns = 10;
  constexpr std::int64_t kSide = 7;
  for (const std::int64_t channels : {3, 32, 33}) {  // 33: the depth of 297 keeps the row from being taken
    for (const int groups : {1, 2}) {
      const std::int64_t inputs = channels * groups;
      const AffineInfo affine{0.5F, random.integer(0, 15), 0, 15};
      const int weight_zero = random.integer(0, 15);
      std::vector<std::uint8_t> x(static_cast<std::size_t>(inputs * kSide * kSide));
      std::vector<std::int8_t> w(static_cast<std::size_t>(kColumns * channels * 9));
      std::vector<std::int32_t> bias(kColumns);
      for (auto& u : x) u = static_cast<std::uint8_t>(random.integer(0, 15));
      for (auto& q : w) q = static_cast<std::int8_t>(random.integer(0, 15) - weight_zero);
      for (auto& b : bias) b = random.integer(-1000, 1000);
      const std::string attrs = R"({"kernel":[3,3],"strides":[1,1],"pads":[1,1,1,1],"dilations":[1,1],"groups":)" +
                                std::to_string(groups) +
                                R"(,"auto_pad":"explicit","clamp":null,"requantize":{"kind":"dequantize","lo":0,)" +
                                R"("hi":0,"negate_residual":false}})";
      testing::OneOp op("Conv", attrs.c_str());
      op.input(DType::levels, affine)
          .param<std::int8_t>("weight", DType::i8, {kColumns, channels, 3, 3}, w)
          .param<std::int32_t>("bias", DType::i32, {kColumns}, bias)
          .param<float>("multiplier", DType::f32, {1}, {1.0F});
      const auto run = [&](std::string_view forced) {
        return op.run<float>({{1, inputs, kSide, kSide}}, {x.data()}, detect_isa(), 2, nullptr, forced);
      };
      const std::vector<float> want = run({});
      for (const GemmKernel& kernel : gemm_kernels()) {
        if (kernel.family == Family::u4 && runs_here(kernel.isa)) BOOST_TEST(run(kernel.name) == want, kernel.name);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_u4_row_is_forced_only_where_it_can_do_the_layer) {
  const std::vector<std::int8_t> w(300, 3);
  const std::string_view name = best_kernel().name;
  BOOST_CHECK(forced_u4(detect_isa(), name, {w.data(), 1, 1, 291}, {0, 15}) == &best_kernel());
  BOOST_CHECK(forced_u4(detect_isa(), name, {w.data(), 1, 1, 292}, {0, 15}) == nullptr);
  BOOST_CHECK(forced_u4(detect_isa(), name, {w.data(), 1, 1, 9}, {-8, 7}) == nullptr);
  BOOST_CHECK(forced_u4(detect_isa(), name, {w.data(), 1, 1, 9}, {0, 16}) == nullptr);
  BOOST_CHECK(forced_u4(detect_isa(), {}, {w.data(), 1, 1, 9}, {0, 15}) == nullptr);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fewbins
