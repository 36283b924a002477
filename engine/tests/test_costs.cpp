// SPDX-License-Identifier: Apache-2.0
// The cost table: its text, and that predictions grow with the work.
#include <boost/test/unit_test.hpp>

#include "base/cpu.h"
#include "kernels/costs.h"

namespace fewbins {

BOOST_AUTO_TEST_SUITE(costs)

BOOST_AUTO_TEST_CASE(a_table_survives_its_text) {
  const std::vector<NamedCost> rows = {{"dot16_3x16k4__avx2", {387.9, 171.9, 302.8, 5000}},
                                       {"weights_l3", {1.72, 0, 0, 0}}};
  const std::vector<NamedCost> back = costs_from_text(costs_to_text(rows));
  BOOST_REQUIRE_EQUAL(back.size(), 2u);
  BOOST_CHECK_EQUAL(back[0].name, rows[0].name);
  BOOST_CHECK_CLOSE(back[0].cost.step, 387.9, 0.1);
  BOOST_CHECK_CLOSE(back[0].cost.row, 171.9, 0.1);
  BOOST_CHECK_CLOSE(back[0].cost.block, 302.8, 0.1);
  BOOST_CHECK_CLOSE(back[0].cost.call, 5000.0, 0.1);
  BOOST_CHECK_CLOSE(back[1].cost.step, 1.72, 0.1);
}

BOOST_AUTO_TEST_CASE(lines_that_are_no_costs_are_left_out) {
  const char* text =
      "// a comment\nCOST(a, 1, 2, 3)\nCOST(b, 1, 2, 3, nan)\nCOST(c, -1, 2, 3, 4)\nCOST(d, 1, 2, 3, 4\nCOST(, , , , "
      ")\n\n"
      "COST(e, 4, 5, 6, 7)";
  const std::vector<NamedCost> rows = costs_from_text(text);
  BOOST_REQUIRE_EQUAL(rows.size(), 1u);
  BOOST_CHECK_EQUAL(rows[0].name, "e");
  BOOST_CHECK_EQUAL(rows[0].cost.block, 6.0);
}

BOOST_AUTO_TEST_CASE(more_work_never_costs_less) {
  for (const GemmKernel& kernel : gemm_kernels()) {
    GemmProblem problem{.n = kernel.nr, .taps = 9, .channels = 64, .block = 36, .m = kernel.mr};
    const std::optional<double> base = predict_gemm(kernel, problem);
    if (!base) continue;
    BOOST_CHECK_MESSAGE(*base > 0, kernel.name);
    problem.n = kernel.nr + 1;  // a second panel, whose columns are mostly padding
    BOOST_CHECK_CLOSE(*predict_gemm(kernel, problem), 2 * *base, 1e-6);
    problem.m = 2 * kernel.mr;
    BOOST_CHECK_CLOSE(*predict_gemm(kernel, problem), 4 * *base, 1e-6);
    problem.block = 1;
    BOOST_CHECK(*predict_gemm(kernel, problem) >= 4 * *base);
  }
}

#if defined(__x86_64__)  // where all defaults were measured
BOOST_AUTO_TEST_CASE(every_default_names_a_kernel) {
  for (const NamedCost& row : known_costs()) {
    if (!row.name.starts_with("weights_")) BOOST_CHECK_MESSAGE(find_kernel(row.name) != nullptr, row.name);
  }
}
#endif

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fewbins
