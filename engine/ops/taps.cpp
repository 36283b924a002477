// SPDX-License-Identifier: Apache-2.0
#include "ops/taps.h"

namespace fewbins {

TapAxis tap_axis(const Extent& extent) {
  TapAxis axis{.outputs = extent.out, .size = extent.in, .step = extent.stride, .shifts = {}};
  axis.shifts.reserve(static_cast<size_t>(extent.kernel));
  for (int64_t tap = 0; tap < extent.kernel; ++tap) axis.shifts.push_back(extent.source(0, tap));
  return axis;
}

}  // namespace fewbins
