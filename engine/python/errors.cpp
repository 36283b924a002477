// SPDX-License-Identifier: Apache-2.0
#include "errors.h"

#include <nanobind/nanobind.h>

#include <exception>
#include <new>

#include "base/error.h"

namespace nb = nanobind;

namespace fewbins {
namespace {

const char* class_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
      return "ArgumentError";
    case ErrorCode::model_file:
      return "ModelFileError";
    case ErrorCode::unsupported:
      return "UnsupportedError";
    case ErrorCode::io:
      return "FileAccessError";
    case ErrorCode::out_of_memory:
      return "EngineMemoryError";
    case ErrorCode::shape:
      return "ShapeError";
    case ErrorCode::ok:
    case ErrorCode::internal:
      break;
  }
  return "EngineError";
}

// Raises the class of fewbins.errors. The package is imported here and not before: the module alone needs nothing.
void raise(ErrorCode code, const char* message) {
  try {
    const nb::object type = nb::module_::import_("fewbins.errors").attr(class_of(code));
    PyErr_SetString(type.ptr(), message);
  } catch (nb::python_error& error) {
    error.restore();
  }
}

}  // namespace

void register_errors() {
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const Error& error) {
      raise(error.code(), error.what());
    } catch (const std::bad_alloc&) {
      raise(ErrorCode::out_of_memory, "there is not enough memory");
    }
  });
}

}  // namespace fewbins
