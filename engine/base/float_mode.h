// SPDX-License-Identifier: Apache-2.0
// The float mode that docs/numerics.md demands: round to nearest, keep subnormal numbers.
#pragma once

#include <cstdint>

namespace fewbins {

// Sets the calling thread's float mode, and gives back what was there when it goes out of scope. Programs that were
// linked with -ffast-math, or that changed the rounding, get the same integers as everybody else.
class FloatMode {
 public:
  FloatMode();
  ~FloatMode();
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
  std::uint64_t saved_;
};

}  // namespace fewbins
