// SPDX-License-Identifier: Apache-2.0
// Checked access to parsed JSON. Every failure is an Error(model_file) that says where the value stands.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace fewbins {

// Parses with the depth limit and with numbers rounded correctly. `what` names the text in the message.
boost::json::value parse_json(std::string_view text, std::string_view what);

// `text` itself; 1..kMaxNameBytes bytes, or an error.
std::string_view checked_name(std::string_view text, std::string_view where);

// A value and the place where it stands: "tensor 'x': shape". The views outlive it.
class Json {
 public:
  Json(const boost::json::value& value, std::string_view kind, std::string_view name = {}, std::string_view key = {})
      : value_(&value), kind_(kind), name_(name), key_(key) {}

  // Throws Error(model_file): the place, the value, and what was expected.
  [[noreturn]] void fail_type(std::string_view expected) const;
  // "tensor 'x': shape"
  [[nodiscard]] std::string where() const;

  [[nodiscard]] const boost::json::object& object() const;
  [[nodiscard]] const boost::json::array& array(size_t max_entries) const;
  [[nodiscard]] int64_t integer(int64_t lo, int64_t hi) const;
  [[nodiscard]] float finite_float() const;
  [[nodiscard]] std::string_view string() const;
  // Not empty and at most kMaxNameBytes.
  [[nodiscard]] std::string_view name() const;
  [[nodiscard]] bool is_null() const { return value_->is_null(); }
  [[nodiscard]] bool is_string() const { return value_->is_string(); }

  // A key of an object; missing keys are errors, or null for `optional`. The place keeps kind and name.
  [[nodiscard]] Json at(std::string_view key) const;
  [[nodiscard]] Json optional(std::string_view key) const;
  // An entry of this array, with the same place.
  [[nodiscard]] Json entry(const boost::json::value& value) const { return {value, kind_, name_, key_}; }

 private:
  const boost::json::value* value_;
  std::string_view kind_;
  std::string_view name_;
  std::string_view key_;
};

}  // namespace fewbins
