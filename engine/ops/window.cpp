// SPDX-License-Identifier: Apache-2.0
#include "ops/window.h"

#include <algorithm>

#include "base/checked.h"

namespace fewbins {

Window read_window(const Attrs& attrs, bool with_auto_pad) {
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
  const char* const lines = axis == 0 ? " rows" : " columns";
  const Size stride = window.strides[i];
  const Size span = (Size(window.kernel[i]) - 1) * window.dilations[i] + 1;
  Size out = 0;
  Size pad_begin = window.pads_begin[i];
  Size pad_end = window.pads_end[i];
  if (window.auto_pad != AutoPad::explicit_pads) {
    out = ceil_div(in, stride);
    const Size total = std::max<Size>(0, (out - 1) * stride + span - in);
    const Size less = total / 2;
    pad_begin = window.auto_pad == AutoPad::same_upper ? less : total - less;
    pad_end = total - pad_begin;
  } else {
    const Size room = in + pad_begin + pad_end - span;
    // C++ rounds towards zero: that is up where the room is negative, which is what ceil_mode wants.
    if (window.ceil_mode) {
      out = (room > 0 ? ceil_div(room, stride) : room / stride) + 1;
      // A last window counts only if it starts in the input or its leading padding.
      if ((out - 1) * stride >= in + pad_begin) --out;
    } else {
      out = room < 0 ? Size(0) : room / stride + 1;
    }
  }
  if (in < 1 || out < 1)
    fail_shape(node, "an input of ", in, lines, " is too small for a window of ", span, " with pads ", pad_begin,
               " and ", pad_end);
  // Far from 64 bits: sums of an extent's numbers and products of two of them cannot wrap.
  if (const Size most = std::max({in + pad_begin + pad_end, (out - 1) * stride + span, out}); most > kMaxDim)
    fail_shape(node, "its padded input would have ", most, lines, "; the limit is ", kMaxDim);
  return {.in = in,
          .out = out,
          .pad_begin = pad_begin,
          .pad_end = pad_end,
          .kernel = window.kernel[i],
          .stride = stride,
          .dilation = window.dilations[i]};
}

}  // namespace fewbins
