// SPDX-License-Identifier: Apache-2.0
// How much memory the loading of a model, or a plan for one set of input sizes, may take. Model files are untrusted and
// can ask for a lot in few bytes, so whatever scales with a number from a file or an input is charged here before it is
// allocated: for good, or as a loan that lives as long as the memory does.
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

  // The same for memory that is freed again: given back with the loan. A copy of a loan, as of the memory, takes as
  // much again.
  class Loan {
   public:
    Loan() = default;
    Loan(MemoryBudget& budget, Size bytes, std::string_view what) : budget_(&budget), bytes_(bytes) {
      budget.charge(bytes, what);
    }
    Loan(const Loan& other) : budget_(other.budget_), bytes_(other.bytes_) {
      if (budget_ != nullptr) budget_->charge(bytes_, "a copy");
    }
    Loan(Loan&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
    Loan& operator=(Loan other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Loan() {
      if (budget_ != nullptr) budget_->used_ = int64_t{budget_->used_} - int64_t{bytes_};
    }

   private:
    MemoryBudget* budget_ = nullptr;
    Size bytes_ = 0;
  };
  [[nodiscard]] Loan borrow(Size bytes, std::string_view what) { return {*this, bytes, what}; }

  [[nodiscard]] Size used() const noexcept { return used_; }

 private:
  ErrorCode code_ = ErrorCode::out_of_memory;
  Size limit_ = INT64_MAX;
  Size used_ = 0;
  std::string rule_;
  std::string place_;
};

}  // namespace fewbins
