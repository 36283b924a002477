// SPDX-License-Identifier: Apache-2.0
// The parts of the module fewbins._engine; each file of this folder binds one of them.
#pragma once

#include <nanobind/nanobind.h>

namespace fewbins {

// Throws the engine's errors as the classes of fewbins.errors.
void bind_errors(nanobind::module_& module);

// crc32c, rans_encode, rans_decode.
void bind_codec(nanobind::module_& module);

}  // namespace fewbins
