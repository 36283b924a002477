// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/aligned.h"
#include "base/error.h"
#include "file/crc32c.h"
#include "file/header.h"
#include "file/limits.h"
#include "file/rans.h"

namespace fewbins {
namespace {

struct TypeRow {
  std::string_view name;
  DType dtype;
  std::string_view stored;  // in the container when the encoding is raw
};

constexpr std::array kTypes = {TypeRow{"float32", DType::f32, "F32"}, TypeRow{"levels", DType::levels, "U8"},
                               TypeRow{"int8", DType::i8, "I8"},      TypeRow{"uint8", DType::u8, "U8"},
                               TypeRow{"int32", DType::i32, "I32"},   TypeRow{"int64", DType::i64, "I64"},
                               TypeRow{"bool", DType::b8, "U8"}};

// A constant before its bytes are looked at.
struct Declared {
  const TypeRow* type = nullptr;
  Dims dims;
  size_t bytes = 0;  // decoded
};

Declared read_declared(std::string_view name, const Json& row) {
  Declared declared;
  const Json dtype = row.at("dtype");
  const auto* type = std::ranges::find(kTypes, dtype.string(), &TypeRow::name);
  if (type == kTypes.end()) dtype.fail_type("a data type of the format");
  declared.type = &*type;
  const Json shape = row.at("shape");
  for (const boost::json::value& one : shape.array(kMaxRank))
    declared.dims[declared.dims.rank++] = shape.entry(one).integer(0, kMaxDim);
  if (!declared.dims.within_limits())
    fail(ErrorCode::model_file, "constant '", name, "' has shape ", declared.dims.text(), "; the limit is ",
         kMaxElements, " elements");
  declared.bytes = memory_size(declared.dims.count() * dtype_bytes(type->dtype));
  return declared;
}

void check_crc(std::string_view name, const Json& row, std::span<const std::byte> bytes) {
  const std::string_view text = row.at("crc32c").string();
  uint32_t stored = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), stored, 16);
  if (text.size() != 8 || problem != std::errc() || end != text.data() + text.size())
    row.at("crc32c").fail_type("eight hexadecimal digits");
  if (stored != crc32c(bytes))
    fail(ErrorCode::model_file, "constant '", name, "' fails its checksum ", text, "; the file is corrupt");
}

// Raw bytes stay where they are when their address suits the elements.
const void* place_raw(std::span<const std::byte> bytes, size_t element_bytes, Model& model) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % element_bytes == 0) return bytes.data();
  auto copy = std::make_shared<AlignedBytes>(model.budget.charge(bytes.size(), "an aligned copy"));
  std::ranges::copy(bytes, copy->data());
  model.owners.push_back(copy);
  return copy->data();
}

const void* decode(const Declared& declared, std::string_view name, const Json& row, const StoredTensor& stored,
                   Model& model) {
  const Json encoding = row.at("encoding");
  if (encoding.string() == "raw") {
    if (stored.dtype != declared.type->stored || stored.dims != declared.dims)
      fail(ErrorCode::model_file, "constant '", name, "' is declared as ", declared.type->name, " ",
           declared.dims.text(), " but stored as ", stored.dtype, " ", stored.dims.text());
    return place_raw(stored.bytes, dtype_bytes(declared.type->dtype), model);
  }
  if (encoding.string() != "nibbles" && encoding.string() != "rans") encoding.fail_type("'raw', 'nibbles' or 'rans'");
  if (dtype_bytes(declared.type->dtype) != 1 || stored.dtype != "U8")
    fail(ErrorCode::model_file, "constant '", name, "': encoding '", encoding.string(), "' needs elements of one byte");
  if (encoding.string() == "nibbles") {
    if (stored.bytes.size() != (declared.bytes + 1) / 2)
      fail(ErrorCode::model_file, "constant '", name, "' has ", stored.bytes.size(), " bytes for ", declared.bytes,
           " nibbles");
    const auto buffer = std::make_shared<AlignedBytes>(model.budget.charge(declared.bytes, "its elements"));
    for (size_t i = 0; i < declared.bytes; ++i)
      buffer->data()[i] = (i % 2 == 0 ? stored.bytes[i / 2] : stored.bytes[i / 2] >> 4) & std::byte{15};
    model.owners.push_back(buffer);
    return buffer->data();
  }
  const auto buffer = std::make_shared<AlignedBytes>(model.budget.charge(declared.bytes, "its elements"));
  try {
    rans_decode(stored.bytes, {buffer->data(), declared.bytes});
  } catch (const Error& error) {
    fail(ErrorCode::model_file, "constant '", name, "': ", error.what());
  }
  model.owners.push_back(buffer);
  return buffer->data();
}

