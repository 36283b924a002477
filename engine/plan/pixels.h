// SPDX-License-Identifier: Apache-2.0
// Pixels to the network's input, with the preprocessing that travels in the file.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/shape.h"
#include "base/thread_pool.h"
#include "file/model.h"

namespace fewbins {

// to[n, h, w, c] = (from[n, h, w, c] - mean[c]) / std[c] in float32; both in N, H, W, C order, `dims` in logical order.
// The channels come in the file's order (RGB, BGR or GRAY). Throws Error(invalid_argument) when the file has no
// preprocessing or the input is not an image of that many channels and that size.
void pixels_to_input(const std::optional<Preprocessing>& preprocessing, std::string_view input, const Dims& dims,
                     const uint8_t* from, float* to, ThreadPool& pool);

}  // namespace fewbins
