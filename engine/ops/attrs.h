// SPDX-License-Identifier: Apache-2.0
// Checked access to a node's attributes and params. Everything that does not fit throws Error(model_file) with the
// node's name, the key, the value and what was expected. make_op has seen to it that there are no other keys.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/op.h"

namespace fewbins {

// "node 'conv1' (Conv): " and the parts, as Error(model_file).
template <class... Parts>
[[noreturn]] void fail_node(const NodeDef& node, Parts&&... parts) {
  fail(ErrorCode::model_file, "node '", node.name, "' (", node.op, "): ", std::forward<Parts>(parts)...);
}

// The same as Error(shape): for infer(), where the sizes that a caller gave do not fit.
template <class... Parts>
[[noreturn]] void fail_shape(const NodeDef& node, Parts&&... parts) {
  fail(ErrorCode::shape, "node '", node.name, "' (", node.op, "): ", std::forward<Parts>(parts)...);
}

// What `work` gives; a size of it that does not fit 64 bits is told with the node's name.
template <class Work>
auto with_node_name(const NodeDef& node, Work&& work) {
  try {
    return work();
  } catch (const SizeError& error) {
    fail_shape(node, error.what());
  }
}

// Section 4 of docs/numerics.md: how acc becomes the next tensor.
struct Requantize {
  enum class Kind : uint8_t { float_, fixed, shift, dequantize };
  Kind kind = Kind::float_;
  int32_t lo = 0;  // lo', hi': narrowed signed levels q of the output; unused for dequantize
  int32_t hi = 0;
  bool negate_residual = false;
};

// y = clip(y, lo, hi) of float nodes; absent ends are infinities.
struct Clamp {
  float lo = -std::numeric_limits<float>::infinity();
  float hi = std::numeric_limits<float>::infinity();
};

class Attrs {
 public:
  // `node` outlives the reader.
  explicit Attrs(const NodeDef& node) : node_(node) {}

  [[nodiscard]] bool has(std::string_view key) const;  // there, and not null
  [[nodiscard]] int64_t integer(std::string_view key, int64_t lo, int64_t hi) const;
  // Every entry in lo..hi; at most 64 entries.
  [[nodiscard]] std::vector<int64_t> integers(std::string_view key, int64_t lo, int64_t hi) const;
  // The same with exactly N entries.
  template <size_t N>
  [[nodiscard]] std::array<int64_t, N> integers(std::string_view key, int64_t lo, int64_t hi) const {
    const std::vector<int64_t> values = integers(key, lo, hi);
    check_length(key, values.size(), N);
    std::array<int64_t, N> result{};
    for (size_t i = 0; i < N; ++i) result[i] = values[i];
    return result;
  }
  // A finite number.
  [[nodiscard]] double number(std::string_view key) const;
  // std::nullopt for null or a missing key.
  [[nodiscard]] std::optional<double> optional_number(std::string_view key) const;
  [[nodiscard]] std::vector<double> numbers(std::string_view key) const;
  [[nodiscard]] bool boolean(std::string_view key) const;
  [[nodiscard]] std::string string(std::string_view key) const;
  // The index of the string in `allowed`.
  [[nodiscard]] size_t choice(std::string_view key, std::initializer_list<std::string_view> allowed) const;
  // "clamp": null, or a pair of numbers or nulls. std::nullopt for null or a missing key.
  [[nodiscard]] std::optional<Clamp> clamp() const;
  // "requantize": null (float arithmetic) or an object. lo <= hi, both in -128..127.
  [[nodiscard]] std::optional<Requantize> requantize() const;

 private:
  const boost::json::value& at(std::string_view key) const;
  void check_length(std::string_view key, size_t found, size_t expected) const;
  const NodeDef& node_;
};

class Params {
 public:
  Params(const NodeDef& node, const OpContext& context) : node_(node), context_(context) {}

  [[nodiscard]] bool has(std::string_view role) const;
  // The constant of a role, which must be of that dtype.
  [[nodiscard]] const Constant& required(std::string_view role, DType dtype) const;
  [[nodiscard]] const Constant* optional(std::string_view role, DType dtype) const;
  // The constant of a role whatever its dtype.
  [[nodiscard]] const Constant& required(std::string_view role) const;
  // Its elements spread to `count`: a constant of one element is repeated, one of `count` is copied, others are errors.
  template <class T>
  [[nodiscard]] std::vector<T> per_channel(std::string_view role, DType dtype, int64_t count) const {
    const std::span<const T> values = required(role, dtype).as<T>();
    const auto n = static_cast<size_t>(count);
    if (values.size() != 1 && values.size() != n) fail_length(role, values.size(), count);
    context_.budget.charge(Size(n) * sizeof(T), role);
    if (values.size() == 1) return std::vector<T>(n, values[0]);
    return {values.begin(), values.end()};
  }

 private:
  const Constant* find(std::string_view role) const;
  [[noreturn]] void fail_length(std::string_view role, size_t found, int64_t expected) const;
  const NodeDef& node_;
  const OpContext& context_;
};

}  // namespace fewbins
