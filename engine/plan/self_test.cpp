// SPDX-License-Identifier: Apache-2.0
#include "plan/self_test.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "base/aligned.h"
#include "base/cpu.h"
#include "base/float_mode.h"
#include "file/crc32c.h"
#include "file/rans.h"
#include "kernels/kernels.h"
#include "kernels/pack_u4.h"
#include "plan/self_test_elementwise.h"

namespace fewbins {
namespace {

using Random = std::minstd_rand;

int draw(Random& random, int lo, int hi) {
  return lo + static_cast<int>(random() % static_cast<unsigned>(hi - lo + 1));
}

std::string describe(const char* kernel, size_t n, size_t taps, size_t channels) {
  return std::string(kernel) + ": wrong sums at n = " + std::to_string(n) + ", taps = " + std::to_string(taps) +
         ", channels = " + std::to_string(channels);
}

// The operands of one product: mr rows of u8 or float for every tap, and row pointers as indirect convolution makes
// them.
template <class T>
struct Rows {
  Rows(const GemmKernel& kernel, size_t taps, size_t channels)
      : stride(channels + 64), data(stride * taps * kernel.mr * sizeof(T)) {
    for (size_t i = 0; i < taps * kernel.mr; ++i) pointers.push_back(data.as<T>() + i * stride);
  }
  T* row(size_t tap, size_t i, size_t mr) { return data.as<T>() + (tap * mr + i) * stride; }

