// SPDX-License-Identifier: Apache-2.0
// The engine proves itself where it is deployed: every kernel that this CPU can run against plain arithmetic.
#pragma once

#include <string>
#include <vector>

namespace fewbins {

// One line per failure; empty when all kernels compute right. Takes well under a second.
std::vector<std::string> self_test();

}  // namespace fewbins
