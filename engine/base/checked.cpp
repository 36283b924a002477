// SPDX-License-Identifier: Apache-2.0
#include "base/checked.h"

namespace fewbins {

void Size::fail_overflow(int64_t a, const char* sign, int64_t b) {
  std::ostringstream text;
  text << "a size does not fit 64 bits: " << a << " " << sign << " " << b;
  throw SizeError(text.str());
}

void Size::fail_limit(int64_t value, int64_t most, std::string_view what) {
  std::ostringstream text;
  text << what << " is " << value << ", over the limit of " << most;
  throw SizeError(text.str());
}

}  // namespace fewbins
