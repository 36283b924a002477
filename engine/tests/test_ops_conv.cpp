// SPDX-License-Identifier: Apache-2.0
// Every form of Conv against a loop over integers, on every instruction set of this machine and several threads.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>
#include <string>
#include <vector>

#include "kernel_fixtures.h"
#include "op_fixture.h"

using namespace fewbins;
using fewbins::testing::OneOp;

namespace {

struct Case {
  int64_t groups, channels, columns;  // channels and columns per group
  int64_t kernel, stride, pad, dilation;
  int64_t height, width;
};

constexpr int64_t kImages = 2;

std::vector<int64_t> slow_conv(const Case& c, const std::vector<uint8_t>& x, const std::vector<int8_t>& w,
                               const std::vector<int32_t>& bias, const AffineInfo& affine, int64_t rows, int64_t cols) {
  const int64_t inputs = c.groups * c.channels;
  const int64_t outputs = c.groups * c.columns;
  std::vector<int64_t> y;
  for (int64_t n = 0; n < kImages; ++n)
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < cols; ++j)
        for (int64_t o = 0; o < outputs; ++o) {
          int64_t sum = bias[static_cast<size_t>(o)];
          for (int64_t k = 0; k < c.channels; ++k)
            for (int64_t a = 0; a < c.kernel; ++a)
              for (int64_t b = 0; b < c.kernel; ++b) {
                const int64_t row = i * c.stride - c.pad + a * c.dilation;
                const int64_t col = j * c.stride - c.pad + b * c.dilation;
                if (row < 0 || row >= c.height || col < 0 || col >= c.width) continue;
                const int64_t at = ((n * c.height + row) * c.width + col) * inputs + o / c.columns * c.channels + k;
                const int64_t q = x[static_cast<size_t>(at)] + affine.lo - affine.zero_point;
                sum += q * w[static_cast<size_t>(((o * c.channels + k) * c.kernel + a) * c.kernel + b)];
              }
          y.push_back(sum);
        }
  return y;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ops_conv)

