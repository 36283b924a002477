// SPDX-License-Identifier: Apache-2.0
#include <boost/test/unit_test.hpp>
#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>

#include "base/checked.h"
#include "base/scratch.h"

using namespace fewbins;

namespace {

constexpr int64_t kMost = INT64_MAX;
constexpr int64_t kLeast = INT64_MIN;

// A plain number on either side makes a Size, whatever its type: no product falls back to arithmetic that wraps.
template <class T>
constexpr bool joins_in() {
  return std::same_as<decltype(Size() * T()), Size> && std::same_as<decltype(T() * Size()), Size> &&
         std::same_as<decltype(Size() + T()), Size> && std::same_as<decltype(T() + Size()), Size> &&
         std::same_as<decltype(Size() - T()), Size> && std::same_as<decltype(T() - Size()), Size> &&
         std::same_as<decltype(Size() / T()), Size> && std::same_as<decltype(T() / Size()), Size> &&
         std::same_as<decltype(Size() % T()), Size> && std::same_as<decltype(T() % Size()), Size>;
}
static_assert(joins_in<int>() && joins_in<int64_t>() && joins_in<size_t>() && joins_in<uint32_t>());
static_assert(joins_in<uint8_t>() && joins_in<Size>());
static_assert(sizeof(Size) == sizeof(int64_t) && std::is_trivially_copyable_v<Size>);

static_assert(Size(6) * 7 == 42 && 6 * Size(7) == 42 && Size(6) + 7U == 13 && 6 - Size(7) == -1);
static_assert(Size(-7) / 2 == -3 && Size(-7) % 2 == -1);
static_assert(ceil_div(7, 2) == 4 && ceil_div(8, 2) == 4 && ceil_div(0, 2) == 0 && ceil_div(kMost, kMost) == 1);
static_assert(round_up(65, 64) == 128 && round_up(64, 64) == 64 && round_up(0, 64) == 0);
static_assert(Size(-1) < 0U && Size(1) > 0 && Size(2) >= Size(2) && 3 > Size(2) && Size(5) == uint64_t{5});

}  // namespace

BOOST_AUTO_TEST_SUITE(checked)

BOOST_AUTO_TEST_CASE(sizes_at_the_ends_of_64_bits_are_exact) {
  BOOST_TEST((Size(kMost - 1) + 1 == kMost));
  BOOST_TEST((Size(kLeast + 1) - 1 == kLeast));
  BOOST_TEST((Size(int64_t{1} << 31) * ((int64_t{1} << 32) - 1) == kMost - (int64_t{1} << 31) + 1));
  BOOST_TEST((Size(kMost) * 0 == 0));
}

BOOST_AUTO_TEST_CASE(a_size_past_64_bits_is_an_error_that_shows_both_numbers) {
  const auto refused = [](const char* numbers, auto work) {
    BOOST_CHECK_EXCEPTION(static_cast<void>(work()), SizeError, [&](const SizeError& error) {
      return error.code() == ErrorCode::shape && error.what() == "a size does not fit 64 bits: " + std::string(numbers);
    });
  };
  refused("9223372036854775807 + 1", [] { return Size(kMost) + 1; });
  refused("-9223372036854775808 - 1", [] { return Size(kLeast) - 1; });
  refused("4294967296 * 2147483648", [] { return Size(int64_t{1} << 32) * (int64_t{1} << 31); });
  refused("-2 * 9223372036854775807", [] { return -2 * Size(kMost); });
  refused("1 / 0", [] { return Size(1) / 0; });
  refused("1 % 0", [] { return 1 % Size(0); });
  refused("-9223372036854775808 / -1", [] { return Size(kLeast) / -1; });
  refused("0 - -9223372036854775808", [] { return -Size(kLeast); });
  refused("9223372036854775807 + 1", [] { return Size(uint64_t{1} << 63); });
  refused("9223372036854775807 + 1", [] {
    Size size = kMost;
    return ++size;
  });
  refused("144115188075855872 * 64", [] { return round_up(kMost - 62, 64); });
}

BOOST_AUTO_TEST_CASE(a_bound_is_stated_with_what_it_is_about) {
  BOOST_TEST(Size(7).at_most(7, "its width") == 7);
  BOOST_TEST(Size(0).at_most(7, "its width") == 0);
  for (const int64_t wrong : {int64_t{8}, int64_t{-1}, kMost})
    BOOST_CHECK_EXCEPTION(static_cast<void>(Size(wrong).at_most(7, "its width")), SizeError, [&](const Error& error) {
      return error.what() == "its width is " + std::to_string(wrong) + ", over the limit of 7";
    });
}

BOOST_AUTO_TEST_CASE(memory_that_no_address_space_holds_is_out_of_memory) {
  constexpr size_t kHalf = SIZE_MAX / 2;
  BOOST_TEST(memory_size(Size(kHalf)) == kHalf);
  BOOST_CHECK_THROW(static_cast<void>(memory_size(-1)), std::bad_alloc);
  if constexpr (sizeof(size_t) < sizeof(int64_t))
    BOOST_CHECK_THROW(static_cast<void>(memory_size(Size(kHalf) + 1)), std::bad_alloc);
}

BOOST_AUTO_TEST_CASE(scratch_pieces_lie_on_cache_lines_one_after_the_other) {
  ScratchLayout layout;
  BOOST_TEST(layout.total() == 0U);
  BOOST_TEST(layout.add<float>(3) == 0U);
  BOOST_TEST(layout.add<void*>(8) == 64U);
  const size_t third = 64 + (8 * sizeof(void*) + 63) / 64 * 64;
  BOOST_TEST(layout.add_operand(64) == third);
  BOOST_TEST(layout.add(0, 8) == third + 128);
  BOOST_TEST(layout.total() == third + 128);
}

BOOST_AUTO_TEST_CASE(scratch_that_does_not_fit_is_refused_before_it_is_taken) {
  ScratchLayout layout;
  BOOST_CHECK_THROW(layout.add<double>(kMost / 4), SizeError);
  layout.add(1, 1);
  BOOST_CHECK_THROW(layout.add(kMost - 10, 1), SizeError);
  if constexpr (sizeof(size_t) < sizeof(int64_t)) {
    layout.add(int64_t{1} << 31, 1);
    BOOST_CHECK_THROW(static_cast<void>(layout.total()), std::bad_alloc);
  }
}

BOOST_AUTO_TEST_SUITE_END()
