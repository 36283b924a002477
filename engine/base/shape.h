// SPDX-License-Identifier: Apache-2.0
// Sizes and data types of tensors. Sizes are always in logical (ONNX, NCHW) order; how an activation lies in memory is
// said in ops/op.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "base/checked.h"
#include "base/limits.h"

namespace fewbins {

enum class DType : uint8_t {
  f32,
  levels,  // a quantized activation: uint8 in memory, u = q - lo
  i8,
  u8,
  i32,
  i64,
  b8,  // a truth value: one byte, 0 or 1
};

[[nodiscard]] constexpr size_t dtype_bytes(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::i64:
      return 8;
    case DType::levels:
    case DType::i8:
    case DType::u8:
    case DType::b8:
      return 1;
  }
  return 1;
}

// "float32", "levels", "int8", "uint8", "int32", "int64", "bool": the names of the file format.
[[nodiscard]] const char* dtype_name(DType dtype);

struct Dims {
  int rank = 0;
  std::array<Size, kMaxRank> d{};

  constexpr Dims() = default;
  // Takes at most kMaxRank sizes; Dims::from checks, this does not.
  constexpr Dims(std::initializer_list<int64_t> sizes) {
    for (const int64_t size : sizes) d[static_cast<size_t>(rank++)] = size;
  }
  // Throws Error(invalid_argument) when the rank, a size or the product is over the limits.
  static Dims from(std::span<const int64_t> sizes);

  constexpr Size& operator[](int axis) { return d[static_cast<size_t>(axis)]; }
  constexpr Size operator[](int axis) const { return d[static_cast<size_t>(axis)]; }
  [[nodiscard]] constexpr std::span<const Size> span() const { return {d.data(), static_cast<size_t>(rank)}; }

  // The number of elements; 1 for rank 0, 0 where any size is 0, however large the others are.
  [[nodiscard]] constexpr Size count() const {
    for (const Size size : span())
      if (size == 0) return 0;
    Size n = 1;
    for (const Size size : span()) n *= size;
    return n;
  }
  // True when every size is in [0, kMaxDim] and the product is at most kMaxElements (computed without overflow).
  [[nodiscard]] bool within_limits() const;

  // "[1, 3, 224, 224]"
  [[nodiscard]] std::string text() const;

  friend constexpr bool operator==(const Dims& a, const Dims& b) {
    if (a.rank != b.rank) return false;
    for (int i = 0; i < a.rank; ++i)
      if (a[i] != b[i]) return false;
    return true;
  }
};

}  // namespace fewbins
