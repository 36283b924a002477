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
  std::array<Size, 2> kernel{1, 1};
  std::array<Size, 2> strides{1, 1};
  std::array<Size, 2> dilations{1, 1};
  std::array<Size, 2> pads_begin{0, 0};
  std::array<Size, 2> pads_end{0, 0};
  AutoPad auto_pad = AutoPad::explicit_pads;
  bool ceil_mode = false;
};

// What a window does along one axis once the input's size is known. window_extent() checks it: no number is above
// kMaxDim, nor is the padded input, so sums of these and products of two of them are far from 64 bits.
struct Extent {
  Size in = 0;
  Size out = 0;
  Size pad_begin = 0;
  Size pad_end = 0;
  Size kernel = 1;
  Size stride = 1;
  Size dilation = 1;

  // Where tap `tap` of output `o` reads; outside 0..in-1 is padding.
  [[nodiscard]] Size source(int64_t o, int64_t tap) const { return o * stride - pad_begin + tap * dilation; }

  // How many rows or columns the windows of all outputs span.
  [[nodiscard]] Size covered() const { return (out - 1) * stride + (kernel - 1) * dilation + 1; }

  // The taps of output `o` that read from lo..hi - 1: first and one past the last, equal where there are none.
  [[nodiscard]] std::array<int64_t, 2> taps_between(int64_t o, int64_t lo, int64_t hi) const {
    const auto first_at = [&](int64_t bound) -> int64_t {
      const Size distance = bound - source(o, 0);
      return distance <= 0 ? Size(0) : std::min(kernel, ceil_div(distance, dilation));
    };
    const int64_t first = first_at(lo);
    return {first, std::max(first, first_at(hi))};
  }
};

// How many rows or columns one window spans along `axis`.
Size window_span(const Window& window, size_t axis);

// Reads kernel, strides, pads, dilations and, where `with_auto_pad`, auto_pad.
Window read_window(const Attrs& attrs, bool with_auto_pad);

// The extent along `axis` (0 height, 1 width) for an input of `in` rows or columns: the one place where a window's
// geometry is checked. Throws Error naming the node where the window does not fit or is over the limits.
Extent window_extent(const Window& window, int axis, Size in, const NodeDef& node);

}  // namespace fewbins
