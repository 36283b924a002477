// SPDX-License-Identifier: Apache-2.0
#include "file/safetensors.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "file/json.h"
#include "file/limits.h"

namespace fewbins {
namespace {

struct ElementType {
  std::string_view name;
  uint64_t bytes;
};

constexpr std::array kElementTypes = {ElementType{"F32", 4}, ElementType{"U8", 1}, ElementType{"I8", 1},
                                      ElementType{"I32", 4}, ElementType{"I64", 8}};

struct Extent {
  uint64_t begin;
  uint64_t end;
  std::string_view name;
};

// The extents must follow each other from 0 to `size`.
void check_coverage(std::vector<Extent>& extents, uint64_t size) {
  std::ranges::sort(
      extents, [](const Extent& a, const Extent& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
  uint64_t position = 0;
  for (const Extent& extent : extents) {
    if (extent.begin != position)
      fail(ErrorCode::model_file, "tensor '", extent.name, "' starts at byte ", extent.begin, " where ", position,
           " was expected; tensors must not leave holes or overlap");
    position = extent.end;
  }
  if (position != size)
    fail(ErrorCode::model_file, "the tensors take ", position, " bytes but ", size,
         " follow the header; the file is truncated or has something appended");
}

Extent read_extent(const Json& entry, std::string_view name, uint64_t size, StoredTensor& tensor) {
  const std::string_view dtype = entry.at("dtype").string();
  const auto* type = std::ranges::find(kElementTypes, dtype, &ElementType::name);
  if (type == kElementTypes.end())
    fail(ErrorCode::model_file, "tensor '", name, "' has dtype '", dtype,
         "'; model files hold F32, U8, I8, I32 and I64");
  tensor.dtype = dtype;
  const Json shape = entry.at("shape");
  for (const boost::json::value& one : shape.array(kMaxRank))
    tensor.dims[tensor.dims.rank++] = shape.entry(one).integer(0, kMaxDim);
  // Stored bytes of a coded constant may be as many as a tensor has elements, so one limit serves both.
  if (!tensor.dims.within_limits())
    fail(ErrorCode::model_file, "tensor '", name, "' has shape ", tensor.dims.text(), "; the limit is ", kMaxElements,
         " elements");
  const Json offsets = entry.at("data_offsets");
  const boost::json::array& pair = offsets.array(2);
  if (pair.size() != 2) offsets.fail_type("a pair");
  const auto begin = static_cast<uint64_t>(offsets.entry(pair[0]).integer(0, INT64_MAX));
  const auto end = static_cast<uint64_t>(offsets.entry(pair[1]).integer(0, INT64_MAX));
  if (begin > end || end > size)
    fail(ErrorCode::model_file, "tensor '", name, "' takes bytes ", begin, "..", end, " but ", size,
         " follow the header; the file is truncated or corrupt");
  const uint64_t expected = static_cast<uint64_t>(tensor.dims.count()) * type->bytes;
  if (end - begin != expected)
    fail(ErrorCode::model_file, "tensor '", name, "' has ", end - begin, " bytes; its shape ", tensor.dims.text(),
         " needs ", expected);
  return {begin, end, name};
}

}  // namespace

Container read_container(std::span<const std::byte> bytes) {
  if (bytes.size() < 8)
    fail(ErrorCode::model_file, bytes.size(), " bytes are too few for a model file; it is truncated or another kind");
  uint64_t claimed = 0;
  for (size_t i = 0; i < 8; ++i) claimed |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  if (claimed > kMaxHeaderBytes)
    fail(ErrorCode::model_file, "the header claims ", claimed, " bytes, the limit is ", kMaxHeaderBytes,
         "; this is not a model file");
  const auto header_size = static_cast<size_t>(claimed);
  if (header_size > bytes.size() - 8)
    fail(ErrorCode::model_file, "the header ends at byte ", header_size + 8, " but the file has ", bytes.size(),
         "; it is truncated");
  const auto* text = reinterpret_cast<const char*>(bytes.data()) + 8;
  const boost::json::value header = parse_json({text, header_size}, "the safetensors header");
  const std::span<const std::byte> data = bytes.subspan(8 + header_size);

  Container container;
  const Json root(header, "the safetensors header");
  const boost::json::object& entries = root.object();
  if (entries.size() > 2 * kMaxTensors + 1)
    fail(ErrorCode::model_file, "the file has ", entries.size(), " tensors; the limit is ", kMaxTensors);
  std::vector<Extent> extents;
  extents.reserve(entries.size());
  bool found = false;
  for (const auto& [key, value] : entries) {
    const std::string_view name(key.data(), key.size());
    if (name == "__metadata__") {
      container.metadata = Json(value, "__metadata__").at("fewbins").string();
      found = true;
      continue;
    }
    StoredTensor tensor;
    const Extent extent = read_extent(Json(value, "tensor", name), name, data.size(), tensor);
    extents.push_back(extent);
    tensor.bytes = data.subspan(static_cast<size_t>(extent.begin), static_cast<size_t>(extent.end - extent.begin));
    if (!name.starts_with("__pad")) container.tensors.emplace(name, std::move(tensor));
  }
  if (!found) fail(ErrorCode::model_file, "it is a safetensors file, but not a fewbins model (no entry 'fewbins')");
  check_coverage(extents, data.size());
  return container;
}

}  // namespace fewbins
