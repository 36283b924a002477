// SPDX-License-Identifier: Apache-2.0
#include <boost/test/unit_test.hpp>
#include <string>
#include <utility>

#include "base/memory_budget.h"

namespace fewbins {
namespace {

BOOST_AUTO_TEST_SUITE(memory_budget)

BOOST_AUTO_TEST_CASE(a_charge_up_to_the_limit_is_taken_and_one_byte_more_is_refused) {
  MemoryBudget budget(ErrorCode::model_file, 1000, "so it is");
  BOOST_TEST(budget.charge(Size(10) * 90, "weights") == 900U);
  BOOST_TEST(budget.fits(100));
  BOOST_TEST(!budget.fits(101));
  BOOST_CHECK_THROW(budget.charge(101, "weights"), Error);
  BOOST_TEST(budget.used() == 900);  // what was refused was not taken
  BOOST_TEST(budget.charge(100, "weights") == 100U);
  BOOST_CHECK_THROW(budget.charge(1, "weights"), Error);
  BOOST_TEST(budget.charge(0, "nothing") == 0U);
}

BOOST_AUTO_TEST_CASE(the_message_names_the_place_the_bytes_and_the_limit) {
  MemoryBudget budget(ErrorCode::out_of_memory, 64, "32 and 32");
  budget.set_place("node 'c' (Conv)");
  budget.charge(10, "bias");
  BOOST_CHECK_EXCEPTION(budget.charge(100, "packed weights"), Error, [](const Error& error) {
    return error.code() == ErrorCode::out_of_memory &&
           std::string(error.what()) ==
               "node 'c' (Conv): packed weights of 100 bytes would pass the limit of 64 bytes (32 and 32), of "
               "which 10 are taken";
  });
}

BOOST_AUTO_TEST_CASE(a_loan_is_given_back_once_and_its_copy_counts_too) {
  MemoryBudget budget(ErrorCode::model_file, 100, "so it is");
  {
    MemoryBudget::Loan loan = budget.borrow(40, "weights");
    const MemoryBudget::Loan moved = std::move(loan);
    BOOST_TEST(budget.used() == 40);
    const MemoryBudget::Loan copy = moved;  // NOLINT: the copy is what is tested
    BOOST_TEST(budget.used() == 80);
    BOOST_CHECK_THROW((MemoryBudget::Loan{copy}), Error);
    loan = budget.borrow(20, "weights");
    BOOST_TEST(budget.used() == 100);
    loan = {};
    BOOST_TEST(budget.used() == 80);
  }
  BOOST_TEST(budget.used() == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace fewbins
