// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace fewbins {

// What the system calls this CPU, "AMD EPYC 9575F"; the architecture where it says nothing. For reports only.
std::string cpu_name();

}  // namespace fewbins
