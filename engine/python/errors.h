// SPDX-License-Identifier: Apache-2.0
// Errors of the engine as the classes of fewbins.errors.
#pragma once

namespace fewbins {

void register_errors();

}  // namespace fewbins
