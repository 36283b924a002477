// SPDX-License-Identifier: Apache-2.0
// Gemm with weights from a table, on every row of kernels that can do it.
#include <boost/test/unit_test.hpp>
#include <vector>

#include "kernel_fixtures.h"
#include "op_fixture.h"

using namespace fewbins;
using fewbins::testing::OneOp;

BOOST_AUTO_TEST_SUITE(ops_gemm)

BOOST_AUTO_TEST_CASE(weights_from_a_table_give_the_sums_of_decoded_ones_on_every_row) {
  testing::Random random;
  for (const int64_t depth : {1, 7, 40, 1030}) {
    for (const int64_t columns : {1, 65}) {
      const AffineInfo from{0.5F, -90, -128, 127};
      std::vector<uint8_t> indices(static_cast<size_t>(depth * columns));
      std::vector<int8_t> table(16);
      std::vector<int32_t> bias(static_cast<size_t>(columns));
      for (auto& i : indices) i = static_cast<uint8_t>(random.integer(0, 15));
      for (auto& entry : table) entry = static_cast<int8_t>(random.integer(-127, 127));
      for (auto& b : bias) b = random.integer(-5000, 5000);
      OneOp op("Gemm", R"({"clamp":null,"requantize":{"kind":"dequantize","lo":0,"hi":0,"negate_residual":false}})");
      op.input(DType::levels, from)
          .param<uint8_t>("weight", DType::u8, {columns, depth}, indices)
          .param<int8_t>("weight_table", DType::i8, {16}, table)
          .param<int32_t>("bias", DType::i32, {columns}, bias)
          .param<float>("multiplier", DType::f32, {1}, {1.0F});
      for (const int64_t rows : {1, 4, 6}) {
        std::vector<uint8_t> x(static_cast<size_t>(rows * depth));
        for (auto& u : x) u = static_cast<uint8_t>(random.integer(0, 255));
        std::vector<float> want;
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t n = 0; n < columns; ++n) {
            int32_t sum = bias[static_cast<size_t>(n)];
            for (int64_t k = 0; k < depth; ++k) {
              sum += (x[static_cast<size_t>(r * depth + k)] - 128 + 90) *
                     table[indices[static_cast<size_t>(n * depth + k)]];
            }
            want.push_back(static_cast<float>(sum));
          }
        }
        for (const GemmKernel& kernel : gemm_kernels()) {
          const bool can = kernel.family == Family::lut4 || kernel.family == Family::dot32;
          if (!can || !runs_here(kernel.isa)) continue;
          const auto got = op.run<float>({{rows, depth}}, {x.data()}, kernel.isa, 2, nullptr, kernel.name);
          BOOST_TEST((got == want), kernel.name << ", " << rows << " rows, depth " << depth);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(tables_are_looked_up_where_that_beats_reading_bytes) {
  GemmProblem problem{.n = 4096, .taps = 1, .channels = 4096, .block = 0, .m = 1};
#if defined(__x86_64__)
  BOOST_CHECK(select_lut4(Isa::avx512vnni, problem) != nullptr);
  BOOST_CHECK(select_lut4(Isa::avx2, problem) == nullptr);  // fits a last-level cache
  problem.n = 16384;
  BOOST_CHECK(select_lut4(Isa::avx2, problem) != nullptr);
  BOOST_CHECK(select_lut4(Isa::ssse3, problem) == nullptr);
  BOOST_CHECK(select_lut4(Isa::ssse3, problem, "lut4_4x16k8__ssse3") != nullptr);
#endif
  BOOST_CHECK(select_lut4(Isa::scalar, problem) == nullptr);
  for (const size_t m : {0U, 5U, 100U}) {
    problem.m = m;
    BOOST_CHECK(select_lut4(Isa::avx512vnni, problem) == nullptr);
  }
}

BOOST_AUTO_TEST_SUITE_END()
