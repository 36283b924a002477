// SPDX-License-Identifier: Apache-2.0
// The proofs and panels of the ARM rows, on every machine; the rows themselves where they run. test_kernels_gemm.cpp
// compares all of them with sums written out.

#include "kernel_fixtures.h"
#include "kernels/pack_arm.h"

namespace fewbins {
namespace {

using testing::TileRows;

constexpr ActivationLevels kLevels{-127, 127};

bool lanes_hold(const std::vector<std::int8_t>& w, std::size_t block) {
  return arm_block_is_exact(Packer::lanes16_blocks, {w.data(), 1, 1, w.size()}, kLevels, block);
}
bool pairs_hold(const std::vector<std::int8_t>& w, std::size_t block) {
  return arm_block_is_exact(Packer::depth_pairs, {w.data(), 1, 1, w.size()}, kLevels, block);
}

/// The raw sum of one column and one row of activations that are all `u`.
std::int32_t sum_of(const GemmKernel& kernel, const std::vector<std::int8_t>& w, ActivationLevels levels,
                    std::size_t block, std::uint8_t u) {
  const WeightView view{w.data(), 1, 1, w.size()};
  AlignedBytes packed(packed_bytes(kernel, 1, 1, w.size(), block));
  pack(kernel, view, levels, block, packed.data());
  TileRows<std::uint8_t> rows(kernel.mr, 1, 1, w.size());
  rows.fill([u] { return u; });
  AlignedBytes tile(kernel.mr * kernel.nr * sizeof(std::int32_t));
  kernel.run({rows.pointers(), 1, depth_of(kernel, w.size()), packed.data(), tile.data(), block, 1});
  return tile.as<std::int32_t>()[0];
}

std::int32_t total(const std::vector<std::int8_t>& w) {
  std::int32_t sum = 0;
  for (const std::int8_t x : w) sum += x;
  return sum;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kernels_arm)

BOOST_AUTO_TEST_CASE(a_lane_of_sixteen_depths_holds_every_eighth_of_them) {
  // h_a * sum|w| = 127 * 258 = 32,766 fits a lane, 127 * 259 = 32,893 does not.
  std::vector<std::int8_t> w(32, 0);
  w[3] = 127;
  w[11] = -127;
  w[19] = 4;
  w[4] = w[12] = w[20] = 86;  // a lane of its own
  BOOST_CHECK(lanes_hold(w, 8));
  w[27] = 1;
  BOOST_CHECK(!lanes_hold(w, 8));
  BOOST_CHECK(lanes_hold(w, 4));
  BOOST_CHECK_EQUAL(arm_block_for(Packer::lanes16_blocks, {w.data(), 1, 1, w.size()}, kLevels), 4u);
  BOOST_CHECK(!lanes_hold(w, 5));  // a block inside a tap is whole steps
}

BOOST_AUTO_TEST_CASE(a_lane_of_the_paper_holds_all_depths) {
  std::vector<std::int8_t> w(8, 0);
  w[0] = 127;
  w[3] = -127;
  w[6] = 4;
  BOOST_CHECK(pairs_hold(w, 2));
  w[7] = -1;
  BOOST_CHECK(!pairs_hold(w, 2));
  BOOST_CHECK(pairs_hold(w, 1));
  BOOST_CHECK_EQUAL(arm_block_for(Packer::depth_pairs, {w.data(), 1, 1, w.size()}, kLevels), 1u);
}

BOOST_AUTO_TEST_CASE(the_papers_pairs_of_bins_reach_258_products) {
  // (255, 3): products up to 127, 32,767 / 127 = 258 of them.
  std::vector<std::int8_t> w(258, 1);
  BOOST_CHECK(pairs_hold(w, 65));
  w.push_back(1);
  BOOST_CHECK(!pairs_hold(w, 65));
  // Spread over 8 lanes: eight times as many.
  std::vector<std::int8_t> long_column(std::size_t{8} * 258, 1);
  BOOST_CHECK(lanes_hold(long_column, 516));
  long_column.push_back(1);
  BOOST_CHECK(!lanes_hold(long_column, 517));
}

BOOST_AUTO_TEST_CASE(blocks_are_parts_of_a_tap_or_whole_taps) {
  const std::vector<std::int8_t> w(9 * 40, 127);
  // Two products a lane: 127 * 127 * 2 = 32,258.
  BOOST_CHECK_EQUAL(arm_block_for(Packer::lanes16_blocks, {w.data(), 1, 9, 40}, kLevels), 4u);
  BOOST_CHECK_EQUAL(arm_block_for(Packer::lanes16_blocks, {w.data(), 1, 9, 16}, kLevels), 4u);  // a tap
  const std::vector<std::int8_t> small(9 * 16, 32);                                             // 8 products: 4 taps
  BOOST_CHECK_EQUAL(arm_block_for(Packer::lanes16_blocks, {small.data(), 1, 9, 16}, kLevels), 12u);
}

BOOST_AUTO_TEST_CASE(every_16_bit_row_is_exact_at_its_bound) {
  std::vector<std::int8_t> at_bound(32, 0);
  at_bound[3] = at_bound[11] = 127;
  at_bound[19] = 4;
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.family != Family::dot16 || !is_arm_packer(kernel.packer) || !runs_here(kernel.isa)) continue;
    for (const int sign : {1, -1}) {
      std::vector<std::int8_t> w = at_bound;
      for (std::int8_t& x : w) x = static_cast<std::int8_t>(sign * x);
      const WeightView view{w.data(), 1, 1, w.size()};
      const std::size_t block = block_for(kernel, view, kLevels);
      BOOST_CHECK_EQUAL(block, 8u);
      for (const int u : {0, 127, 254}) {
        const std::int32_t got = sum_of(kernel, w, kLevels, block, static_cast<std::uint8_t>(u));
        BOOST_CHECK_MESSAGE(got == (u - 127) * total(w), kernel.name << " u=" << u << ": " << got);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(every_exact_row_takes_weights_of_minus_128) {
  for (const std::size_t channels : {16u, 21u, 64u}) {
    const std::vector<std::int8_t> w(channels, -128);
    for (const GemmKernel& kernel : gemm_kernels()) {
      if (kernel.family != Family::dot32 || !runs_here(kernel.isa)) continue;
      for (const int u : {0, 1, 128, 255}) {
        const std::int32_t got = sum_of(kernel, w, {-128, 127}, 0, static_cast<std::uint8_t>(u));
        BOOST_CHECK_MESSAGE(got == u * total(w), kernel.name << " u=" << u << " channels=" << channels << ": " << got);
      }
    }
  }
}

#if defined(__aarch64__)
BOOST_AUTO_TEST_CASE(few_bins_use_16_bit_sums_until_there_is_a_dot_product) {
  const std::vector<std::int8_t> w(std::size_t{64} * 64, 16);
  const WeightView view{w.data(), 64, 1, 64};
  const GemmChoice plain = choose_gemm(Family::dot16, Isa::neon, view, kLevels);
  BOOST_CHECK_EQUAL(plain.kernel->name, "dot16_4x8k16__neon");
  BOOST_CHECK_EQUAL(plain.block, 16u);  // all there is
  const GemmChoice paper = choose_gemm(Family::dot16, Isa::neon, view, kLevels, "dot16_24x8k2__neon");
  BOOST_CHECK_EQUAL(paper.kernel->name, "dot16_24x8k2__neon");
  BOOST_CHECK_EQUAL(paper.block, 4u);  // 16 products to a lane
  BOOST_CHECK_EQUAL(choose_gemm(Family::dot16, Isa::neon_dot, view, kLevels).kernel->name, "dot32_8x8k4__neon_dot");
  BOOST_CHECK_EQUAL(choose_gemm(Family::dot16, Isa::neon_i8mm, view, kLevels).kernel->name, "dot32_8x8k8__neon_i8mm");
  BOOST_CHECK_EQUAL(choose_gemm(Family::dot32, Isa::neon, view, kLevels).kernel->name, "dot32_4x8k16__neon");
}
#endif

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fewbins
