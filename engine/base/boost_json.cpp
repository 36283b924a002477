// SPDX-License-Identifier: Apache-2.0
// The one translation unit that compiles Boost.JSON; everyone else includes its declarations only.
#include <boost/json/src.hpp>
