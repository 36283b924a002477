// SPDX-License-Identifier: Apache-2.0
// What the fuzzers share. Each test makes a fixed number of rounds from a fixed seed. FEWBINS_FUZZ_SECONDS makes each
// go on for so long instead, FEWBINS_FUZZ_SEED draws others:
//   FEWBINS_FUZZ_SECONDS=60 build/sanitize/engine/fewbins_tests --run_test=fuzz
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model_bytes.h"
#include "plan/session.h"

namespace fewbins {

using Random = std::mt19937;

template <class T>
T pick(Random& random, std::initializer_list<T> choices) {
  return *(choices.begin() + static_cast<std::ptrdiff_t>(random() % choices.size()));
}

inline int64_t number_from(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoll(text);
}

inline Random fuzz_random() { return Random(static_cast<unsigned>(number_from("FEWBINS_FUZZ_SEED", 1))); }

class FuzzRounds {
 public:
  explicit FuzzRounds(int64_t rounds) : rounds_(rounds) {}

  [[nodiscard]] bool next() {
    if (seconds_ == 0 ? done_ == rounds_ : Clock::now() >= end_) return false;
    ++done_;
    return true;
  }
  [[nodiscard]] int64_t done() const { return done_; }

 private:
  using Clock = std::chrono::steady_clock;
  int64_t rounds_;
  int64_t done_ = 0;
  int64_t seconds_ = number_from("FEWBINS_FUZZ_SECONDS", 0);
  Clock::time_point end_ = Clock::now() + std::chrono::seconds(seconds_);
};

// Loads and, where the work is small, runs. Returns why it did not get that far; empty when it ran.
inline std::string outcome(const std::vector<std::byte>& bytes) {
  try {
    const auto session = Session::open(bytes, {.threads = 1, .isa = {}, .kernel = {}, .check_finite = false});
    std::vector<Dims> dims;
    std::vector<std::vector<std::byte>> data;
    std::vector<InputView> inputs;
    for (const size_t number : session->program().inputs()) {
      Dims one = session->program().values()[number].desc.dims;
      for (int axis = 0; axis < one.rank; ++axis) one[axis] = one[axis] < 0 ? 3 : std::min<int64_t>(one[axis], 64);
      dims.push_back(one);
      const TensorDesc desc{session->program().values()[number].desc.dtype, one, {}};
      data.emplace_back(desc.bytes(), std::byte{63});  // as float32: 0.75 or so
      inputs.push_back({data.back().data(), one, false, desc.dtype});
    }
    int64_t work = 0;
    for (const StepRow& row : session->plan_rows(dims)) work += row.bytes + row.macs;
    if (work > 20'000'000) return "too much work";
    std::vector<std::vector<std::byte>> results;
    std::vector<void*> outputs;
    for (const Dims& one : session->output_dims(dims))
      results.emplace_back(TensorDesc{session->output_dtype(results.size()), one, {}}.bytes());
    for (std::vector<std::byte>& one : results) outputs.push_back(one.data());
    session->run(inputs, outputs);
    static_cast<void>(session->trace(inputs, {}));
    return {};
  } catch (const Error& error) {
    BOOST_TEST((error.code() != ErrorCode::internal), error.what());
    BOOST_TEST(std::string_view(error.what()).find('\n') == std::string_view::npos, error.what());
    return error.what();
  }
}

}  // namespace fewbins
