// SPDX-License-Identifier: Apache-2.0
// Every depthwise kernel against sums written out here.
#include <cmath>

#include "kernel_fixtures.h"

namespace fewbins {
namespace {

using testing::Coverage;
using testing::Random;

constexpr std::size_t kChannels[] = {1,  3,  8,  15, 16, 17, 24,  31,  32,  33,  40,
                                     48, 63, 64, 65, 80, 96, 112, 127, 130, 144, 200};
constexpr std::size_t kTaps[] = {1, 2, 3, 4, 5, 9, 25};

/// Pixels of a random image whose taps point anywhere into it, as strides, dilation and padding make them.
template <class T>
struct Image {
  Image(std::size_t pixels, std::size_t taps, std::size_t channels, Random& random)
      : memory(20 * channels * sizeof(T)), rows(pixels * taps) {
    for (auto& row : rows) {
      row = memory.as<T>() + static_cast<std::size_t>(random.integer(0, 19)) * channels;
    }
  }
  AlignedBytes memory;
  std::vector<const void*> rows;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(kernels_depthwise)

BOOST_AUTO_TEST_CASE(every_integer_kernel_gives_the_exact_sum) {
  Random random;
  Coverage coverage;
  for (const DepthwiseKernel& kernel : depthwise_kernels()) {
    if (kernel.family != Family::depthwise_dot32 || !runs_here(kernel.isa)) continue;
    for (const std::size_t channels : kChannels) {
      for (const std::size_t taps : kTaps) {
        for (const int values : {0, 1, 2}) {  // random, largest, alternating extremes
          const std::size_t pixels = static_cast<std::size_t>(random.integer(1, 9));
          std::vector<std::int8_t> w(channels * taps);
          for (std::size_t i = 0; i < w.size(); ++i) {
            const int extreme = values == 2 && i % 2 == 0 ? -127 : 127;
            w[i] = static_cast<std::int8_t>(values == 0 ? random.integer(-127, 127) : extreme);
          }
          Image<std::uint8_t> image(pixels, taps, channels, random);
          for (std::size_t i = 0; i < image.memory.size(); ++i) {
            image.memory.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(values == 0 ? random.integer(0, 255) : 255);
          }
          AlignedBytes packed(packed_depthwise_bytes(kernel, taps, channels));
          pack_depthwise(kernel, w.data(), taps, channels, packed.data());
          const std::size_t stride = channels + 3;
          std::vector<std::int32_t> out(pixels * stride, 77);
          kernel.run({image.rows.data(), pixels, taps, channels, packed.data(), out.data(), stride});
          for (std::size_t p = 0; p < pixels; ++p) {
            for (std::size_t c = 0; c < stride; ++c) {
              std::int32_t want = c < channels ? 0 : 77;
              for (std::size_t t = 0; t < taps && c < channels; ++t) {
                want += static_cast<const std::uint8_t*>(image.rows[p * taps + t])[c] * w[c * taps + t];
              }
              BOOST_REQUIRE_MESSAGE(out[p * stride + c] == want, kernel.name << " channels=" << channels
                                                                             << " taps=" << taps << " pixel " << p
                                                                             << " channel " << c);
            }
          }
        }
      }
    }
    coverage.ran(kernel.name);
  }
  coverage.expect_all(Family::depthwise_dot32);
}

BOOST_AUTO_TEST_CASE(every_float_kernel_is_within_rounding_of_the_double_sum) {
  Random random;
  Coverage coverage;
  for (const DepthwiseKernel& kernel : depthwise_kernels()) {
    if (kernel.family != Family::depthwise_f32 || !runs_here(kernel.isa)) continue;
    for (const std::size_t channels : kChannels) {
      for (const std::size_t taps : kTaps) {
        const std::size_t pixels = static_cast<std::size_t>(random.integer(1, 9));
        std::vector<float> w(channels * taps);
        for (float& x : w) x = random.real(-1, 1);
        Image<float> image(pixels, taps, channels, random);
        for (std::size_t i = 0; i < 20 * channels; ++i) image.memory.as<float>()[i] = random.real(-1, 1);
        AlignedBytes packed(packed_depthwise_bytes(kernel, taps, channels));
        pack_depthwise_f32(kernel, w.data(), taps, channels, packed.data());
        const std::size_t stride = channels + 3;
        std::vector<float> out(pixels * stride, 77.0f);
        kernel.run({image.rows.data(), pixels, taps, channels, packed.data(), out.data(), stride});
        for (std::size_t p = 0; p < pixels; ++p) {
          for (std::size_t c = 0; c < stride; ++c) {
            double want = c < channels ? 0 : 77;
            double size = 0;
            for (std::size_t t = 0; t < taps && c < channels; ++t) {
              const double product = double{static_cast<const float*>(image.rows[p * taps + t])[c]} * w[c * taps + t];
              want += product;
              size += std::fabs(product);
            }
            const double error = std::fabs(out[p * stride + c] - want);
            BOOST_REQUIRE_MESSAGE(error <= size * static_cast<double>(taps + 1) * 6e-8,
                                  kernel.name << " channels=" << channels << " taps=" << taps);
          }
        }
      }
    }
    coverage.ran(kernel.name);
  }
  coverage.expect_all(Family::depthwise_f32);
}

BOOST_AUTO_TEST_CASE(selection_takes_the_newest_set_within_the_cap) {
  BOOST_CHECK(select_depthwise(Family::depthwise_dot32, Isa::scalar).isa == Isa::scalar);
#if defined(__x86_64__)
  BOOST_CHECK(select_depthwise(Family::depthwise_dot32, Isa::avx2).isa == Isa::avx2);
  BOOST_CHECK(select_depthwise(Family::depthwise_f32, Isa::avx512vnni).isa == Isa::avx512bw);
  BOOST_CHECK(select_depthwise(Family::depthwise_f32, Isa::avx2, "depthwise_f32__scalar").isa == Isa::scalar);
#else
  BOOST_CHECK(select_depthwise(Family::depthwise_dot32, Isa::neon).isa == Isa::neon);
  BOOST_CHECK(select_depthwise(Family::depthwise_f32, Isa::neon_i8mm).isa == Isa::neon);
  BOOST_CHECK(select_depthwise(Family::depthwise_f32, Isa::neon, "depthwise_f32__scalar").isa == Isa::scalar);
#endif
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fewbins
