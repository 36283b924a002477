// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

namespace fewbins {

// Adds the class Subject and the bench_ functions to the module.
void define_bench(nanobind::module_& module);

}  // namespace fewbins
