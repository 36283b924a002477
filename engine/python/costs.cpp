// SPDX-License-Identifier: Apache-2.0
#include "costs.h"

#include <nanobind/stl/function.h>
#include <nanobind/stl/string.h>

#include "kernels/costs.h"
#include "plan/calibrate.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace fewbins {
namespace {

nb::list rows_of(const std::vector<NamedCost>& costs) {
  nb::list rows;
  for (const NamedCost& cost : costs) {
    nb::dict row;
    row["name"] = cost.name;
    row["step_ps"] = cost.cost.step;
    row["row_ps"] = cost.cost.row;
    row["block_ps"] = cost.cost.block;
    row["call_ps"] = cost.cost.call;
    rows.append(row);
  }
  return rows;
}

nb::dict cost_table() {
  nb::dict table;
  table["source"] = cost_source();
  table["file"] = cost_file();
  table["rows"] = rows_of(known_costs());
  return table;
}

nb::list calibrate(const std::function<void(size_t, size_t)>& progress) {
  const std::vector<NamedCost> costs = calibrate_costs(progress);
  save_costs(costs);
  return rows_of(costs);
}

}  // namespace

void define_costs(nb::module_& module) {
  module.def("cost_table", &cost_table, "Where the costs of kernels come from, and the costs in picoseconds.");
  module.def(
      "calibrate_costs", &calibrate, "progress"_a,
      "Measures the costs of the kernels of this CPU and keeps them for later processes; progress(done, total).");
}

}  // namespace fewbins
