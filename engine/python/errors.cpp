// SPDX-License-Identifier: Apache-2.0
#include <exception>

#include "base/error.h"
#include "python/bindings.h"

namespace nb = nanobind;

namespace fewbins {
namespace {

const char* python_class(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "ShapeError";
    case ErrorCode::model_file:
      return "ModelFileError";
    case ErrorCode::unsupported:
      return "UnsupportedError";
    case ErrorCode::io:
      return "FileAccessError";
    case ErrorCode::out_of_memory:
      return "EngineMemoryError";
    case ErrorCode::ok:
    case ErrorCode::internal:
      break;
  }
  return "EngineError";
}

}  // namespace

void bind_errors(nb::module_&) {
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      const nb::object type = nb::module_::import_("fewbins.errors").attr(python_class(error.code()));
      PyErr_SetString(type.ptr(), error.what());
    }
  });
}

}  // namespace fewbins