BOOST_AUTO_TEST_CASE(every_form_sums_exactly) {
  testing::Random random;
  std::set<std::string> forms;
  const Case cases[] = {
      {1, 3, 16, 7, 2, 3, 1, 19, 17},   // rows: a stem
      {1, 16, 20, 3, 1, 1, 1, 9, 8},    // rows
      {1, 33, 40, 3, 1, 1, 1, 7, 9},    // direct
      {1, 40, 33, 3, 2, 0, 2, 11, 12},  // direct, dilated
      {1, 5, 7, 1, 1, 0, 1, 6, 7},      // pointwise
      {1, 64, 65, 1, 1, 0, 1, 9, 9},    // pointwise
      {1, 6, 3, 1, 2, 0, 1, 6, 7},      // 1x1 with a stride
      {3, 5, 6, 3, 1, 1, 1, 6, 5},      // groups
      {70, 1, 1, 3, 1, 1, 1, 6, 7},     // depthwise, few bins by lines
      {35, 1, 1, 3, 2, 1, 1, 7, 8},     // depthwise, few bins by lines
      {17, 1, 1, 3, 1, 2, 1, 1, 1},     // depthwise, few bins by lines, mostly padding
      {9, 1, 1, 3, 1, 2, 2, 6, 7},      // depthwise, dilated
      {5, 1, 1, 5, 2, 2, 1, 8, 9},      // depthwise
      {4, 1, 3, 3, 1, 1, 1, 5, 5},      // groups of one channel
      {1, 1, 1, 3, 1, 2, 1, 2, 1},      // more padding than input
  };
  for (const Case& c : cases) {
    for (const auto& [lo, hi, top] : {std::tuple{-128, 127, 127}, {-127, 127, 16}, {-11, 11, 11}}) {
      const AffineInfo affine{0.5F, random.integer(lo, hi), lo, hi};
      const int64_t span = c.dilation * (c.kernel - 1) + 1;
      const int64_t rows = (c.height + 2 * c.pad - span) / c.stride + 1;
      const int64_t cols = (c.width + 2 * c.pad - span) / c.stride + 1;
      const int64_t inputs = c.groups * c.channels;
      const int64_t outputs = c.groups * c.columns;
      std::vector<uint8_t> x(static_cast<size_t>(kImages * c.height * c.width * inputs));
      std::vector<int8_t> w(static_cast<size_t>(outputs * c.channels * c.kernel * c.kernel));
      std::vector<int32_t> bias(static_cast<size_t>(outputs));
      // Half of all values at their ends: there the 16-bit sums are largest.
      for (auto& u : x) u = static_cast<uint8_t>(random.integer(0, 1) != 0 ? hi - lo : random.integer(0, hi - lo));
      for (auto& q : w) q = static_cast<int8_t>(random.integer(0, 1) != 0 ? top : random.integer(-top, top));
      for (auto& b : bias) b = random.integer(-1000, 1000);
      const std::string k = std::to_string(c.kernel);
      const std::string s = std::to_string(c.stride);
      const std::string p = std::to_string(c.pad);
      const std::string d = std::to_string(c.dilation);
      const std::string attrs = R"({"kernel":[)" + k + "," + k + R"(],"strides":[)" + s + "," + s + R"(],"pads":[)" +
                                p + "," + p + "," + p + "," + p + R"(],"dilations":[)" + d + "," + d +
                                R"(],"groups":)" + std::to_string(c.groups) +
                                R"(,"auto_pad":"explicit","clamp":null,"requantize":{"kind":"dequantize","lo":0,)" +
                                R"("hi":0,"negate_residual":false}})";
      OneOp op("Conv", attrs.c_str());
      op.input(DType::levels, affine)
          .param<int8_t>("weight", DType::i8, {outputs, c.channels, c.kernel, c.kernel}, w)
          .param<int32_t>("bias", DType::i32, {outputs}, bias)
          .param<float>("multiplier", DType::f32, {1}, {1.0F});
      const std::vector<int64_t> want = slow_conv(c, x, w, bias, affine, rows, cols);
      for (int level = 0; level < kIsaCount; ++level) {
        if (!runs_here(static_cast<Isa>(level))) continue;
        for (const int threads : {1, 3}) {
          std::string form;
          const auto got = op.run<float>({{kImages, inputs, c.height, c.width}}, {x.data()}, static_cast<Isa>(level),
                                         threads, &form);
          forms.insert(form);
          const bool equal =
              std::ranges::equal(got, want, [](float a, int64_t b) { return static_cast<int64_t>(a) == b; });
          BOOST_TEST(equal, form << " on " << isa_name(static_cast<Isa>(level)) << ", " << threads << " threads, "
                                 << inputs << " channels, kernel " << c.kernel << ", levels " << lo << ".." << hi);
        }
      }
    }
  }
  // Winograd forms, where they are chosen, have test_winograd.cpp.
  for (const char* form : {"depthwise", "depthwise_line", "direct", "pointwise", "rows"})
    BOOST_TEST(forms.contains(form), form << " was never taken");
}

