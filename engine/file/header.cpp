// SPDX-License-Identifier: Apache-2.0
#include "file/header.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "file/crc32c.h"
#include "file/limits.h"

namespace fewbins {
namespace {

constexpr std::array kActivationTypes = {DType::f32, DType::levels, DType::b8, DType::u8, DType::i32, DType::i64};

constexpr std::string_view kCrcMark = R"(,"crc32c":")";

std::string hex8(uint32_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(8, '0');
  for (size_t i = 0; i < 8; ++i) text[7 - i] = kDigits[value >> (4 * i) & 15U];
  return text;
}

std::vector<std::string> read_names(const Json& list) {
  std::vector<std::string> names;
  for (const boost::json::value& one : list.array(kMaxOperands)) names.emplace_back(list.entry(one).name());
  return names;
}

DimSpec read_dim(const Json& size) {
  if (size.is_string()) return {-1, std::string(size.name())};
  return {size.integer(0, kMaxDim), {}};
}

TensorInfo read_tensor(std::string_view name, const Json& row, std::span<const float> scales) {
  TensorInfo tensor;
  tensor.name = name;
  const Json shape = row.at("shape");
  for (const boost::json::value& one : shape.array(kMaxRank)) tensor.shape.push_back(read_dim(shape.entry(one)));
  const Json dtype = row.at("dtype");
  const auto* known =
      std::ranges::find_if(kActivationTypes, [&](DType one) { return dtype.string() == dtype_name(one); });
  if (known == kActivationTypes.end()) dtype.fail_type("'float32', 'levels', 'bool', 'uint8', 'int32' or 'int64'");
  tensor.dtype = *known;
  if (tensor.dtype == DType::levels) tensor.affine = read_activation_affine(row.at("affine"), scales);
  return tensor;
}

NodeDef read_node(const boost::json::value& value) {
  NodeDef node;
  node.name = Json(value, "a node").at("name").name();
  const Json row(value, "node", node.name);
  node.op = row.at("op").name();
  node.inputs = read_names(row.at("inputs"));
  node.outputs = read_names(row.at("outputs"));
  const boost::json::object& params = row.at("params").object();
  if (params.size() > kMaxOperands)
    fail(ErrorCode::model_file, "node '", node.name, "' has ", params.size(), " params; the limit is ", kMaxOperands);
  for (const auto& [role, constant] : params)
    node.params.emplace(std::string(role), Json(constant, "node", node.name, role).name());
  node.attrs = row.at("attrs").object();
  return node;
}

Preprocessing read_preprocessing(const Json& row) {
  Preprocessing result;
  const Json size = row.at("size");
  if (!size.is_null()) {
    const boost::json::array& pair = size.array(2);
    if (pair.size() != 2) size.fail_type("null or a height and a width");
    result.height = size.entry(pair[0]).integer(1, kMaxDim);
    result.width = size.entry(pair[1]).integer(1, kMaxDim);
  }
  const Json channels = row.at("channels");
  result.channels = channels.string();
  constexpr std::array<std::string_view, 3> kAllowed = {"RGB", "BGR", "GRAY"};
  if (std::ranges::find(kAllowed, result.channels) == kAllowed.end()) channels.fail_type("'RGB', 'BGR' or 'GRAY'");
  const size_t count = result.channels == "GRAY" ? 1 : 3;
  const auto numbers = [&](std::string_view key) {
    const Json list = row.at(key);
    std::vector<float> values;
    for (const boost::json::value& one : list.array(3)) values.push_back(list.entry(one).finite_float());
    if (values.size() != count) list.fail_type("one number per channel");
    return values;
  };
  result.mean = numbers("mean");
  result.std = numbers("std");
  if (std::ranges::find(result.std, 0.0F) != result.std.end()) row.at("std").fail_type("without zeros");
  return result;
}

}  // namespace

bool is_valid_scale(float scale) { return std::isnormal(scale) && scale > 0.0F; }

