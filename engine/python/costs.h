// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

namespace fewbins {

// The cost table: what fewbins doctor shows and measures.
void define_costs(nanobind::module_& module);

}  // namespace fewbins
