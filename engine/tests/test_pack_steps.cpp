// SPDX-License-Identifier: Apache-2.0
// The lengths of blocks that dot16 panels of `steps` carry.
#include <cstring>

#include "kernel_fixtures.h"

#if defined(__x86_64__)  // whose rows they are
namespace fewbins {
namespace {

constexpr std::size_t kHeader = 16;

/// Steps of each block of the first panel. Fails where the panel is longer than panel_bytes() says.
std::vector<std::uint32_t> blocks_of(const GemmKernel& kernel, const WeightView& weights, ActivationLevels levels) {
  const std::size_t block = block_for(kernel, weights, levels);
  BOOST_REQUIRE(block > 0);
  AlignedBytes packed(packed_bytes(kernel, weights.n, weights.taps, weights.channels, block));
  pack(kernel, weights, levels, block, packed.data());
  const std::size_t total = weights.taps * (((weights.channels + 3) / 4 * 4 + kernel.ks - 1) / kernel.ks);
  std::vector<std::uint32_t> blocks;
  std::size_t at = 0;
  for (std::size_t done = 0; done < total; done += blocks.back()) {
    blocks.emplace_back();
    std::memcpy(&blocks.back(), packed.data() + at, sizeof(std::uint32_t));
    at += kHeader + kernel.nr * kernel.ks + blocks.back() * kernel.nr * kernel.ks;  // two bytes a lane of two depths
    BOOST_REQUIRE(at <= panel_bytes(kernel, weights.taps, weights.channels, block));
  }
  return blocks;
}

const GemmKernel& kernel_named(std::string_view name) {
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (name == kernel.name) return kernel;
  }
  throw std::out_of_range("no such kernel");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pack_steps)

BOOST_AUTO_TEST_CASE(blocks_end_where_the_next_step_would_pass_16_bits) {
  // 32,767 / 127 = 258 = 8 steps of 2 * 16, and 2 more.
  const std::vector<std::int8_t> w(160, 16);
  const ActivationLevels levels{-127, 127};
  const std::vector<std::uint32_t> octs{8, 8, 4};
  BOOST_TEST(blocks_of(kernel_named("dot16_3x8k8__ssse3"), {w.data(), 1, 1, 160}, levels) == octs);
  const std::vector<std::uint32_t> pairs(10, 8);
  BOOST_TEST(blocks_of(kernel_named("dot16_8x8k2__ssse3"), {w.data(), 1, 1, 160}, levels) == pairs);
}

BOOST_AUTO_TEST_CASE(a_lane_is_filled_to_its_last_product_and_no_further) {
  // One lane of the 8-depth form: depths 0 and 1 of each step, 2 * 64 + 2 * 64 + 2 = 258.
  std::vector<std::int8_t> w(24, 0);
  w[0] = w[8] = 64;
  w[1] = w[9] = -64;
  w[16] = 2;
  const ActivationLevels levels{-127, 127};
  const GemmKernel& kernel = kernel_named("dot16_3x8k8__ssse3");
  BOOST_TEST(blocks_of(kernel, {w.data(), 1, 1, 24}, levels) == std::vector<std::uint32_t>{3});
  w[17] = 1;
  const std::vector<std::uint32_t> two{2, 1};
  BOOST_TEST(blocks_of(kernel, {w.data(), 1, 1, 24}, levels) == two);
}

BOOST_AUTO_TEST_CASE(blocks_go_on_across_taps_and_end_for_the_fullest_column_of_the_panel) {
  std::vector<std::int8_t> w(2 * 9 * 12, 1);  // two columns, 9 taps of 3 quads: 2 steps of 8 depths a tap
  const ActivationLevels levels{-127, 127};
  const GemmKernel& kernel = kernel_named("dot16_3x8k8__ssse3");
  BOOST_TEST(blocks_of(kernel, {w.data(), 2, 9, 12}, levels) == std::vector<std::uint32_t>{18});
  // The second column's fifth tap puts 128 into every lane at its first step, and again into two of them at its second.
  for (std::size_t k = 0; k < 12; ++k) w[9 * 12 + 4 * 12 + k] = 64;
  const std::vector<std::uint32_t> halves{9, 9};
  BOOST_TEST(blocks_of(kernel, {w.data(), 2, 9, 12}, levels) == halves);
}

BOOST_AUTO_TEST_CASE(panels_hold_the_blocks_of_the_wildest_weights) {
  testing::Random random;
  const ActivationLevels levels{-127, 127};
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (kernel.packer != Packer::steps) continue;
    for (int round = 0; round < 200; ++round) {
      const auto taps = static_cast<std::size_t>(random.integer(1, 9));
      const auto channels = static_cast<std::size_t>(random.integer(1, 40));
      std::vector<std::int8_t> w(10 * taps * channels);
      for (auto& x : w) x = static_cast<std::int8_t>(random.integer(0, 7) == 0 ? random.integer(-64, 64) : 0);
      (void)blocks_of(kernel, {w.data(), 10, taps, channels}, levels);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fewbins
#endif
