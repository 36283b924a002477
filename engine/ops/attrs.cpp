// SPDX-License-Identifier: Apache-2.0
#include "ops/attrs.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

namespace fewbins {
namespace {

// The value as JSON, cut to a length that fits in a line.
std::string show(const boost::json::value& value) {
  std::string text = boost::json::serialize(value);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

std::optional<int64_t> as_integer(const boost::json::value& value) {
  if (value.is_int64()) return value.get_int64();
  return std::nullopt;  // uint64 is used by the parser only above 2^63 - 1
}

std::optional<double> as_number(const boost::json::value& value) {
  if (value.is_double()) return value.get_double();
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  return std::nullopt;
}

int64_t checked_integer(const NodeDef& node, std::string_view key, const boost::json::value& value, int64_t lo,
                        int64_t hi) {
  const std::optional<int64_t> number = as_integer(value);
  if (!number || *number < lo || *number > hi)
    fail_node(node, key, " is ", show(value), "; it must be an integer in ", lo, "..", hi);
  return *number;
}

double checked_number(const NodeDef& node, std::string_view key, const boost::json::value& value) {
  const std::optional<double> number = as_number(value);
  if (!number || !std::isfinite(*number)) fail_node(node, key, " is ", show(value), "; it must be a finite number");
  return *number;
}

const boost::json::array& checked_array(const NodeDef& node, std::string_view key, const boost::json::value& value) {
  if (!value.is_array() || value.get_array().size() > kMaxAttributeEntries)
    fail_node(node, key, " is ", show(value), "; it must be a list of at most ", kMaxAttributeEntries, " entries");
  return value.get_array();
}

}  // namespace

const boost::json::value& Attrs::at(std::string_view key) const {
  const boost::json::value* value = node_.attrs.if_contains(key);
  if (value == nullptr) fail_node(node_, "attribute '", key, "' is missing");
  return *value;
}

void Attrs::check_length(std::string_view key, size_t found, size_t expected) const {
  if (found != expected) fail_node(node_, key, " has ", found, " entries; it must have ", expected);
}

bool Attrs::has(std::string_view key) const {
  const boost::json::value* value = node_.attrs.if_contains(key);
  return value != nullptr && !value->is_null();
}

int64_t Attrs::integer(std::string_view key, int64_t lo, int64_t hi) const {
  return checked_integer(node_, key, at(key), lo, hi);
}

std::vector<int64_t> Attrs::integers(std::string_view key, int64_t lo, int64_t hi) const {
  std::vector<int64_t> values;
  for (const boost::json::value& value : checked_array(node_, key, at(key)))
    values.push_back(checked_integer(node_, key, value, lo, hi));
  return values;
}

double Attrs::number(std::string_view key) const { return checked_number(node_, key, at(key)); }

std::optional<double> Attrs::optional_number(std::string_view key) const {
  if (!has(key)) return std::nullopt;
  return number(key);
}

std::vector<double> Attrs::numbers(std::string_view key) const {
  std::vector<double> values;
  for (const boost::json::value& value : checked_array(node_, key, at(key)))
    values.push_back(checked_number(node_, key, value));
  return values;
}

bool Attrs::boolean(std::string_view key) const {
  const boost::json::value& value = at(key);
  if (!value.is_bool()) fail_node(node_, key, " is ", show(value), "; it must be true or false");
  return value.get_bool();
}

std::string Attrs::string(std::string_view key) const {
  const boost::json::value& value = at(key);
  if (!value.is_string()) fail_node(node_, key, " is ", show(value), "; it must be a string");
  return std::string(value.get_string());
}

size_t Attrs::choice(std::string_view key, std::initializer_list<std::string_view> allowed) const {
  const std::string text = string(key);
  const auto* found = std::ranges::find(allowed, text);
  if (found != allowed.end()) return static_cast<size_t>(found - allowed.begin());
  std::string list;
  for (const std::string_view one : allowed) list += (list.empty() ? "" : ", ") + std::string(one);
  fail_node(node_, key, " '", text, "' is unknown (expected one of: ", list, ")");
}

std::optional<Clamp> Attrs::clamp() const {
  if (!has("clamp")) return std::nullopt;
  const boost::json::array& pair = checked_array(node_, "clamp", at("clamp"));
  check_length("clamp", pair.size(), 2);
  Clamp clamp;
  if (!pair[0].is_null()) clamp.lo = static_cast<float>(checked_number(node_, "clamp", pair[0]));
  if (!pair[1].is_null()) clamp.hi = static_cast<float>(checked_number(node_, "clamp", pair[1]));
  if (clamp.lo > clamp.hi) fail_node(node_, "clamp is ", show(at("clamp")), "; it must ascend");
  return clamp;
}

std::optional<Requantize> Attrs::requantize() const {
  if (!has("requantize")) return std::nullopt;
  const boost::json::value& value = at("requantize");
  if (!value.is_object()) fail_node(node_, "requantize is ", show(value), "; it must be an object or null");
  NodeDef inner{.op = node_.op, .name = node_.name, .inputs = {}, .outputs = {}, .params = {}, .attrs = {}};
  inner.attrs = value.get_object();
  if (inner.attrs.size() > 4) fail_node(node_, "requantize is ", show(value), "; it has a key that is unknown");
  const Attrs attrs(inner);
  Requantize result;
  result.kind = static_cast<Requantize::Kind>(attrs.choice("kind", {"float", "fixed", "shift", "dequantize"}));
  result.lo = static_cast<int32_t>(attrs.integer("lo", -128, 127));
  result.hi = static_cast<int32_t>(attrs.integer("hi", result.lo, 127));
  result.negate_residual = attrs.boolean("negate_residual");
  if (result.negate_residual && result.kind != Requantize::Kind::shift)
    fail_node(node_, "negate_residual is true; only kind 'shift' can negate the residual");
  return result;
}

const Constant* Params::find(std::string_view role) const {
  const auto it = node_.params.find(std::string(role));
  if (it == node_.params.end()) return nullptr;
  const Constant* constant = context_.model.find_constant(it->second);
  if (constant == nullptr) fail_node(node_, "its ", role, " '", it->second, "' is not a constant of the file");
  return constant;
}

bool Params::has(std::string_view role) const { return find(role) != nullptr; }

const Constant& Params::required(std::string_view role) const {
  const Constant* constant = find(role);
  if (constant == nullptr) fail_node(node_, "param '", role, "' is missing");
  return *constant;
}

const Constant& Params::required(std::string_view role, DType dtype) const {
  const Constant& constant = required(role);
  if (constant.dtype != dtype)
    fail_node(node_, "its ", role, " '", constant.name, "' is ", dtype_name(constant.dtype), "; it must be ",
              dtype_name(dtype));
  return constant;
}

const Constant* Params::optional(std::string_view role, DType dtype) const {
  return has(role) ? &required(role, dtype) : nullptr;
}

void Params::fail_length(std::string_view role, size_t found, int64_t expected) const {
  fail_node(node_, "its ", role, " has ", found, " elements; it must have 1 or ", expected);
}

}  // namespace fewbins