  size_t stride;
  AlignedBytes data;
  std::vector<const void*> pointers;
};

void run_panels(const GemmKernel& kernel, const std::vector<const void*>& rows, const AlignedBytes& packed, size_t taps,
                size_t channels, size_t block, size_t n, AlignedBytes& tiles) {
  const size_t panels = (n + kernel.nr - 1) / kernel.nr;
  const size_t bytes = panel_bytes(kernel, taps, channels, block);
  for (size_t p = 0; p < panels; ++p) {
    GemmTask task{};
    task.rows = rows.data();
    task.taps = taps;
    task.depth = depth_of(kernel, channels);
    task.panel = packed.data() + p * bytes;
    task.tile = tiles.data() + p * kernel.mr * kernel.nr * 4;
    task.block = block;
    kernel.run(task);
  }
}

// Extreme operands every fourth time, since overflow shows there.
int draw_extreme(Random& random, int lo, int hi) { return random() % 4 == 0 ? hi : draw(random, lo, hi); }

// Rows of `Element` times packed weights; lo is added to every element, as dot16 sums q = u + lo.
template <class Element, class Weight>
bool equals_plain_sums(const GemmKernel& kernel, const std::vector<Weight>& weights, const AlignedBytes& packed,
                       size_t n, size_t taps, size_t channels, size_t block, int top, int lo, Random& random) {
  Rows<Element> rows(kernel, taps, channels);
  const int bottom = std::is_signed_v<Element> ? -top : 0;
  for (size_t i = 0; i < rows.data.size() / sizeof(Element); ++i)
    rows.data.template as<Element>()[i] = static_cast<Element>(draw_extreme(random, bottom, top));
  AlignedBytes tiles((n + kernel.nr) * kernel.mr * 4);
  run_panels(kernel, rows.pointers, packed, taps, channels, block, n, tiles);
  for (size_t i = 0; i < kernel.mr; ++i)
    for (size_t j = 0; j < n; ++j) {
      int64_t sum = 0;
      for (size_t t = 0; t < taps; ++t)
        for (size_t c = 0; c < channels; ++c)
          sum += int64_t{rows.row(t, i, kernel.mr)[c] + lo} * weights[(j * taps + t) * channels + c];
      const size_t at = j / kernel.nr * kernel.mr * kernel.nr + i * kernel.nr + j % kernel.nr;
      if (tiles.as<int32_t>()[at] != static_cast<int32_t>(static_cast<uint64_t>(sum))) return false;
    }
  return true;
}

bool test_integer_gemm(const GemmKernel& kernel, size_t n, size_t taps, size_t channels, Random& random) {
  const bool dot16 = kernel.family == Family::dot16;
  const ActivationLevels levels{-127, 127};
  const int magnitude = dot16 ? 32 : 127;  // 127 * 32 <= 4095: dot16 takes it whatever the weights
  std::vector<int8_t> weights(n * taps * channels);
  for (int8_t& w : weights) w = static_cast<int8_t>(draw_extreme(random, -magnitude, magnitude));
  const WeightView view{weights.data(), n, taps, channels};
  const size_t block = dot16 ? block_for(kernel, view, levels) : 0;
  AlignedBytes packed(packed_bytes(kernel, n, taps, channels, block));
  pack(kernel, view, levels, block, packed.data());
  return equals_plain_sums<uint8_t>(kernel, weights, packed, n, taps, channels, block, 254, dot16 ? levels.lo : 0,
                                    random);
}

bool test_u4_gemm(const GemmKernel& kernel, size_t n, size_t taps, size_t channels, Random& random) {
  if (!u4_depth_fits(taps, channels)) return true;
  std::vector<int8_t> weights(n * taps * channels);
  for (int8_t& w : weights) w = static_cast<int8_t>(draw_extreme(random, 0, 15));
  AlignedBytes packed(packed_bytes(kernel, n, taps, channels, 0));
  pack(kernel, {weights.data(), n, taps, channels}, {0, 15}, 0, packed.data());
  return equals_plain_sums<uint8_t>(kernel, weights, packed, n, taps, channels, 0, 15, 0, random);
}

bool test_lut4_gemm(const GemmKernel& kernel, size_t n, size_t taps, size_t channels, Random& random) {
  std::vector<int8_t> table(16);
  for (int8_t& entry : table) entry = static_cast<int8_t>(draw_extreme(random, -127, 127));
  std::vector<uint8_t> indices(n * taps * channels);
  for (uint8_t& i : indices) i = static_cast<uint8_t>(draw_extreme(random, 0, 15));
  std::vector<int8_t> weights;
  for (const uint8_t i : indices) weights.push_back(table[i]);
  AlignedBytes packed(packed_bytes(kernel, n, taps, channels, 0));
  pack_lut4(kernel, indices.data(), table.data(), n, taps, channels, packed.data());
  return equals_plain_sums<uint8_t>(kernel, weights, packed, n, taps, channels, 0, 255, 0, random);
}

bool test_i16_gemm(const GemmKernel& kernel, size_t n, size_t taps, size_t channels, Random& random) {
  std::vector<int16_t> weights(n * taps * channels);
  for (int16_t& w : weights) w = static_cast<int16_t>(draw_extreme(random, -32768, 32767));
  AlignedBytes packed(packed_bytes(kernel, n, taps, channels, 0));
  pack_i16(kernel, weights.data(), n, taps, channels, packed.data());
  return equals_plain_sums<int16_t>(kernel, weights, packed, n, taps, channels, 0, 32767, 0, random);
}

bool test_float_gemm(const GemmKernel& kernel, size_t n, size_t taps, size_t channels, Random& random) {
  std::vector<float> weights(n * taps * channels);
  for (float& w : weights) w = static_cast<float>(draw(random, -1000, 1000)) / 512.0F;
  AlignedBytes packed(packed_bytes(kernel, n, taps, channels, 0));
  pack_f32(kernel, weights.data(), n, taps, channels, packed.data());
  Rows<float> rows(kernel, taps, channels);
  for (size_t i = 0; i < rows.data.size() / sizeof(float); ++i)
    rows.data.as<float>()[i] = static_cast<float>(draw(random, -1000, 1000)) / 512.0F;
  AlignedBytes tiles((n + kernel.nr) * kernel.mr * 4);
  run_panels(kernel, rows.pointers, packed, taps, channels, 0, n, tiles);
  for (size_t i = 0; i < kernel.mr; ++i)
    for (size_t j = 0; j < n; ++j) {
      double sum = 0.0;
      double magnitude = 0.0;
      for (size_t t = 0; t < taps; ++t)
        for (size_t c = 0; c < channels; ++c) {
          const double product = double{rows.row(t, i, kernel.mr)[c]} * double{weights[(j * taps + t) * channels + c]};
          sum += product;
          magnitude += std::fabs(product);
        }
      const size_t at = j / kernel.nr * kernel.mr * kernel.nr + i * kernel.nr + j % kernel.nr;
      if (!(std::fabs(double{tiles.as<float>()[at]} - sum) <= 1e-5 * magnitude)) return false;
    }
  return true;
}

bool test_gemm(const GemmKernel& kernel, size_t n, size_t taps, size_t channels, Random& random) {
  switch (kernel.family) {
    case Family::f32:
      return test_float_gemm(kernel, n, taps, channels, random);
    case Family::u4:
      return test_u4_gemm(kernel, n, taps, channels, random);
    case Family::lut4:
      return test_lut4_gemm(kernel, n, taps, channels, random);
    case Family::dot32_i16:
      return test_i16_gemm(kernel, n, taps, channels, random);
    default:
      return test_integer_gemm(kernel, n, taps, channels, random);
  }
}

// One line per kernel: the first case that fails.
std::string first_failure(const GemmKernel& kernel) {
  Random random(1);
  for (const size_t n : {size_t{1}, kernel.nr, kernel.nr + 1})
    for (const size_t taps : {size_t{1}, size_t{9}})
      for (const size_t channels : {size_t{1}, size_t{3}, size_t{8}, size_t{33}})
        if (!test_gemm(kernel, n, taps, channels, random)) return describe(kernel.name, n, taps, channels);
  return {};
}

void test_gemm_kernels(std::vector<std::string>& failures) {
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (!runs_here(kernel.isa)) continue;
    std::string failure = first_failure(kernel);
    if (!failure.empty()) failures.push_back(std::move(failure));
  }
}

// Element is uint8_t with int8_t weights and int32_t sums, or float for all three.
template <class Element, class Weight, class Sum>
bool test_depthwise(const DepthwiseKernel& kernel, size_t taps, size_t channels, Random& random) {
  constexpr size_t kPixels = 5;
  const size_t stride = channels + 64;
  AlignedBytes data(kPixels * taps * stride * sizeof(Element));
  std::vector<const void*> rows;
  for (size_t i = 0; i < kPixels * taps; ++i) rows.push_back(data.as<Element>() + i * stride);
  const bool few = kernel.family == Family::depthwise_dot16;  // 25 taps of 23x23 fit 16 bits whatever the weights
  const ActivationLevels levels = few ? ActivationLevels{-11, 11} : ActivationLevels{0, 255};
  const int magnitude = few ? 11 : 127;
  for (size_t i = 0; i < kPixels * taps * stride; ++i)
    data.as<Element>()[i] = static_cast<Element>(draw(random, 0, levels.hi - levels.lo));
  std::vector<Weight> weights(channels * taps);
  for (Weight& w : weights) w = static_cast<Weight>(draw(random, -magnitude, magnitude));
  AlignedBytes packed(packed_depthwise_bytes(kernel, taps, channels));
  if constexpr (std::is_same_v<Weight, int8_t>)
    pack_depthwise(kernel, weights.data(), taps, channels, packed.data(), levels);
  else
    pack_depthwise_f32(kernel, weights.data(), taps, channels, packed.data());
  AlignedBytes out(kPixels * channels * sizeof(Sum));
  kernel.run({rows.data(), kPixels, taps, channels, packed.data(), out.data(), channels});
  for (size_t p = 0; p < kPixels; ++p)
    for (size_t c = 0; c < channels; ++c) {
      // Small integers: exact in float too.
      int64_t sum = 0;
      for (size_t t = 0; t < taps; ++t)
        sum += (static_cast<int64_t>(data.as<Element>()[(p * taps + t) * stride + c]) + levels.lo) *
               static_cast<int64_t>(weights[c * taps + t]);
      if (out.as<Sum>()[p * channels + c] != static_cast<Sum>(sum)) return false;
    }
  return true;
}

void test_depthwise_kernels(std::vector<std::string>& failures) {
  for (const DepthwiseKernel& kernel : depthwise_kernels()) {
    if (!runs_here(kernel.isa)) continue;
    Random random(2);
    for (const size_t taps : {size_t{1}, size_t{9}, size_t{25}})
      for (const size_t channels : {size_t{1}, size_t{7}, size_t{16}, size_t{65}}) {
        const bool good = kernel.family == Family::depthwise_f32
                              ? test_depthwise<float, float, float>(kernel, taps, channels, random)
                              : test_depthwise<uint8_t, int8_t, int32_t>(kernel, taps, channels, random);
        if (!good) failures.push_back(describe(kernel.name, 1, taps, channels));
      }
  }
}

void test_coding(std::vector<std::string>& failures) {
  constexpr std::string_view kCheck = "123456789";
  if (crc32c(std::as_bytes(std::span(kCheck))) != 0xE3069283U) failures.push_back("crc32c: wrong check value");
  Random random(3);
  std::vector<std::byte> bytes(1001);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(draw(random, 0, 15) * draw(random, 0, 15));
  std::vector<std::byte> decoded(bytes.size());
  rans_decode(rans_encode(bytes), decoded);
  if (decoded != bytes) failures.push_back("rans: decoding does not give back what was encoded");
}

}  // namespace

std::vector<std::string> self_test() {
  const FloatMode mode;
  std::vector<std::string> failures;
  test_coding(failures);
  test_gemm_kernels(failures);
  test_depthwise_kernels(failures);
  test_elementwise_kernels(failures);
  return failures;
}

}  // namespace fewbins
