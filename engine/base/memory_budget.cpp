// SPDX-License-Identifier: Apache-2.0
#include "base/memory_budget.h"

namespace fewbins {

bool MemoryBudget::fits(Size bytes) const { return bytes <= limit_ - used_; }

size_t MemoryBudget::charge(Size bytes, std::string_view what) {
  if (!fits(bytes))
    fail(code_, place_, place_.empty() ? "" : ": ", what, " of ", bytes, " bytes would pass the limit of ", limit_,
         " bytes (", rule_, "), of which ", used_, " are taken");
  const size_t size = memory_size(bytes);
  used_ += bytes;
  return size;
}

}  // namespace fewbins
