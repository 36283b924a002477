// SPDX-License-Identifier: Apache-2.0
#include "ops/window.h"

#include <algorithm>

namespace fewbins {

Window read_window(const Attrs& attrs, bool with_auto_pad) {
  const auto pads = attrs.integers<4>("pads", 0, kMaxWindow);
  const auto pair = [&](std::string_view key) -> std::array<Size, 2> {
    const auto [down, right] = attrs.integers<2>(key, 1, kMaxWindow);
    return {down, right};
  };
  Window window;
  window.kernel = pair("kernel");
  window.strides = pair("strides");
  window.dilations = pair("dilations");
  window.pads_begin = {pads[0], pads[1]};
  window.pads_end = {pads[2], pads[3]};
  if (with_auto_pad)
    window.auto_pad = static_cast<AutoPad>(attrs.choice("auto_pad", {"explicit", "same_upper", "same_lower"}));
  return window;
}

Size window_span(const Window& window, size_t axis) { return (window.kernel[axis] - 1) * window.dilations[axis] + 1; }

Extent window_extent(const Window& window, int axis, Size in, const NodeDef& node) {
  const auto i = static_cast<size_t>(axis);
  const char* const lines = axis == 0 ? " rows" : " columns";
  Extent extent{.in = in,
                .out = 0,
                .pad_begin = window.pads_begin[i],
                .pad_end = window.pads_end[i],
                .kernel = window.kernel[i],
                .stride = window.strides[i],
                .dilation = window.dilations[i]};
  const Size span = window_span(window, i);
  if (window.auto_pad != AutoPad::explicit_pads) {
    extent.out = ceil_div(in, extent.stride);
    const Size total = std::max<Size>(0, extent.covered() - in);
    const Size less = total / 2;
    extent.pad_begin = window.auto_pad == AutoPad::same_upper ? less : total - less;
    extent.pad_end = total - extent.pad_begin;
  } else {
    const Size room = in + extent.pad_begin + extent.pad_end - span;
    // C++ rounds towards zero: that is up where the room is negative, which is what ceil_mode wants.
    if (window.ceil_mode) {
      extent.out = (room > 0 ? ceil_div(room, extent.stride) : room / extent.stride) + 1;
      // A last window counts only if it starts in the input or its leading padding.
      if ((extent.out - 1) * extent.stride >= in + extent.pad_begin) --extent.out;
    } else {
      extent.out = room < 0 ? Size(0) : room / extent.stride + 1;
    }
  }
  if (in < 1 || extent.out < 1)
    fail_shape(node, "an input of ", in, lines, " is too small for a window of ", span, " with pads ", extent.pad_begin,
               " and ", extent.pad_end);
  if (const Size most = std::max({in + extent.pad_begin + extent.pad_end, extent.covered(), extent.out});
      most > kMaxDim)
    fail_shape(node, "its padded input would have ", most, lines, "; the limit is ", kMaxDim);
  return extent;
}

}  // namespace fewbins
