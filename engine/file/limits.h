// SPDX-License-Identifier: Apache-2.0
// What versions of docs/format.md this release reads, and its limits.
#pragma once

#include "base/limits.h"

namespace fewbins {

inline constexpr int kFormatMajor = 1;
inline constexpr int kFormatMinor = 1;  // the newest minor version that this release reads
inline constexpr int kNumerics = 1;

}  // namespace fewbins
