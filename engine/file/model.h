// SPDX-License-Identifier: Apache-2.0
// A model file after every check of docs/format.md: the graph, its constants decoded, and what travels with it.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/memory_budget.h"
#include "base/shape.h"
#include "file/limits.h"

namespace fewbins {

// real = scale * (q - zero_point), q in lo..hi, in memory u = q - lo. All zero (scale 0) for float32 tensors.
struct AffineInfo {
  float scale = 0.0F;
  int32_t zero_point = 0;
  int32_t lo = 0;
  int32_t hi = 0;

  friend bool operator==(const AffineInfo&, const AffineInfo&) = default;
};

// One size of a tensor in the file: a number, or the name of a free size ("batch"). Equal names are equal sizes, except
// names that start with '?', which say nothing.
struct DimSpec {
  int64_t size = -1;   // -1: free
  std::string symbol;  // empty for a number

  [[nodiscard]] bool is_free() const { return size < 0; }
};

// A tensor that is not a constant.
struct TensorInfo {
  std::string name;
  std::vector<DimSpec> shape;
  DType dtype = DType::f32;  // f32 or levels
  AffineInfo affine;
};

// How a weight's integers are to be read: real = scales[c] * (q - zero_point).
struct WeightAffine {
  std::span<const float> scales;  // 1, or one per channel of `axis`
  int32_t zero_point = 0;
  int32_t lo = 0;
  int32_t hi = 0;
  std::optional<int> axis;
};

struct Constant {
  std::string name;
  DType dtype = DType::f32;
  Dims dims;
  const void* data = nullptr;  // decoded, row-major in logical order; aligned to the element's size
  size_t bytes = 0;
  std::optional<WeightAffine> weight_affine;  // weights
  AffineInfo affine;                          // dtype levels

  // The elements as T; the dtype must fit (f32 float, i8 int8_t, levels and u8 uint8_t, i32 int32_t, i64 int64_t).
  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    return {static_cast<const T*>(data), bytes / sizeof(T)};
  }
};

struct NodeDef {
  std::string op;
  std::string name;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::map<std::string, std::string> params;  // role -> name of a constant
  boost::json::object attrs;

  // "node 'conv1' (Conv)", as messages name it.
  [[nodiscard]] std::string text() const { return "node '" + name + "' (" + op + ")"; }
};

// Pixels to the network's input: x = (pixel - mean) / std, float32, NCHW. Resizing is the host program's business.
struct Preprocessing {
  int64_t height = -1;  // -1: free
  int64_t width = -1;
  std::string channels;  // "RGB", "BGR" or "GRAY"
  std::vector<float> mean;
  std::vector<float> std;
};

struct Model {
  std::string source;  // the path, or "<memory>": for messages
  int format_minor = kFormatMinor;
  std::string name;  // the graph's
  std::string scheme;
  std::string metadata;  // the header text as stored
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::unordered_map<std::string, TensorInfo> tensors;
  std::unordered_map<std::string, Constant> constants;
  std::vector<NodeDef> nodes;  // in topological order
  std::optional<Preprocessing> preprocessing;
  std::vector<std::string> labels;

  // What loading took so far and may take; making the operators goes on charging it.
  MemoryBudget budget;

  // What keeps Constant::data alive: the mapped file and the decoded buffers.
  std::vector<std::shared_ptr<const void>> owners;

  // nullptr where there is none of that name.
  [[nodiscard]] const TensorInfo* find_tensor(std::string_view tensor) const {
    const auto it = tensors.find(std::string(tensor));
    return it == tensors.end() ? nullptr : &it->second;
  }
  [[nodiscard]] const Constant* find_constant(std::string_view constant) const {
    const auto it = constants.find(std::string(constant));
    return it == constants.end() ? nullptr : &it->second;
  }
};

// Reads a model from memory that stays alive and unchanged as long as `owner` does. `source` names it in messages.
// Throws Error(model_file) for anything that does not check out.
[[nodiscard]] Model load_model(std::span<const std::byte> bytes, std::string source, std::shared_ptr<const void> owner);

// Maps the file into memory and reads it. Throws Error(io) when it cannot be opened.
[[nodiscard]] Model load_model_file(const std::string& path);

}  // namespace fewbins
