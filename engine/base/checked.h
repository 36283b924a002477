// SPDX-License-Identifier: Apache-2.0
// The one type that sizes of untrusted files are computed in: a 64-bit integer whose sums and products never wrap.
//
// Dims, Window and Extent hold their numbers as Size, so arithmetic with them is checked without further ado. A plain
// number enters without a cast and joins in: `int64_t * Size` is a checked Size. A Size leaves as int64_t, also without
// a cast, for loops over memory that has been laid out; two numbers that have left must not be multiplied to make a
// size of memory or a bound. Memory sizes leave through memory_size(), bounds through at_most().
#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace fewbins {

// Arithmetic of sizes that left 64 bits. The plan adds the node's name.
class SizeError final : public Error {
 public:
  explicit SizeError(const std::string& message) : Error(ErrorCode::shape, message) {}
};

class Size {
 public:
  constexpr Size() = default;
  template <std::integral T>
  constexpr Size(T value) : value_(static_cast<int64_t>(value)) {  // NOLINT: implicit, so that plain numbers join in
    if (!std::in_range<int64_t>(value)) fail_overflow(INT64_MAX, "+", 1);
  }

  constexpr operator int64_t() const { return value_; }  // NOLINT: implicit, see above

  // The number, if it is 0..most; else an Error(shape): "WHAT is N, over the limit of MOST".
  [[nodiscard]] constexpr int64_t at_most(int64_t most, std::string_view what) const {
    if (value_ < 0 || value_ > most) fail_limit(value_, most, what);
    return value_;
  }

  friend constexpr Size operator+(Size a, Size b) {
    int64_t sum = 0;
    if (__builtin_add_overflow(a.value_, b.value_, &sum)) fail_overflow(a.value_, "+", b.value_);
    return sum;
  }
  friend constexpr Size operator-(Size a, Size b) {
    int64_t difference = 0;
    if (__builtin_sub_overflow(a.value_, b.value_, &difference)) fail_overflow(a.value_, "-", b.value_);
    return difference;
  }
  friend constexpr Size operator*(Size a, Size b) {
    int64_t product = 0;
    if (__builtin_mul_overflow(a.value_, b.value_, &product)) fail_overflow(a.value_, "*", b.value_);
    return product;
  }
  // Towards zero, as C++ divides.
  friend constexpr Size operator/(Size a, Size b) {
    check_divisor(a, b, "/");
    return a.value_ / b.value_;
  }
  friend constexpr Size operator%(Size a, Size b) {
    check_divisor(a, b, "%");
    return a.value_ % b.value_;
  }
  constexpr Size operator-() const { return Size(0) - *this; }

  constexpr Size& operator+=(Size other) { return *this = *this + other; }
  constexpr Size& operator-=(Size other) { return *this = *this - other; }
  constexpr Size& operator*=(Size other) { return *this = *this * other; }
  constexpr Size& operator/=(Size other) { return *this = *this / other; }
  constexpr Size& operator++() { return *this += Size(1); }
  constexpr Size& operator--() { return *this -= Size(1); }

  // Exact matches for plain numbers on either side: without them the built-in operators, which wrap, would do as well.
  template <std::integral T>
  friend constexpr Size operator+(Size a, T b) {
    return a + Size(b);
  }
  template <std::integral T>
  friend constexpr Size operator+(T a, Size b) {
    return Size(a) + b;
  }
  template <std::integral T>
  friend constexpr Size operator-(Size a, T b) {
    return a - Size(b);
  }
  template <std::integral T>
  friend constexpr Size operator-(T a, Size b) {
    return Size(a) - b;
  }
  template <std::integral T>
  friend constexpr Size operator*(Size a, T b) {
    return a * Size(b);
  }
  template <std::integral T>
  friend constexpr Size operator*(T a, Size b) {
    return Size(a) * b;
  }
  template <std::integral T>
  friend constexpr Size operator/(Size a, T b) {
    return a / Size(b);
  }
  template <std::integral T>
  friend constexpr Size operator/(T a, Size b) {
    return Size(a) / b;
  }
  template <std::integral T>
  friend constexpr Size operator%(Size a, T b) {
    return a % Size(b);
  }
  template <std::integral T>
  friend constexpr Size operator%(T a, Size b) {
    return Size(a) % b;
  }

  // A plain number does not take in a Size: it would wrap.
  template <std::integral T>
  friend void operator+=(T& a, Size b) = delete;
  template <std::integral T>
  friend void operator-=(T& a, Size b) = delete;
  template <std::integral T>
  friend void operator*=(T& a, Size b) = delete;

  friend constexpr bool operator==(Size a, Size b) = default;
  friend constexpr std::strong_ordering operator<=>(Size a, Size b) = default;
  template <std::integral T>
  friend constexpr bool operator==(Size a, T b) {
    return std::cmp_equal(a.value_, b);
  }
  template <std::integral T>
  friend constexpr std::strong_ordering operator<=>(Size a, T b) {
    if (std::cmp_equal(a.value_, b)) return std::strong_ordering::equal;
    return std::cmp_less(a.value_, b) ? std::strong_ordering::less : std::strong_ordering::greater;
  }

 private:
  [[noreturn]] static void fail_overflow(int64_t a, const char* sign, int64_t b);
  [[noreturn]] static void fail_limit(int64_t value, int64_t most, std::string_view what);
  static constexpr void check_divisor(Size a, Size b, const char* sign) {
    if (b.value_ == 0 || (a.value_ == INT64_MIN && b.value_ == -1)) fail_overflow(a.value_, sign, b.value_);
  }

  int64_t value_ = 0;
};

// a / b rounded up, for a >= 0 and b > 0.
constexpr Size ceil_div(Size a, Size b) { return a / b + (a % b > 0 ? 1 : 0); }

// The next multiple of `to`, for x >= 0 and to > 0.
constexpr Size round_up(Size x, Size to) { return ceil_div(x, to) * to; }

// So many bytes as a size of memory. Throws std::bad_alloc where no address space holds it, which 32-bit CPUs meet
// within the limits of a model file.
constexpr size_t memory_size(Size bytes) {
  constexpr size_t kMost = std::numeric_limits<size_t>::max() / 2;
  if (bytes < 0 || bytes > kMost) throw std::bad_alloc();
  return static_cast<size_t>(int64_t{bytes});
}

}  // namespace fewbins
