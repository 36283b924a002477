// SPDX-License-Identifier: Apache-2.0
// Exact Winograd: the transforms against the integer matrices, the matrices against convolution, the proofs at their
// bounds and one past them, and every form as an operator against the direct sum.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>
#include <string>
#include <vector>

#include "kernel_fixtures.h"
#include "kernels/winograd/forms.h"
#include "op_fixture.h"
#include "ops/winograd_weights.h"

using namespace fewbins;
using fewbins::testing::OneOp;

namespace {

constexpr size_t kTiles = 19;  // more than a piece of every form

int64_t v_of(const WinogradMatrices& form, size_t position, const std::vector<int64_t>& d) {
  int64_t v = 0;
  for (size_t i = 0; i < d.size(); ++i) v += d[i] * input_factor(form, position, i / form.points, i % form.points);
  return v;
}

// Levels at which V of `position` is largest, or smallest.
std::vector<int64_t> extreme_input(const WinogradMatrices& form, size_t position, ActivationLevels levels, bool most) {
  std::vector<int64_t> d(form.input_rows() * form.points);
  for (size_t i = 0; i < d.size(); ++i) {
    const bool up = input_factor(form, position, i / form.points, i % form.points) > 0;
    d[i] = up == most ? levels.hi : levels.lo;
  }
  return d;
}

ActivationLevels largest_levels(const WinogradMatrices& form) {
  ActivationLevels levels{-1, 1};
  for (int bins = 3; bins <= 256; ++bins) {
    const ActivationLevels next{-(bins / 2), (bins - 1) / 2};
    if (inputs_fit(form, next)) levels = next;
  }
  return levels;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(winograd)

BOOST_AUTO_TEST_CASE(the_matrices_compute_a_convolution) {
  testing::Random random;
  for (const WinogradMatrices& form : kWinograd) {
    for (int round = 0; round < 50; ++round) {
      std::vector<int64_t> d((form.two_d ? form.points : 3) * form.points);
      std::int8_t g[9];
      for (auto& x : d) x = random.integer(-128, 127);
      for (auto& x : g) x = static_cast<std::int8_t>(random.integer(-127, 127));
      std::vector<int64_t> m(form.positions());
      for (size_t p = 0; p < form.positions(); ++p) {
        for (size_t t = 0; t < form.taps(); ++t) {
          const auto first = d.begin() + static_cast<std::ptrdiff_t>(t * form.points);
          const auto size = static_cast<std::ptrdiff_t>(form.input_rows() * form.points);
          m[p] += v_of(form, p, {first, first + size}) * weight_of(form, p, t, g);
        }
      }
      for (size_t o = 0; o < form.outputs(); ++o) {
        const size_t y = form.two_d ? o / form.tile : 0;
        const size_t x = o % form.tile;
        int64_t want = 0;
        for (size_t k = 0; k < 9; ++k) want += g[k] * d[(y + k / 3) * form.points + x + k % 3];
        int64_t sum = 0;
        for (size_t p = 0; p < form.positions(); ++p) sum += output_factor(form, o, p) * m[p];
        const auto scaled = static_cast<std::uint32_t>(sum) * form.odd_inverse;
        BOOST_TEST((static_cast<std::int32_t>(scaled) >> form.shift) == want, form.name);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(growth_is_what_the_contract_says) {
  const auto range = [](WinogradForm form, ActivationLevels levels) {
    const WinogradMatrices& f = matrices_of(form);
    ActivationLevels all{0, 0};
    for (size_t p = 0; p < f.positions(); ++p) {
      const ActivationLevels one = input_range(f, p, levels);
      all = {std::min(all.lo, one.lo), std::max(all.hi, one.hi)};
    }
    return std::pair{all.lo, all.hi};
  };
  BOOST_TEST((range(WinogradForm::f2x2_i8, {-32, 31}) == std::pair{-128, 126}));
  BOOST_TEST((range(WinogradForm::f2_i8, {-64, 63}) == std::pair{-128, 127}));
  BOOST_TEST((range(WinogradForm::f4_i8, {-13, 12}) == std::pair{-128, 125}));
  BOOST_TEST((range(WinogradForm::f4x4_i16, {-128, 127}) == std::pair{-12768, 12750}));
  // All positions reach both ends of their interval.
  for (const WinogradMatrices& form : kWinograd) {
    const ActivationLevels levels{-128, 127};
    for (size_t p = 0; p < form.positions(); ++p) {
      const ActivationLevels interval = input_range(form, p, levels);
      BOOST_TEST(v_of(form, p, extreme_input(form, p, levels, true)) == interval.hi);
      BOOST_TEST(v_of(form, p, extreme_input(form, p, levels, false)) == interval.lo);
    }
  }
  BOOST_TEST(inputs_fit(matrices_of(WinogradForm::f2x2_i8), {-32, 31}));
  BOOST_TEST(!inputs_fit(matrices_of(WinogradForm::f2x2_i8), {-32, 32}));
  BOOST_TEST(inputs_fit(matrices_of(WinogradForm::f2_i8), {-64, 63}));
  BOOST_TEST(!inputs_fit(matrices_of(WinogradForm::f2_i8), {-64, 64}));
  BOOST_TEST(inputs_fit(matrices_of(WinogradForm::f4_i8), {-13, 12}));
  BOOST_TEST(!inputs_fit(matrices_of(WinogradForm::f4_i8), {-13, 13}));
}

BOOST_AUTO_TEST_CASE(input_transforms_equal_the_matrices_at_the_ends_of_the_levels) {
  testing::Random random;
  testing::Coverage coverage;
  for (const WinogradKernel& kernel : winograd_kernels()) {
    if (!runs_here(kernel.isa)) continue;
    coverage.ran(kernel.name);
    const WinogradMatrices& form = matrices_of(kernel.form);
    const ActivationLevels levels = largest_levels(form);
    for (const size_t channels : std::initializer_list<size_t>{1, 3, 16, 33, 64, 70}) {
      const size_t columns = kTiles * form.tile + 2;
      const size_t stride = channels + 5;
      AlignedBytes image(form.input_rows() * columns * stride);
      auto* u = image.as<std::uint8_t>();
      std::vector<const std::uint8_t*> pixels;
      for (size_t i = 0; i < form.input_rows() * columns; ++i) pixels.push_back(u + i * stride);
      std::vector<std::uint8_t> offsets;
      for (size_t p = 0; p < form.positions(); ++p)
        offsets.push_back(
            static_cast<std::uint8_t>(levels.lo * input_factor_sum(form, p) - input_range(form, p, levels).lo));
      for (size_t i = 0; i < image.size(); ++i)
        u[i] = static_cast<std::uint8_t>(random.integer(0, levels.hi - levels.lo));
      // Tile t is at the extremes of position t, then t + tiles, ... over the channels. Tiles overlap, so only every
      // second one.
      for (size_t tile = 0; tile < kTiles; tile += 2) {
        for (size_t c = 0; c < channels; ++c) {
          const auto d = extreme_input(form, (tile * 7 + c) % form.positions(), levels, c % 2 == 0);
          for (size_t i = 0; i < d.size(); ++i)
            u[(i / form.points * columns + tile * form.tile + i % form.points) * stride + c] =
                static_cast<std::uint8_t>(d[i] - levels.lo);
        }
      }
      const size_t item = form.bytes ? 1 : 2;
      const size_t tile_bytes = (channels * item + 63) / 64 * 64;
      const size_t position_bytes = tile_bytes * kTiles + 64;
      AlignedBytes v(form.positions() * position_bytes);
      kernel.input(
          {pixels.data(), columns, kTiles, channels, levels.lo, offsets.data(), v.data(), tile_bytes, position_bytes});
      size_t wrong = 0;
      for (size_t p = 0; p < form.positions(); ++p) {
        for (size_t tile = 0; tile < kTiles; ++tile) {
          const std::byte* row = v.data() + p * position_bytes + tile * tile_bytes;
          for (size_t c = 0; c < channels; ++c) {
            std::vector<int64_t> d;
            for (size_t i = 0; i < form.input_rows() * form.points; ++i)
              d.push_back(pixels[i / form.points * columns + tile * form.tile + i % form.points][c] + levels.lo);
            const int64_t want = v_of(form, p, d);
            const int64_t got = form.bytes
                                    ? reinterpret_cast<const std::uint8_t*>(row)[c] + input_range(form, p, levels).lo
                                    : reinterpret_cast<const std::int16_t*>(row)[c];
            wrong += got != want ? 1 : 0;
          }
        }
      }
      BOOST_TEST(wrong == 0u, kernel.name << " with " << channels << " channels");
    }
  }
  coverage.expect_all(Family::winograd);
}

BOOST_AUTO_TEST_CASE(output_transforms_divide_exactly_at_the_bounds) {
  testing::Random random;
  for (const WinogradKernel& kernel : winograd_kernels()) {
    if (!runs_here(kernel.isa)) continue;
    const WinogradMatrices& form = matrices_of(kernel.form);
    for (const size_t columns : std::initializer_list<size_t>{4, 8, 16, 20, 32}) {
      const size_t stride = kTiles * columns + 16;
      std::vector<std::int32_t> sums(form.positions() * stride);
      std::vector<std::int32_t> constants(form.outputs() * columns);
      std::vector<std::int32_t> acc(form.outputs() * kTiles * columns);
      for (auto& x : sums) x = random.word();
      for (auto& x : constants) x = random.word();
      const size_t line_stride = kTiles * form.tile * columns;
      kernel.output({sums.data(), stride, kTiles, columns, constants.data(), acc.data(), line_stride});
      size_t wrong = 0;
      for (size_t tile = 0; tile < kTiles; ++tile) {
        for (size_t o = 0; o < form.outputs(); ++o) {
          for (size_t j = 0; j < columns; ++j) {
            auto sum = static_cast<std::uint32_t>(constants[o * columns + j]);
            for (size_t p = 0; p < form.positions(); ++p)
              sum += static_cast<std::uint32_t>(output_factor(form, o, p)) *
                     static_cast<std::uint32_t>(sums[p * stride + tile * columns + j]);
            const std::int32_t want = static_cast<std::int32_t>(sum * form.odd_inverse) >> form.shift;
            const size_t y = form.two_d ? o / form.tile : 0;
            wrong += acc[y * line_stride + (tile * form.tile + o % form.tile) * columns + j] != want ? 1 : 0;
          }
        }
      }
      BOOST_TEST(wrong == 0u, kernel.name << " with " << columns << " columns");
    }
    // The division: every sum at the ends of its range, and near 0.
    const std::int64_t odd = form.odd_inverse == 954437177u ? 9 : form.odd_inverse == 2863311531u ? 3 : 1;
    const std::int64_t bound = std::int64_t{1} << (31 - form.shift);
    for (const std::int64_t y : {-bound, -bound + 1, std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}, bound - 1}) {
      const auto scaled = static_cast<std::uint32_t>(y * odd * (std::int64_t{1} << form.shift));
      BOOST_TEST((static_cast<std::int32_t>(scaled * form.odd_inverse) >> form.shift) == y);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_proof_takes_229_channels_of_extremes_and_refuses_230) {
  const ActivationLevels levels{-128, 127};
  for (const auto& [channels, fits] : {std::pair<size_t, bool>{229, true}, {230, false}, {256, false}, {512, false}}) {
    const std::vector<std::int8_t> w(channels * 9, 127);
    const auto made = WinogradWeights::make(WinogradForm::f4x4_i16, Isa::scalar, {w.data(), 1, channels}, levels, {});
    BOOST_TEST(made.has_value() == fits, channels << " channels");
    const auto shallow =
        WinogradWeights::make(WinogradForm::f2x2_i16, Isa::scalar, {w.data(), 1, channels}, levels, {});
    BOOST_TEST(shallow.has_value(), channels << " channels");
  }
}

BOOST_AUTO_TEST_CASE(weights_that_leave_their_lanes_are_refused) {
  const auto made = [](WinogradForm form, ActivationLevels levels, std::int8_t weight) {
    const std::vector<std::int8_t> w(9, weight);
    return WinogradWeights::make(form, Isa::scalar, {w.data(), 1, 1}, levels, {}).has_value();
  };
  BOOST_TEST(made(WinogradForm::f2x2_i8, {-32, 31}, 14));
  BOOST_TEST(!made(WinogradForm::f2x2_i8, {-32, 31}, 15));
  BOOST_TEST(!made(WinogradForm::f2x2_i8, {-33, 32}, 14));
  BOOST_TEST(made(WinogradForm::f2_i8, {-64, 63}, 42));
  BOOST_TEST(!made(WinogradForm::f2_i8, {-64, 63}, 43));
  BOOST_TEST(made(WinogradForm::f4_i8, {-13, 12}, 18));
  BOOST_TEST(!made(WinogradForm::f4_i8, {-13, 12}, 19));
  BOOST_TEST(made(WinogradForm::f4x4_i16, {-128, 127}, -128));
}

BOOST_AUTO_TEST_SUITE_END()

namespace {

struct Layer {
  int64_t channels, columns, height, width, pad, images;
  int lo, hi, top;
};

struct Operands {
  std::vector<uint8_t> x;
  std::vector<int8_t> w;
  std::vector<int32_t> bias;
};

// Largest sums of both signs: a column's weights all at one end, or alternating, or random.
Operands make_operands(const Layer& layer, testing::Random& random, bool extreme) {
  Operands o;
  o.x.resize(static_cast<size_t>(layer.images * layer.height * layer.width * layer.channels));
  o.w.resize(static_cast<size_t>(layer.columns * layer.channels * 9));
  o.bias.resize(static_cast<size_t>(layer.columns));
  const int bins = layer.hi - layer.lo;
  const bool low = random.integer(0, 1) != 0;
  for (auto& u : o.x) u = static_cast<uint8_t>(extreme ? (low ? 0 : bins) : random.integer(0, bins));
  for (size_t i = 0; i < o.w.size(); ++i) {
    const size_t column = i / static_cast<size_t>(layer.channels * 9);
    const int sign = column % 3 == 0 ? 1 : column % 3 == 1 ? -1 : i % 2 == 0 ? 1 : -1;
    o.w[i] = static_cast<int8_t>(extreme ? sign * layer.top : random.integer(-layer.top, layer.top));
  }
  for (auto& b : o.bias) b = random.integer(-1000, 1000);
  return o;
}

OneOp make_conv(const Layer& layer, const Operands& o, const AffineInfo& affine) {
  const std::string p = std::to_string(layer.pad);
  const std::string attrs = R"({"kernel":[3,3],"strides":[1,1],"pads":[)" + p + "," + p + "," + p + "," + p +
                            R"(],"dilations":[1,1],"groups":1,"auto_pad":"explicit","clamp":null,)" +
                            R"("requantize":{"kind":"dequantize","lo":0,"hi":0,"negate_residual":false}})";
  OneOp op("Conv", attrs.c_str());
  op.input(DType::levels, affine)
      .param<int8_t>("weight", DType::i8, {layer.columns, layer.channels, 3, 3}, o.w)
      .param<int32_t>("bias", DType::i32, {layer.columns}, o.bias)
      .param<float>("multiplier", DType::f32, {1}, {1.0F});
  return op;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ops_winograd)

BOOST_AUTO_TEST_CASE(every_form_equals_the_direct_sum) {
  testing::Random random;
  const Layer layers[] = {
      {16, 20, 12, 12, 1, 2, -128, 127, 127},  //
      {33, 40, 7, 9, 1, 2, -128, 127, 127},    // partial tiles both ways
      {5, 3, 1, 2, 1, 1, -127, 127, 127},      // less than a tile
      {64, 33, 6, 131, 0, 1, -127, 127, 16},   // two runs of a line
      {20, 16, 14, 14, 2, 3, -64, 63, 42},     // 128x85: f2
      {64, 64, 9, 8, 1, 2, -32, 31, 14},       // 64x29: f2x2 in bytes
      {37, 18, 8, 8, 1, 5, -13, 12, 18},       // 26x37: f4
      {128, 48, 10, 11, 1, 1, -11, 11, 11},    // 23x23
      {229, 8, 4, 6, 1, 1, -128, 127, 127},    // the last depth that f4x4 takes at the extremes
  };
  std::set<std::string> ran;
  for (const Layer& layer : layers) {
    for (const bool extreme : {false, true}) {
      const Operands o = make_operands(layer, random, extreme);
      const AffineInfo affine{0.5F, random.integer(layer.lo, layer.hi), layer.lo, layer.hi};
      const OneOp op = make_conv(layer, o, affine);
      const std::vector<Dims> dims{{layer.images, layer.channels, layer.height, layer.width}};
      const auto want = op.run<float>(dims, {o.x.data()}, Isa::scalar, 1, nullptr, "dot32_1x8k4__scalar");
      for (const WinogradKernel& kernel : winograd_kernels()) {
        for (int level = 0; level < kIsaCount; ++level) {
          const auto isa = static_cast<Isa>(level);
          if (!runs_here(isa) || !isa_includes(isa, kernel.isa)) continue;
          for (const int threads : {1, 3}) {
            std::string form;
            const auto got = op.run<float>(dims, {o.x.data()}, isa, threads, &form, kernel.name);
            if (form.starts_with("winograd")) ran.insert(form);
            BOOST_TEST((got == want), form << " by " << kernel.name << " under " << isa_name(isa) << ", " << threads
                                           << " threads, " << layer.channels << " channels of " << layer.lo << ".."
                                           << layer.hi);
          }
        }
      }
    }
  }
  BOOST_TEST(ran.size() == kWinogradForms);
}

BOOST_AUTO_TEST_CASE(every_form_gives_the_levels_of_the_direct_form_under_every_rule) {
  testing::Random random;
  const Layer layer{37, 40, 13, 10, 1, 2, -11, 11, 11};  // levels that fit every form
  const Operands o = make_operands(layer, random, false);
  const AffineInfo affine{0.5F, 3, layer.lo, layer.hi};
  const AffineInfo out_affine{0.25F, -7, -128, 127};
  const auto channels = static_cast<size_t>(layer.columns);
  std::vector<uint8_t> residual(static_cast<size_t>(layer.images * layer.height * layer.width) * channels);
  for (auto& u : residual) u = static_cast<uint8_t>(random.integer(0, 255));
  // From lo to hi over the channels.
  const auto constants = [&]<class T>(T lo, T hi) {
    std::vector<T> values;
    for (size_t c = 0; c < channels; ++c)
      values.push_back(static_cast<T>(lo + static_cast<double>(c) / static_cast<double>(channels) * (hi - lo)));
    return values;
  };
  for (const char* const kind : {"float", "fixed", "shift"}) {
    for (const bool adds : {false, true}) {
      const std::string attrs =
          std::string(R"({"kernel":[3,3],"strides":[1,1],"pads":[0,0,0,0],"dilations":[1,1],"groups":1,)") +
          R"("auto_pad":"same_lower","clamp":null,"requantize":{"kind":")" + kind +
          R"(","lo":-100,"hi":90,"negate_residual":false}})";
      OneOp op("Conv", attrs.c_str());
      op.input(DType::levels, affine);
      if (adds) op.input(DType::levels, {0.125F, 9, -128, 127});
      op.output(DType::levels, out_affine)
          .param<int8_t>("weight", DType::i8, {layer.columns, layer.channels, 3, 3}, o.w)
          .param<int32_t>("bias", DType::i32, {layer.columns}, o.bias);
      const Dims each{layer.columns};
      if (*kind == 's') {
        op.param<int32_t>("shift", DType::i32, each, constants(4, 7));
        if (adds) op.param<int32_t>("residual_shift", DType::i32, {1}, {1});
      } else if (std::string(kind) == "fixed") {
        op.param<int32_t>("multiplier", DType::i32, each, constants(1 << 30, 2000000000));
        op.param<int32_t>("exponent", DType::i32, each, constants(34, 36));
        if (adds) op.param<int32_t>("residual_multiplier", DType::i32, each, constants(1 << 28, 1 << 30));
      } else {
        op.param<float>("multiplier", DType::f32, each, constants(0.03F, 0.1F));
        if (adds) op.param<float>("residual_multiplier", DType::f32, {1}, {0.4F});
      }
      std::vector<Dims> dims{{layer.images, layer.channels, layer.height, layer.width}};
      std::vector<const void*> operands{o.x.data()};
      if (adds) {
        dims.push_back({layer.images, layer.columns, layer.height, layer.width});
        operands.push_back(residual.data());
      }
      const auto want = op.run<uint8_t>(dims, operands, Isa::scalar, 1, nullptr, "dot32_1x8k4__scalar");
      BOOST_TEST(std::ranges::max(want) - std::ranges::min(want) > 100);
      for (const WinogradKernel& kernel : winograd_kernels()) {
        if (!runs_here(kernel.isa)) continue;
        for (const int threads : {1, 3}) {
          std::string form;
          const auto got = op.run<uint8_t>(dims, operands, detect_isa(), threads, &form, kernel.name);
          BOOST_TEST(form.starts_with("winograd"), kernel.name);
          BOOST_TEST((got == want),
                     kernel.name << ", " << kind << (adds ? " with a residual, " : ", ") << threads << " threads");
        }
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
