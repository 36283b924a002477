// SPDX-License-Identifier: Apache-2.0
#include "plan/version.h"

namespace fewbins {

const char* version() { return FEWBINS_VERSION; }

const char* commit() { return FEWBINS_COMMIT; }

}  // namespace fewbins
