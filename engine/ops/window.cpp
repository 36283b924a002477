// SPDX-License-Identifier: Apache-2.0
#include "ops/window.h"

#include <algorithm>

namespace fewbins {

Window read_window(const Attrs& attrs, bool with_auto_pad) {
  // Small enough that no product of two of them, times a size, overflows int64.
  constexpr int64_t kLargest = int64_t{1} << 20;
  const auto pads = attrs.integers<4>("pads", 0, kLargest);
  Window window;
  window.kernel = attrs.integers<2>("kernel", 1, kLargest);
  window.strides = attrs.integers<2>("strides", 1, kLargest);
  window.dilations = attrs.integers<2>("dilations", 1, kLargest);
  window.pads_begin = {pads[0], pads[1]};
  window.pads_end = {pads[2], pads[3]};
  if (with_auto_pad)
    window.auto_pad = static_cast<AutoPad>(attrs.choice("auto_pad", {"explicit", "same_upper", "same_lower"}));
  return window;
}

Extent window_extent(const Window& window, int axis, int64_t in, const NodeDef& node) {
  const auto i = static_cast<size_t>(axis);
  Extent extent{.in = in,
                .out = 0,
                .pad_begin = window.pads_begin[i],
                .pad_end = window.pads_end[i],
                .kernel = window.kernel[i],
                .stride = window.strides[i],
                .dilation = window.dilations[i]};
  const int64_t span = (extent.kernel - 1) * extent.dilation + 1;
  if (window.auto_pad != AutoPad::explicit_pads) {
    extent.out = (in + extent.stride - 1) / extent.stride;
    const int64_t total = std::max<int64_t>(0, (extent.out - 1) * extent.stride + span - in);
    const int64_t less = total / 2;
    extent.pad_begin = window.auto_pad == AutoPad::same_upper ? less : total - less;
    extent.pad_end = total - extent.pad_begin;
  } else {
    const int64_t room = in + extent.pad_begin + extent.pad_end - span;
    // C++ rounds towards zero: that is up where the room is negative, which is what ceil_mode wants.
    if (window.ceil_mode) {
      extent.out = (room > 0 ? (room + extent.stride - 1) / extent.stride : room / extent.stride) + 1;
      // A last window counts only if it starts in the input or its leading padding.
      if ((extent.out - 1) * extent.stride >= in + extent.pad_begin) --extent.out;
    } else {
      extent.out = room < 0 ? 0 : room / extent.stride + 1;
    }
  }
  if (in < 1 || extent.out < 1 || extent.out > kMaxDim)
    fail_shape(node, "an input of ", in, axis == 0 ? " rows" : " columns", " is too small for a window of ", span,
               " with pads ", extent.pad_begin, " and ", extent.pad_end);
  return extent;
}

}  // namespace fewbins
