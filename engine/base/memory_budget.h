// SPDX-License-Identifier: Apache-2.0
// How much memory the loading of a model, or a plan for one set of input sizes, may take. Model files are untrusted and
// can ask for a lot in few bytes, so whatever scales with a number from a file or an input is charged here before it is
// allocated. Charges are never given back: the budget bounds all that is taken on the way, temporary memory too, and so
// the time that goes into filling it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/error.h"

namespace fewbins {

class MemoryBudget {
 public:
  // Without a limit: for tests and benchmarks of single operators.
  MemoryBudget() = default;
  // A charge beyond `limit` bytes throws Error(code). `rule` says in the message how the limit came about.
  MemoryBudget(ErrorCode code, Size limit, std::string rule) : code_(code), limit_(limit), rule_(std::move(rule)) {}

  // What the next charges are for: "node 'conv1' (Conv)".
  void set_place(std::string place) { place_ = std::move(place); }

  // Whether so many bytes more are within the limit: for what may be left away.
  [[nodiscard]] bool fits(Size bytes) const;

  // Charges the bytes for `what` ("packed weights") and returns them, to be allocated now. Throws where that passes the
  // limit, and std::bad_alloc where no address space holds them.
  size_t charge(Size bytes, std::string_view what);

  [[nodiscard]] Size used() const noexcept { return used_; }

 private:
  ErrorCode code_ = ErrorCode::out_of_memory;
  Size limit_ = INT64_MAX;
  Size used_ = 0;
  std::string rule_;
  std::string place_;
};

}  // namespace fewbins
