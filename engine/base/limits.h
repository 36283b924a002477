// SPDX-License-Identifier: Apache-2.0
// The limits of docs/format.md section 7 as constants.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace fewbins {

#define LIMIT(constant, python, type, value, unit, what) inline constexpr type constant = value;
#include "base/limits.inc"
#undef LIMIT

// A row of the list, for Python and the docs.
struct LimitRow {
  const char* name;
  uint64_t value;
  const char* unit;
  const char* what;
};

inline constexpr std::array kLimitRows = {
#define LIMIT(constant, python, type, value, unit, what) LimitRow{#python, static_cast<uint64_t>(constant), unit, what},
#include "base/limits.inc"
#undef LIMIT
};

}  // namespace fewbins
