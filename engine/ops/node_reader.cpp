// SPDX-License-Identifier: Apache-2.0
#include "ops/node_reader.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

namespace fewbins {

namespace json = boost::json;

namespace {

std::optional<double> as_number(const json::value& value) {
  if (value.is_double()) return value.get_double();
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  return std::nullopt;
}

std::string show(const json::value& value) {
  std::string text = json::serialize(value);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

}  // namespace

const json::value& Attrs::at(std::string_view key) const {
  const json::value* found = node_.attrs.if_contains(key);
  if (found == nullptr) fail_node(node_, "attribute '", key, "' is missing");
  return *found;
}

void Attrs::check_length(std::string_view key, size_t found, size_t expected) const {
  if (found != expected) fail_node(node_, "attribute '", key, "' has ", found, " entries, expected ", expected);
}

bool Attrs::has(std::string_view key) const {
  const json::value* found = node_.attrs.if_contains(key);
  return found != nullptr && !found->is_null();
}

int64_t Attrs::integer(std::string_view key, int64_t lo, int64_t hi) const {
  const json::value& value = at(key);
  if (!value.is_int64() || value.get_int64() < lo || value.get_int64() > hi)
    fail_node(node_, "attribute '", key, "' is ", show(value), ", expected an integer in ", lo, "..", hi);
  return value.get_int64();
}

std::vector<int64_t> Attrs::integers(std::string_view key, int64_t lo, int64_t hi) const {
  constexpr size_t kMost = 64;
  const json::value& value = at(key);
  bool fits = value.is_array() && value.get_array().size() <= kMost;
  std::vector<int64_t> result;
  if (fits) {
    for (const json::value& item : value.get_array()) {
      fits = fits && item.is_int64() && item.get_int64() >= lo && item.get_int64() <= hi;
      if (fits) result.push_back(item.get_int64());
    }
  }
  if (!fits)
    fail_node(node_, "attribute '", key, "' is ", show(value), ", expected a list of integers in ", lo, "..", hi);
  return result;
}

double Attrs::number(std::string_view key) const {
  const std::optional<double> value = as_number(at(key));
  if (!value || !std::isfinite(*value))
    fail_node(node_, "attribute '", key, "' is ", show(at(key)), ", expected a finite number");
  return *value;
}

std::optional<double> Attrs::optional_number(std::string_view key) const {
  if (!has(key)) return std::nullopt;
  return number(key);
}

std::vector<double> Attrs::numbers(std::string_view key) const {
  const json::value& value = at(key);
  bool fits = value.is_array() && value.get_array().size() <= 64;
  std::vector<double> result;
  if (fits) {
    for (const json::value& item : value.get_array()) {
      const std::optional<double> number = as_number(item);
      fits = fits && number && std::isfinite(*number);
      if (fits) result.push_back(*number);
    }
  }
  if (!fits) fail_node(node_, "attribute '", key, "' is ", show(value), ", expected a list of finite numbers");
  return result;
}

bool Attrs::boolean(std::string_view key) const {
  const json::value& value = at(key);
  if (!value.is_bool()) fail_node(node_, "attribute '", key, "' is ", show(value), ", expected true or false");
  return value.get_bool();
}

std::string Attrs::string(std::string_view key) const {
  const json::value& value = at(key);
  if (!value.is_string()) fail_node(node_, "attribute '", key, "' is ", show(value), ", expected a string");
  return std::string(value.get_string());
}

size_t Attrs::choice(std::string_view key, std::initializer_list<std::string_view> allowed) const {
  const std::string found = string(key);
  std::string list;
  size_t index = 0;
  for (const std::string_view one : allowed) {
    if (found == one) return index;
    list += (index++ == 0 ? "" : ", ") + std::string(one);
  }
  fail_node(node_, "attribute '", key, "' is '", found, "', expected one of: ", list);
}

std::optional<Clamp> Attrs::clamp() const {
  if (!has("clamp")) return std::nullopt;
  const json::value& value = at("clamp");
  Clamp clamp;
  bool fits = value.is_array() && value.get_array().size() == 2;
  const auto take = [&](const json::value& end, float& into) {
    if (end.is_null()) return;
    const std::optional<double> number = as_number(end);
    fits = fits && number && std::isfinite(*number);
    if (fits) into = static_cast<float>(*number);
  };
  if (fits) {
    take(value.get_array()[0], clamp.lo);
    take(value.get_array()[1], clamp.hi);
  }
  if (!fits || clamp.lo > clamp.hi)
    fail_node(node_, "attribute 'clamp' is ", show(value), ", expected two ascending numbers or nulls");
  return clamp;
}

std::optional<Requantize> Attrs::requantize() const {
  if (!has("requantize")) return std::nullopt;
  const json::value& value = at("requantize");
  if (!value.is_object()) fail_node(node_, "attribute 'requantize' is ", show(value), ", expected an object");
  NodeDef inner;
  inner.op = node_.op;
  inner.name = node_.name;
  inner.attrs = value.get_object();
  const Attrs attrs(inner);
  Requantize result;
  result.kind = static_cast<Requantize::Kind>(attrs.choice("kind", {"float", "fixed", "shift", "dequantize"}));
  result.lo = static_cast<int32_t>(attrs.integer("lo", -128, 127));
  result.hi = static_cast<int32_t>(attrs.integer("hi", -128, 127));
  result.negate_residual = attrs.boolean("negate_residual");
  if (result.lo > result.hi) fail_node(node_, "requantize levels ", result.lo, "..", result.hi, " are not ascending");
  return result;
}

const Constant* Params::find(std::string_view role) const {
  const auto it = node_.params.find(std::string(role));
  if (it == node_.params.end()) return nullptr;
  const Constant* found = context_.model.find_constant(it->second);
  if (found == nullptr) fail_node(node_, role, " '", it->second, "' is not a constant of the file");
  return found;
}

void Params::fail_length(std::string_view role, size_t found, int64_t expected) const {
  fail_node(node_, role, " has ", found, " elements, expected ", expected, " (or 1 for all)");
}

bool Params::has(std::string_view role) const { return find(role) != nullptr; }

const Constant& Params::required(std::string_view role) const {
  const Constant* found = find(role);
  if (found == nullptr) fail_node(node_, "its ", role, " is missing");
  return *found;
}

const Constant& Params::required(std::string_view role, DType dtype) const {
  const Constant& found = required(role);
  if (found.dtype != dtype)
    fail_node(node_, role, " '", found.name, "' is ", dtype_name(found.dtype), ", expected ", dtype_name(dtype));
  return found;
}

const Constant* Params::optional(std::string_view role, DType dtype) const {
  return has(role) ? &required(role, dtype) : nullptr;
}

}  // namespace fewbins
