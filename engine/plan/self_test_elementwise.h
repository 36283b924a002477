// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/cpu.h"

namespace fewbins {

// Every elementwise kernel that runs here against the scalar one, bit for bit; appends one line per failure.
void test_elementwise_kernels(std::vector<std::string>& failures);

}  // namespace fewbins
