// SPDX-License-Identifier: Apache-2.0
// Where the taps of a window read. Computed for every window anew: a table of them per output pixel would be many times
// the size of the image.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/window.h"

namespace fewbins {

// One axis: tap t of output o reads input o * step + shifts[t]; outside 0..size - 1 lies padding.
struct TapAxis {
  int64_t outputs = 1;
  int64_t size = 1;
  int64_t step = 1;
  std::vector<int64_t> shifts{0};
};

TapAxis tap_axis(const Extent& extent);

// The windows over images of pixels that lie one after the other, line by line.
struct Taps {
  TapAxis down;
  TapAxis right;
  size_t pixel_bytes = 0;

  // For `count` windows of output line y from column x on: to[i * window_step + t * tap_step] is the pixel of `image`
  // under tap t (row by row) of window i, or `padding`.
  void point(const std::byte* image, int64_t y, int64_t x, int64_t count, const std::byte* padding, const void** to,
             int64_t window_step, int64_t tap_step) const {
    for (const int64_t line_shift : down.shifts) {
      const int64_t line = y * down.step + line_shift;
      const bool outside = line < 0 || line >= down.size;
      const std::byte* pixels = outside ? padding : image + static_cast<size_t>(line * right.size) * pixel_bytes;
      for (const int64_t shift : right.shifts) {
        int64_t column = x * right.step + shift;
        for (int64_t i = 0; i < count; ++i, column += right.step) {
          const bool inside = !outside && column >= 0 && column < right.size;
          to[i * window_step] = inside ? pixels + static_cast<size_t>(column) * pixel_bytes : padding;
        }
        to += tap_step;
      }
    }
  }
};

// The output pixels of images one after the other: which pixel comes next.
struct PixelCursor {
  int64_t image = 0;
  int64_t y = 0;
  int64_t x = 0;

  PixelCursor(int64_t pixel, const Taps& taps)
      : image(pixel / (taps.down.outputs * taps.right.outputs)),
        y(pixel / taps.right.outputs % taps.down.outputs),
        x(pixel % taps.right.outputs) {}

  // How many of `most` pixels from here on lie in the same line.
  [[nodiscard]] int64_t run(int64_t most, const Taps& taps) const { return std::min(most, taps.right.outputs - x); }

  // Over `count` pixels of this line.
  void advance(int64_t count, const Taps& taps) {
    x += count;
    if (x < taps.right.outputs) return;
    x = 0;
    if (++y < taps.down.outputs) return;
    y = 0;
    ++image;
  }
};

}  // namespace fewbins
