// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#include "python/bindings.h"

NB_MODULE(_engine, module) {
  module.doc() = "The C++ engine of fewbins; the package wraps it, and promises nothing about this module itself.";
  module.attr("version") = FEWBINS_VERSION;
  fewbins::bind_errors(module);
  fewbins::bind_codec(module);
}
