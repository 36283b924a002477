// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy files (format versions 1 to 3): little-endian float32, bool, uint8, int32 and int64, C order; everything
// else is refused.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/shape.h"

namespace fewbins {

struct NpyArray {
  DType dtype = DType::f32;
  Dims dims;
  std::vector<std::byte> data;
};

// Throws Error(io) when the file cannot be read, Error(invalid_argument) when it is not such an array.
NpyArray read_npy(const std::string& path);

// Writes beside the path first, then renames: a full disk leaves no half-written file. Throws Error(io).
void write_npy(const std::string& path, DType dtype, const Dims& dims, std::span<const std::byte> data);

}  // namespace fewbins
