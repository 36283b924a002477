// SPDX-License-Identifier: Apache-2.0
// The AMX kernels over plain code in place of the tile instructions, so that their logic is tested on any CPU. On one
// with tiles test_kernels_gemm.cpp runs the real ones.
#include <algorithm>

#include "kernel_fixtures.h"

#define FEWBINS_EMULATE_AMX
#define dot32_32x32k64__amx dot32_32x32k64__amx_emulated
#define dot32_32x16k64__amx dot32_32x16k64__amx_emulated
#include "kernels/dot32/amx.cpp"
#undef dot32_32x32k64__amx
#undef dot32_32x16k64__amx

namespace fewbins {
namespace {

using testing::Random;
using testing::TileRows;

constexpr GemmKernel kKernels[] = {
    {"dot32_32x32k64__amx", Isa::amx, Family::dot32, 32, 32, 64, Packer::quads, 0, 0, dot32_32x32k64__amx_emulated},
    {"dot32_32x16k64__amx", Isa::amx, Family::dot32, 32, 16, 64, Packer::quads, 0, 0, dot32_32x16k64__amx_emulated}};

struct Shape {
  std::size_t m;
  std::size_t n;
  std::size_t taps;
  std::size_t channels;
};

/// Around one step of 64 depths, inside and across taps, and around both groups of 16 rows.
constexpr Shape kShapes[] = {{32, 5, 1, 1},    {32, 5, 1, 4},   {32, 5, 1, 60},   {32, 33, 1, 63},  {32, 16, 1, 64},
                             {32, 17, 1, 65},  {32, 32, 1, 68}, {32, 32, 1, 127}, {32, 32, 1, 128}, {32, 32, 1, 129},
                             {32, 7, 1, 1031}, {32, 32, 9, 3},  {32, 32, 9, 16},  {32, 32, 9, 21},  {32, 32, 9, 64},
                             {32, 32, 9, 100}, {32, 3, 25, 1},  {32, 32, 2, 640}, {1, 32, 9, 40},   {2, 65, 1, 256},
                             {15, 32, 3, 72},  {16, 32, 3, 72}, {17, 32, 3, 72},  {31, 32, 3, 72},  {18, 32, 1, 700},
                             {1, 4, 1, 9}};

/// Compares every sum that matters with sum over k of u * w modulo 2^32.
void check(const GemmKernel& kernel, const Shape& shape, const void* const* rows, const std::vector<std::int8_t>& w) {
  AlignedBytes packed(packed_bytes(kernel, shape.n, shape.taps, shape.channels, 0));
  pack(kernel, {w.data(), shape.n, shape.taps, shape.channels}, {-128, 127}, 0, packed.data());
  AlignedBytes tile(kernel.mr * kernel.nr * sizeof(std::int32_t));
  for (std::size_t n0 = 0; n0 < shape.n; n0 += kernel.nr) {
    const std::size_t panel = n0 / kernel.nr * panel_bytes(kernel, shape.taps, shape.channels, 0);
    std::fill_n(tile.as<std::int32_t>(), kernel.mr * kernel.nr, 77);
    kernel.run({rows, shape.taps, depth_of(kernel, shape.channels), packed.data() + panel, tile.data(), 0,
                n0 == 0 && shape.m == kernel.mr ? 0 : shape.m});
    for (std::size_t i = 0; i < shape.m; ++i) {
      for (std::size_t n = n0; n < std::min(n0 + kernel.nr, shape.n); ++n) {
        std::uint32_t want = 0;
        for (std::size_t t = 0; t < shape.taps; ++t) {
          const std::uint8_t* row = static_cast<const std::uint8_t*>(rows[t * kernel.mr + i]);
          for (std::size_t c = 0; c < shape.channels; ++c) {
            want += static_cast<std::uint32_t>(row[c] * w[(n * shape.taps + t) * shape.channels + c]);
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

std::vector<std::int8_t> random_weights(const Shape& shape, Random& random) {
  std::vector<std::int8_t> w(shape.n * shape.taps * shape.channels);
  for (auto& x : w) x = static_cast<std::int8_t>(random.integer(-128, 127));
  return w;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(amx_emulated)

BOOST_AUTO_TEST_CASE(amx_gives_the_exact_sum_with_rows_at_a_constant_distance) {
  Random random;
  for (const GemmKernel& kernel : kKernels) {
    for (const Shape& shape : kShapes) {
      TileRows<std::uint8_t> rows(kernel.mr, shape.m, shape.taps, shape.channels);
      rows.fill([&] { return static_cast<std::uint8_t>(random.integer(0, 255)); });
      check(kernel, shape, rows.pointers(), random_weights(shape, random));
    }
  }
}

BOOST_AUTO_TEST_CASE(amx_gives_the_exact_sum_with_rows_anywhere) {
  Random random;
  for (const GemmKernel& kernel : kKernels) {
    for (const Shape& shape : kShapes) {
      TileRows<std::uint8_t> memory(kernel.mr, kernel.mr, shape.taps, shape.channels);
      memory.fill([&] { return static_cast<std::uint8_t>(random.integer(0, 255)); });
      std::vector<const void*> rows(shape.taps * kernel.mr);
      for (const void*& row : rows) {
        const int tap = random.integer(0, static_cast<int>(shape.taps) - 1);
        row = memory.row(static_cast<std::size_t>(tap), static_cast<std::size_t>(random.integer(0, 31)));
      }
      check(kernel, shape, rows.data(), random_weights(shape, random));
    }
  }
}

BOOST_AUTO_TEST_CASE(amx_keeps_worst_case_operands_and_sums_that_wrap) {
  for (const GemmKernel& kernel : kKernels) {
    for (const int w : {-128, 127}) {
      for (const Shape& shape : {Shape{32, 32, 1, 64}, Shape{32, 32, 9, 100}, Shape{1, 1, 1, 70000}}) {
        TileRows<std::uint8_t> rows(kernel.mr, shape.m, shape.taps, shape.channels);
        rows.fill([] { return std::uint8_t{255}; });
        check(kernel, shape, rows.pointers(),
              std::vector<std::int8_t>(shape.n * shape.taps * shape.channels, static_cast<std::int8_t>(w)));
      }
    }
  }
}

#if defined(__x86_64__)
BOOST_AUTO_TEST_CASE(every_kernel_of_amx_is_emulated_here) {
  for (const GemmKernel& row : gemm_kernels()) {
    if (row.isa != Isa::amx) continue;
    const auto* twin = std::find_if(std::begin(kKernels), std::end(kKernels), [&](const GemmKernel& kernel) {
      return std::string_view(kernel.name) == row.name;
    });
    BOOST_REQUIRE_MESSAGE(twin != std::end(kKernels), row.name);
    BOOST_CHECK(twin->mr == row.mr && twin->nr == row.nr && twin->ks == row.ks && twin->packer == row.packer);
  }
}
#endif

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fewbins