WeightAffine read_weight_affine(const Json& affine, const Constant& constant, const Model& model) {
  WeightAffine result;
  const Json scale = affine.at("scale");
  const Constant* scales = model.find_constant(scale.name());
  if (scales == nullptr || scales->dtype != DType::f32 || scales->dims.rank > 1 || scales->dims.count() < 1)
    scale.fail_type("the name of a float32 constant of one axis");
  result.scales = scales->as<float>();
  for (const float value : result.scales)
    if (!is_valid_scale(value))
      fail(ErrorCode::model_file, affine.where(), " has scale ", value, "; it must be finite, normal and positive");
  const bool is_signed = constant.dtype == DType::i8;
  result.lo = static_cast<int32_t>(affine.at("lo").integer(-128, 0));
  result.hi = static_cast<int32_t>(affine.at("hi").integer(0, 127));
  result.zero_point = static_cast<int32_t>(affine.at("zero_point").integer(result.lo, result.hi));
  const Json axis = affine.optional("axis");
  if (!axis.is_null()) result.axis = static_cast<int>(axis.integer(0, kMaxRank - 1));
  if (result.axis && *result.axis >= constant.dims.rank)
    fail(ErrorCode::model_file, affine.where(), " has axis ", *result.axis, " but the shape is ", constant.dims.text());
  // Indices of a table have the levels of the table's entries; the node that reads them checks the indices.
  if (is_signed)
    for (const int8_t q : constant.as<int8_t>())
      if (q < result.lo || q > result.hi)
        fail(ErrorCode::model_file, "constant '", constant.name, "' holds ", int{q}, " outside its levels ", result.lo,
             "..", result.hi);
  if (!is_signed && result.lo == 0)
    for (const uint8_t q : constant.as<uint8_t>())
      if (q > result.hi)
        fail(ErrorCode::model_file, "constant '", constant.name, "' holds ", int{q}, " outside its levels 0..",
             result.hi);
  return result;
}

void read_affine(const Json& row, std::span<const float> scales, Constant& constant, const Model& model) {
  const Json affine = row.optional("affine");
  if (constant.dtype == DType::levels) {
    constant.affine = read_activation_affine(row.at("affine"), scales);
    const int32_t top = constant.affine.hi - constant.affine.lo;
    for (const uint8_t u : constant.as<uint8_t>())
      if (u > top)
        fail(ErrorCode::model_file, "constant '", constant.name, "' holds u = ", int{u}, " but its levels end at ",
             top);
  } else if (!affine.is_null()) {
    if (constant.dtype != DType::i8 && constant.dtype != DType::u8)
      fail(ErrorCode::model_file, affine.where(), " stands at a constant of ", dtype_name(constant.dtype),
           "; only int8 and uint8 weights and levels have one");
    constant.weight_affine = read_weight_affine(affine, constant, model);
  }
}

}  // namespace

void read_constants(const Json& constants, const Container& container, Model& model) {
  const boost::json::object& rows = constants.object();
  if (rows.size() > kMaxTensors)
    fail(ErrorCode::model_file, "the file has ", rows.size(), " constants; the limit is ", kMaxTensors);
  // All sizes are known and allowed before memory is taken for the first.
  uint64_t total = 0;
  for (const auto& [key, value] : rows) {
    total += read_declared(checked_name(key, "the constants"), Json(value, "constant", key)).bytes;
    if (total > kMaxDecodedBytes)
      fail(ErrorCode::model_file, "the constants take more than the limit of ", kMaxDecodedBytes, " bytes");
    if (!model.budget.fits(total)) model.budget.charge(total, "decoded constants");
    if (!container.tensors.contains(std::string(key)))
      fail(ErrorCode::model_file, "constant '", std::string_view(key), "' is missing from the file");
  }
  for (const auto& [name, stored] : container.tensors)
    if (!rows.contains(name)) fail(ErrorCode::model_file, "tensor '", name, "' is not listed among the constants");

  model.constants.reserve(rows.size());
  for (const auto& [key, value] : rows) {
    const std::string name(key);
    const Json row(value, "constant", key);
    const Declared declared = read_declared(name, row);
    const StoredTensor& stored = container.tensors.at(name);
    check_crc(name, row, stored.bytes);
    model.budget.set_place("constant '" + name + "'");
    Constant constant;
    constant.name = name;
    constant.dtype = declared.type->dtype;
    constant.dims = declared.dims;
    constant.bytes = declared.bytes;
    constant.data = decode(declared, name, row, stored, model);
    if (constant.dtype == DType::b8 && std::ranges::any_of(constant.as<uint8_t>(), [](uint8_t b) { return b > 1; }))
      fail(ErrorCode::model_file, "constant '", name, "' is bool and holds bytes other than 0 and 1");
    model.constants.emplace(name, std::move(constant));
  }
  const Constant* scales = model.find_constant("__scales");
  if (scales == nullptr || scales->dtype != DType::f32)
    fail(ErrorCode::model_file, "the float32 tensor '__scales' is missing");
  for (const auto& [key, value] : rows)
    read_affine(Json(value, "constant", key), scales->as<float>(), model.constants.at(std::string(key)), model);
}

}  // namespace fewbins