boost::json::value parse_header(std::string_view text) {
  // ...,"crc32c":"xxxxxxxx"} : the checksum covers every character before the comma.
  const size_t tail = kCrcMark.size() + 10;
  const size_t mark = text.size() - std::min(text.size(), tail);
  if (!text.substr(mark).starts_with(kCrcMark) || !text.ends_with("\"}"))
    fail(ErrorCode::model_file, "the header's checksum is missing");
  const std::string found = hex8(crc32c(std::as_bytes(std::span(text.substr(0, mark)))));
  const std::string_view stored = text.substr(mark + kCrcMark.size(), 8);
  if (stored != found)
    fail(ErrorCode::model_file, "the header's checksum is ", found, " but ", stored, " is stored; the file is corrupt");
  return parse_json(text, "the header");
}

void read_description(const Json& header, Model& model) {
  if (header.at("format").string() != "fewbins") header.at("format").fail_type("'fewbins'");
  const Json version = header.at("version");
  const boost::json::array& numbers = version.array(2);
  if (numbers.size() != 2) version.fail_type("two numbers");
  const int64_t major = version.entry(numbers[0]).integer(0, INT32_MAX);
  const int64_t minor = version.entry(numbers[1]).integer(0, INT32_MAX);
  if (major != kFormatMajor || minor > kFormatMinor)
    fail(ErrorCode::model_file, "format version ", major, ".", minor, " is not one that this release reads (",
         kFormatMajor, ".0 to ", kFormatMajor, ".", kFormatMinor, "); update fewbins");
  model.format_minor = static_cast<int>(minor);
  const int64_t numerics = header.at("numerics").integer(0, INT32_MAX);
  if (numerics != kNumerics)
    fail(ErrorCode::model_file, "numerics ", numerics, " is unknown to this release (", kNumerics, "); update fewbins");
  model.scheme = header.at("scheme").string();
  const Json preprocessing = header.optional("preprocessing");
  if (!preprocessing.is_null())
    model.preprocessing = read_preprocessing(Json(*header.object().if_contains("preprocessing"), "preprocessing"));
  const Json labels = header.optional("labels");
  if (!labels.is_null())
    for (const boost::json::value& one : labels.array(kMaxLabels))
      model.labels.emplace_back(labels.entry(one).string());
}

AffineInfo read_activation_affine(const Json& affine, std::span<const float> scales) {
  AffineInfo info;
  const int64_t index = affine.at("scale").integer(0, INT32_MAX);
  if (static_cast<size_t>(index) >= scales.size())
    fail(ErrorCode::model_file, affine.where(), " names scale ", index, " but there are ", scales.size());
  info.scale = scales[static_cast<size_t>(index)];
  if (!is_valid_scale(info.scale))
    fail(ErrorCode::model_file, affine.where(), " has scale ", info.scale, "; it must be finite, normal and positive");
  info.lo = static_cast<int32_t>(affine.at("lo").integer(-128, 0));
  info.hi = static_cast<int32_t>(affine.at("hi").integer(0, 127));
  if (info.hi - info.lo < 2)
    fail(ErrorCode::model_file, affine.where(), " has levels ", info.lo, "..", info.hi, "; there must be at least 3");
  info.zero_point = static_cast<int32_t>(affine.at("zero_point").integer(info.lo, info.hi));
  return info;
}

void read_graph(const Json& graph, std::span<const float> scales, Model& model) {
  model.name = graph.at("name").string();
  model.inputs = read_names(graph.at("inputs"));
  model.outputs = read_names(graph.at("outputs"));
  const boost::json::object& tensors = graph.at("tensors").object();
  if (tensors.size() > kMaxTensors)
    fail(ErrorCode::model_file, "the graph has ", tensors.size(), " tensors; the limit is ", kMaxTensors);
  model.tensors.reserve(tensors.size());
  for (const auto& [key, row] : tensors) {
    const std::string_view name = checked_name(key, "the graph's tensors");
    model.tensors.emplace(name, read_tensor(name, Json(row, "tensor", name), scales));
  }
  for (const boost::json::value& one : graph.at("nodes").array(kMaxNodes)) model.nodes.push_back(read_node(one));
}

}  // namespace fewbins
