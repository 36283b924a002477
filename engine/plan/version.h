// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace fewbins {

// "1.2.3", as in pyproject.toml.
const char* version();

// The commit that was built, in nine digits, or "unknown" where neither git nor an sdist could say.
const char* commit();

}  // namespace fewbins
