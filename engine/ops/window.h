// SPDX-License-Identifier: Apache-2.0
// Windows of convolutions and pools: their attributes and the sizes that follow from them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "ops/attrs.h"

namespace fewbins {

enum class AutoPad : uint8_t { explicit_pads, same_upper, same_lower };

// Index 0 is down (height), 1 is right (width).
struct Window {
  std::array<int64_t, 2> kernel{1, 1};
  std::array<int64_t, 2> strides{1, 1};
  std::array<int64_t, 2> dilations{1, 1};
  std::array<int64_t, 2> pads_begin{0, 0};
  std::array<int64_t, 2> pads_end{0, 0};
  AutoPad auto_pad = AutoPad::explicit_pads;
  bool ceil_mode = false;
};

// What a window does along one axis once the input's size is known.
struct Extent {
  int64_t in = 0;
  int64_t out = 0;
  int64_t pad_begin = 0;
  int64_t pad_end = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t dilation = 1;

  // Where tap `tap` of output `o` reads; outside 0..in-1 is padding.
  [[nodiscard]] int64_t source(int64_t o, int64_t tap) const { return o * stride - pad_begin + tap * dilation; }

  // The taps of output `o` that read from lo..hi - 1: first and one past the last, equal where there are none.
  [[nodiscard]] std::array<int64_t, 2> taps_between(int64_t o, int64_t lo, int64_t hi) const {
    const auto first_at = [&](int64_t bound) {
      const int64_t distance = bound - source(o, 0);
      return distance <= 0 ? 0 : std::min(kernel, (distance + dilation - 1) / dilation);
    };
    const int64_t first = first_at(lo);
    return {first, std::max(first, first_at(hi))};
  }
};

// Reads kernel, strides, pads, dilations and, where `with_auto_pad`, auto_pad.
Window read_window(const Attrs& attrs, bool with_auto_pad);

// The extent along `axis` (0 height, 1 width) for an input of `in` rows or columns. Throws Error naming the node where
// the window does not fit.
Extent window_extent(const Window& window, int axis, int64_t in, const NodeDef& node);

}  // namespace fewbins
