// SPDX-License-Identifier: Apache-2.0
#include "base/shape.h"

#include "base/error.h"

namespace fewbins {

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "float32";
    case DType::levels:
      return "levels";
    case DType::i8:
      return "int8";
    case DType::u8:
      return "uint8";
    case DType::i32:
      return "int32";
    case DType::i64:
      return "int64";
    case DType::b8:
      return "bool";
  }
  return "unknown";
}

Dims Dims::from(std::span<const int64_t> sizes) {
  if (sizes.size() > kMaxRank)
    fail(ErrorCode::invalid_argument, "a shape has ", sizes.size(), " axes; the limit is ", kMaxRank);
  Dims dims;
  for (const int64_t size : sizes) dims[dims.rank++] = size;
  if (!dims.within_limits())
    fail(ErrorCode::invalid_argument, "shape ", dims.text(), " is over the limit of ", kMaxElements, " elements");
  return dims;
}

bool Dims::within_limits() const {
  bool empty = false;
  for (const Size size : span()) {
    if (size < 0 || size > kMaxDim) return false;
    empty = empty || size == 0;
  }
  if (empty) return true;
  Size n = 1;
  for (const Size size : span()) {
    if (n > kMaxElements / size) return false;
    n *= size;
  }
  return true;
}

std::string Dims::text() const {
  std::string text = "[";
  for (int axis = 0; axis < rank; ++axis) {
    if (axis > 0) text += ", ";
    text += (*this)[axis] < 0 ? "?" : std::to_string((*this)[axis]);
  }
  return text + "]";
}

}  // namespace fewbins
