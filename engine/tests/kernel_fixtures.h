// SPDX-License-Identifier: Apache-2.0
// What the tests of the kernels share: a seeded source of numbers and the rule that no runnable kernel goes untested.
#pragma once

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "kernels/kernels.h"

namespace fewbins::testing {

/// Numbers that are the same in every run; FEWBINS_SEED gives others.
class Random {
 public:
  Random() : engine_(seed()) { BOOST_TEST_MESSAGE("seed " << seed()); }
  int integer(int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(engine_); }
  float real(float lo, float hi) { return std::uniform_real_distribution<float>(lo, hi)(engine_); }
  std::int32_t word() { return static_cast<std::int32_t>(engine_()); }

 private:
  static unsigned seed() {
    const char* text = std::getenv("FEWBINS_SEED");
    return text == nullptr ? 1u : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
  }
  std::mt19937 engine_;
};

/// Remembers which kernels a test ran; expect_all() fails for those that this machine can run and that did not run.
class Coverage {
 public:
  void ran(const char* name) { names_.insert(name); }
  void expect_all(Family family) const {
    for (const KernelRow& row : kernel_rows()) {
      if (row.family != family) continue;
      if (!runs_here(row.isa)) {
        BOOST_TEST_MESSAGE("not run, this CPU lacks " << isa_name(row.isa) << ": " << row.name);
        continue;
      }
      BOOST_CHECK_MESSAGE(names_.count(row.name) != 0, row.name << " could run on this machine and did not");
    }
  }

 private:
  std::set<std::string> names_;
};

/// Rows of activations as indirect convolution has them: rows[t * mr + i], each on an odd address, the last row of the
/// tile repeated when fewer than mr matter. Bytes behind the channels are garbage, as in a real image.
template <class T>
class TileRows {
 public:
  TileRows(std::size_t mr, std::size_t m, std::size_t taps, std::size_t channels)
      : m_(m), stride_(channels + 7), memory_(taps * m * stride_ + 1), pointers_(taps * mr) {
    for (std::size_t t = 0; t < taps; ++t) {
      for (std::size_t i = 0; i < mr; ++i) pointers_[t * mr + i] = row(t, i < m ? i : m - 1);
    }
  }
  template <class Next>
  void fill(Next next) {
    for (T& x : memory_) x = next();
  }
  T* row(std::size_t tap, std::size_t i) { return memory_.data() + 1 + (tap * m_ + i) * stride_; }
  [[nodiscard]] const void* const* pointers() const { return pointers_.data(); }

 private:
  std::size_t m_;
  std::size_t stride_;
  std::vector<T> memory_;
  std::vector<const void*> pointers_;
};

}  // namespace fewbins::testing
