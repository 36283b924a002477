// SPDX-License-Identifier: Apache-2.0
#include "file/json.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "base/error.h"
#include "file/limits.h"

namespace fewbins {

boost::json::value parse_json(std::string_view text, std::string_view what) {
  boost::json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  options.numbers = boost::json::number_precision::precise;
  boost::system::error_code problem;
  boost::json::value value = boost::json::parse(text, problem, {}, options);
  if (problem) fail(ErrorCode::model_file, what, " is not JSON as the format wants it: ", problem.message());
  return value;
}

std::string_view checked_name(std::string_view text, std::string_view where) {
  if (text.empty() || text.size() > kMaxNameBytes)
    fail(ErrorCode::model_file, where, ": a name has ", text.size(), " bytes; it must have 1..", kMaxNameBytes);
  return text;
}

std::string Json::where() const {
  std::string text(kind_);
  if (!name_.empty()) text += " '" + std::string(name_) + "'";
  if (!key_.empty()) text += std::string(text.empty() ? "" : ": ") + std::string(key_);
  return text;
}

void Json::fail_type(std::string_view expected) const {
  std::string shown = boost::json::serialize(*value_);
  if (shown.size() > 80) shown = shown.substr(0, 77) + "...";
  fail(ErrorCode::model_file, where(), " is ", shown, "; it must be ", expected);
}

const boost::json::object& Json::object() const {
  if (!value_->is_object()) fail_type("an object");
  return value_->get_object();
}

const boost::json::array& Json::array(size_t max_entries) const {
  if (!value_->is_array()) fail_type("a list");
  const boost::json::array& entries = value_->get_array();
  if (entries.size() > max_entries)
    fail(ErrorCode::model_file, where(), " has ", entries.size(), " entries; the limit is ", max_entries);
  return entries;
}

int64_t Json::integer(int64_t lo, int64_t hi) const {
  if (!value_->is_int64() || value_->get_int64() < lo || value_->get_int64() > hi)
    fail_type("an integer in " + std::to_string(lo) + ".." + std::to_string(hi));
  return value_->get_int64();
}

float Json::finite_float() const {
  double number = 0.0;
  if (value_->is_double())
    number = value_->get_double();
  else if (value_->is_int64())
    number = static_cast<double>(value_->get_int64());
  else
    fail_type("a number");
  const auto rounded = static_cast<float>(number);
  if (!std::isfinite(rounded)) fail_type("a finite float32 number");
  return rounded;
}

std::string_view Json::string() const {
  if (!value_->is_string()) fail_type("a string");
  return {value_->get_string().data(), value_->get_string().size()};
}

std::string_view Json::name() const { return checked_name(string(), where()); }

Json Json::at(std::string_view key) const {
  const boost::json::value* value = object().if_contains(key);
  if (value == nullptr) fail(ErrorCode::model_file, where(), where().empty() ? "" : ": ", "'", key, "' is missing");
  return {*value, kind_, name_, key};
}

Json Json::optional(std::string_view key) const {
  static const boost::json::value null;
  const boost::json::value* value = object().if_contains(key);
  return {value == nullptr ? null : *value, kind_, name_, key};
}

}  // namespace fewbins
