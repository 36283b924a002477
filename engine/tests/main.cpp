// SPDX-License-Identifier: Apache-2.0
// The test runner: the one translation unit that compiles Boost.Test itself. Tests live in test_*.cpp beside it.
#define BOOST_TEST_MODULE fewbins
#include <boost/test/included/unit_test.hpp>
