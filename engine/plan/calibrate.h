// SPDX-License-Identifier: Apache-2.0
// Measures what the kernels cost on the CPU that runs this, for kernels/costs.h.
#pragma once

#include <functional>
#include <vector>

#include "kernels/costs.h"

namespace fewbins {

/// Times every row that runs here, some seconds in all; the fastest of several short runs counts, so that other work on
/// the machine disturbs little. `progress(done, total)` is called after each row.
std::vector<NamedCost> calibrate_costs(const std::function<void(size_t, size_t)>& progress);

/// Writes a table where find_cost() looks for it in later processes, whole or not at all. Throws Error(io).
void save_costs(const std::vector<NamedCost>& costs);

}  // namespace fewbins
