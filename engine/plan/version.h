// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace fewbins {

// "1.2.3", as in pyproject.toml.
const char* version();

}  // namespace fewbins