BOOST_AUTO_TEST_CASE(depthwise_lines_give_the_levels_of_the_scalar_kernels_on_every_instruction_set) {
  testing::Random random;
  for (const int64_t channels : {5, 16, 33, 64, 100}) {
    for (const int stride : {1, 2}) {
      const AffineInfo from{0.5F, -90, -127, 127};
      const AffineInfo to{0.25F, -100, -127, 127};
      std::vector<uint8_t> x(static_cast<size_t>(kImages * 9 * 8 * channels));
      std::vector<int8_t> w(static_cast<size_t>(9 * channels));
      std::vector<int32_t> bias(static_cast<size_t>(channels));
      std::vector<float> m(static_cast<size_t>(channels));
      for (auto& u : x) u = static_cast<uint8_t>(random.integer(0, 254));
      for (auto& q : w) q = static_cast<int8_t>(random.integer(-16, 16));
      for (auto& b : bias) b = random.integer(-5000, 5000);
      for (auto& scale : m) scale = random.real(0.001F, 0.1F);
      const std::string s = std::to_string(stride);
      const std::string attrs = R"({"kernel":[3,3],"strides":[)" + s + "," + s +
                                R"(],"pads":[1,1,1,1],"dilations":[1,1],"groups":)" + std::to_string(channels) +
                                R"(,"auto_pad":"explicit","clamp":null,"requantize":{"kind":"float","lo":-100,)" +
                                R"("hi":126,"negate_residual":false}})";
      OneOp op("Conv", attrs.c_str());
      op.input(DType::levels, from)
          .param<int8_t>("weight", DType::i8, {channels, 1, 3, 3}, w)
          .param<int32_t>("bias", DType::i32, {channels}, bias)
          .param<float>("multiplier", DType::f32, {channels}, m);
      op.output(DType::levels, to);
      const auto run = [&](Isa isa, int threads, std::string_view forced) {
        return op.run<uint8_t>({{kImages, channels, 9, 8}}, {x.data()}, isa, threads, nullptr, forced);
      };
      const auto want = run(Isa::scalar, 1, "depthwise_dot32__scalar");
      for (int level = 0; level < kIsaCount; ++level) {
        if (!runs_here(static_cast<Isa>(level))) continue;
        for (const int threads : {1, 3}) {
          BOOST_TEST((run(static_cast<Isa>(level), threads, {}) == want),
                     isa_name(static_cast<Isa>(level)) << ", " << channels << " channels, stride " << stride);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_forced_row_changes_only_the_layers_that_can_take_it) {
  constexpr int64_t kChannels = 64;
  testing::Random random;
  const AffineInfo levels{0.5F, 0, -8, 7};  // below 0, which u4 rows do not take
  std::vector<uint8_t> x(static_cast<size_t>(28 * 28 * kChannels));
  std::vector<int8_t> w(static_cast<size_t>(kChannels * kChannels * 9));
  for (auto& u : x) u = static_cast<uint8_t>(random.integer(0, 15));
  for (auto& q : w) q = static_cast<int8_t>(random.integer(-7, 7));
  OneOp op("Conv",
           R"({"kernel":[3,3],"strides":[1,1],"pads":[1,1,1,1],"dilations":[1,1],"groups":1,"auto_pad":"explicit",)"
           R"("clamp":null,"requantize":{"kind":"float","lo":-8,"hi":7,"negate_residual":false}})");
  op.input(DType::levels, levels, {1, kChannels, 28, 28})
      .param<int8_t>("weight", DType::i8, {kChannels, kChannels, 3, 3}, w)
      .param<int32_t>("bias", DType::i32, {kChannels}, std::vector<int32_t>(kChannels, 3))
      .param<float>("multiplier", DType::f32, {kChannels}, std::vector<float>(kChannels, 0.002F))
      .output(DType::levels, levels, {1, kChannels, 28, 28});
  const auto run = [&](Isa isa, std::string_view forced, std::string* form) {
    return op.run<uint8_t>({{1, kChannels, 28, 28}}, {x.data()}, isa, 1, form, forced);
  };
  std::string forced_form;
  const auto want = run(Isa::scalar, "dot32_1x8k4__scalar", &forced_form);
  BOOST_TEST(forced_form == "direct");
  for (int level = 0; level < kIsaCount; ++level) {
    const Isa isa = static_cast<Isa>(level);
    if (!runs_here(isa)) continue;
    std::string usual_form;
    BOOST_TEST((run(isa, {}, &usual_form) == want));
    if (isa == Isa::avx2) BOOST_TEST(usual_form.starts_with("winograd"), usual_form);
    for (const char* forced : {"u4_1x8k4__scalar", "depthwise_dot32__scalar"}) {
      BOOST_TEST((run(isa, forced, &forced_form) == want));
      BOOST_TEST(forced_form == usual_form, forced);
    }
    BOOST_TEST((run(isa, "dot32_1x8k4__scalar", &forced_form) == want));
    BOOST_TEST(forced_form == "direct");
    BOOST_TEST((run(isa, "winograd_f2x2_i16__scalar", &forced_form) == want));
    BOOST_TEST(forced_form == "winograd f2x2_i16", forced_form);
  }
}

BOOST_AUTO_TEST_SUITE_END()
