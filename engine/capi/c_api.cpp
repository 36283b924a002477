// SPDX-License-Identifier: Apache-2.0
// The C ABI over plan/session.h. No exception leaves this file.
#include <fewbins.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/self_test.h"
#include "plan/session.h"
#include "plan/version.h"

struct fewbins_session {
  std::unique_ptr<fewbins::Session> session;
};

struct fewbins_error {
  fewbins_status status;
  std::string message;
};

namespace {

using fewbins::Dims;
using fewbins::DType;
using fewbins::ErrorCode;
using fewbins::fail;

static_assert(FEWBINS_MAX_RANK == fewbins::kMaxRank);
static_assert(FEWBINS_SHAPE == static_cast<int>(ErrorCode::shape));
static_assert(FEWBINS_INTERNAL == static_cast<int>(ErrorCode::internal));

fewbins_status report(fewbins_error** error, fewbins_status status, const char* message) {
  if (error != nullptr) {
    try {
      *error = new fewbins_error{status, message};
    } catch (...) {
      *error = nullptr;  // no memory even for the text: the status says enough
    }
  }
  return status;
}

// Runs `body`; every exception becomes a status and an error object.
template <class Body>
fewbins_status guarded(fewbins_error** error, Body&& body) noexcept {
  if (error != nullptr) *error = nullptr;
  try {
    body();
    return FEWBINS_OK;
  } catch (const fewbins::Error& problem) {
    return report(error, static_cast<fewbins_status>(problem.code()), problem.what());
  } catch (const std::bad_alloc&) {
    return report(error, FEWBINS_OUT_OF_MEMORY, "there is not enough memory");
  } catch (const std::exception& problem) {
    return report(error, FEWBINS_INTERNAL, problem.what());
  } catch (...) {
    return report(error, FEWBINS_INTERNAL, "an unknown exception");
  }
}

void require(bool condition, const char* what) {
  if (!condition) fail(ErrorCode::invalid_argument, what);
}

// The caller's struct, which may be older (shorter) or newer (longer) than ours.
template <class Struct>
Struct sized(const Struct* from, Struct defaults, const char* name) {
  size_t size = 0;
  std::memcpy(&size, from, sizeof size);
  if (size < sizeof size)
    fail(ErrorCode::invalid_argument, name, ".struct_size is ", size, "; set it to sizeof(", name, ")");
  std::memcpy(static_cast<void*>(&defaults), from, std::min(size, sizeof(Struct)));
  return defaults;
}

// Entry i of an array whose entries have the caller's size.
template <class Struct>
Struct entry(const Struct* array, size_t i, const char* name) {
  const size_t stride = array->struct_size;
  if (stride < sizeof(size_t))
    fail(ErrorCode::invalid_argument, name, ".struct_size is ", stride, "; set it to sizeof(", name, ")");
  const auto* bytes = reinterpret_cast<const char*>(array) + i * stride;
  return sized(reinterpret_cast<const Struct*>(bytes), Struct{}, name);
}

Dims dims_of(const fewbins_shape& shape) {
  if (shape.rank < 0 || shape.rank > FEWBINS_MAX_RANK)
    fail(ErrorCode::invalid_argument, "a shape has rank ", shape.rank, "; it must be 0..", FEWBINS_MAX_RANK);
  return Dims::from({shape.dims, static_cast<size_t>(shape.rank)});
}

fewbins_shape shape_of(const Dims& dims) {
  fewbins_shape shape{};
  shape.rank = dims.rank;
  for (int axis = 0; axis < dims.rank; ++axis) shape.dims[axis] = dims[axis];
  return shape;
}

fewbins::SessionOptions options_of(const fewbins_options* options) {
  fewbins::SessionOptions result;
  if (options == nullptr) return result;
  const fewbins_options given = sized(options, fewbins_options FEWBINS_OPTIONS_INIT, "fewbins_options");
  result.threads = given.threads;
  result.check_finite = given.check_finite != 0;
  if (given.isa != nullptr) result.isa = given.isa;
  if (given.kernel != nullptr) result.kernel = given.kernel;
  return result;
}

struct TypeRow {
  fewbins_dtype ours;
  DType engine;
};

constexpr std::array kTypes = {TypeRow{FEWBINS_FLOAT32, DType::f32}, TypeRow{FEWBINS_UINT8, DType::u8},
                               TypeRow{FEWBINS_BOOL, DType::b8}, TypeRow{FEWBINS_INT32, DType::i32},
                               TypeRow{FEWBINS_INT64, DType::i64}};

fewbins_dtype dtype_of(DType dtype) { return std::ranges::find(kTypes, dtype, &TypeRow::engine)->ours; }

fewbins::InputView view_of(const fewbins_input& input, size_t index, const fewbins::Program& program) {
  const auto* type = std::ranges::find(kTypes, input.dtype, &TypeRow::ours);
  if (type == kTypes.end())
    fail(ErrorCode::invalid_argument, "input ", index, " has dtype ", static_cast<int>(input.dtype),
         ", which is none of enum fewbins_dtype");
  fewbins::InputView view{input.data, dims_of(input.shape), false, type->engine};
  // Bytes are pixels, unless the model itself takes bytes.
  if (type->engine == DType::u8 && index < program.inputs().size())
    view.pixels = program.values()[program.inputs()[index]].desc.dtype != DType::u8;
  const size_t need = fewbins::memory_size(view.dims.count() * fewbins::dtype_bytes(view.dtype));
  if (input.bytes != need || (input.data == nullptr && need != 0))
    fail(ErrorCode::invalid_argument, "input ", index, " has ", input.data == nullptr ? 0 : input.bytes,
         " bytes; its shape ", view.dims.text(), " needs ", need);
  if (view.pixels) {
    if (view.dims.rank != 4)
      fail(ErrorCode::shape, "input ", index, " is pixels of rank ", view.dims.rank, "; it must be 4");
    const Dims nhwc = view.dims;
    view.dims = Dims{nhwc[0], nhwc[3], nhwc[1], nhwc[2]};
  }
  return view;
}

std::vector<fewbins::InputView> views_of(const fewbins_session* session, const fewbins_input* inputs, size_t count) {
  require(inputs != nullptr || count == 0, "inputs is NULL");
  std::vector<fewbins::InputView> views;
  for (size_t i = 0; i < count; ++i)
    views.push_back(view_of(entry(inputs, i, "fewbins_input"), i, session->session->program()));
  return views;
}

fewbins_status tensor_info(const fewbins_session* session, size_t index, fewbins_tensor_info* info, bool input,
                           fewbins_error** error) {
  return guarded(error, [&] {
    require(session != nullptr && info != nullptr, "session or info is NULL");
    const fewbins::Program& program = session->session->program();
    const std::vector<size_t>& values = input ? program.inputs() : program.outputs();
    if (index >= values.size())
      fail(ErrorCode::invalid_argument, "index is ", index, "; the model has ", values.size());
    const fewbins::Value& value = program.values()[values[index]];
    fewbins_tensor_info filled{};
    filled.struct_size = info->struct_size;
    filled.name = value.name.c_str();
    filled.dtype = dtype_of(value.desc.dtype);
    filled.shape = shape_of(value.desc.dims);
    filled.takes_pixels =
        input && value.desc.dtype == DType::f32 && value.desc.dims.rank == 4 && program.model().preprocessing ? 1 : 0;
    require(info->struct_size >= sizeof(size_t), "fewbins_tensor_info.struct_size is not set");
    std::memcpy(info, &filled, std::min(info->struct_size, sizeof filled));
  });
}

}  // namespace

uint32_t fewbins_abi_version(void) { return FEWBINS_ABI_VERSION; }
const char* fewbins_version(void) { return fewbins::version(); }

fewbins_status fewbins_error_status(const fewbins_error* error) {
  return error == nullptr ? FEWBINS_OK : error->status;
}
const char* fewbins_error_message(const fewbins_error* error) { return error == nullptr ? "" : error->message.c_str(); }
void fewbins_error_free(fewbins_error* error) { delete error; }

fewbins_status fewbins_load(const char* path, const fewbins_options* options, fewbins_session** session,
                            fewbins_error** error) {
  return guarded(error, [&] {
    require(path != nullptr && session != nullptr, "path or session is NULL");
    *session = nullptr;
    auto made = std::make_unique<fewbins_session>();
    made->session = fewbins::Session::open(std::string(path), options_of(options));
    *session = made.release();
  });
}

fewbins_status fewbins_load_memory(const void* data, size_t size, const fewbins_options* options,
                                   fewbins_session** session, fewbins_error** error) {
  return guarded(error, [&] {
    require((data != nullptr || size == 0) && session != nullptr, "data or session is NULL");
    *session = nullptr;
    auto made = std::make_unique<fewbins_session>();
    made->session = fewbins::Session::open(std::span(static_cast<const std::byte*>(data), size), options_of(options));
    *session = made.release();
  });
}

void fewbins_free(fewbins_session* session) { delete session; }

size_t fewbins_input_count(const fewbins_session* session) {
  return session == nullptr ? 0 : session->session->program().inputs().size();
}
size_t fewbins_output_count(const fewbins_session* session) {
  return session == nullptr ? 0 : session->session->program().outputs().size();
}

fewbins_status fewbins_input_info(const fewbins_session* session, size_t index, fewbins_tensor_info* info,
                                  fewbins_error** error) {
  return tensor_info(session, index, info, true, error);
}
fewbins_status fewbins_output_info(const fewbins_session* session, size_t index, fewbins_tensor_info* info,
                                   fewbins_error** error) {
  return tensor_info(session, index, info, false, error);
}

fewbins_status fewbins_output_shapes(fewbins_session* session, const fewbins_shape* inputs, size_t input_count,
                                     fewbins_shape* outputs, size_t output_count, fewbins_error** error) {
  return guarded(error, [&] {
    require(session != nullptr && inputs != nullptr && outputs != nullptr, "session, inputs or outputs is NULL");
    std::vector<Dims> in;
    for (size_t i = 0; i < input_count; ++i) in.push_back(dims_of(inputs[i]));
    const std::vector<Dims> out = session->session->output_dims(in);
    if (output_count != out.size())
      fail(ErrorCode::invalid_argument, "output_count is ", output_count, "; the model has ", out.size());
    for (size_t i = 0; i < out.size(); ++i) outputs[i] = shape_of(out[i]);
  });
}

fewbins_status fewbins_run(fewbins_session* session, const fewbins_input* inputs, size_t input_count,
                           const fewbins_output* outputs, size_t output_count, fewbins_error** error) {
  return guarded(error, [&] {
    require(session != nullptr && outputs != nullptr, "session or outputs is NULL");
    const std::vector<fewbins::InputView> views = views_of(session, inputs, input_count);
    std::vector<Dims> in;
    for (const fewbins::InputView& view : views) in.push_back(view.dims);
    const std::vector<Dims> out = session->session->output_dims(in);
    if (output_count != out.size())
      fail(ErrorCode::invalid_argument, "output_count is ", output_count, "; the model has ", out.size());
    std::vector<void*> pointers;
    for (size_t i = 0; i < out.size(); ++i) {
      const fewbins_output one = entry(outputs, i, "fewbins_output");
      const size_t need =
          fewbins::memory_size(out[i].count() * fewbins::dtype_bytes(session->session->output_dtype(i)));
      if ((one.data == nullptr && need != 0) || one.bytes != need)
        fail(ErrorCode::invalid_argument, "output ", i, " has room for ", one.data == nullptr ? 0 : one.bytes,
             " bytes; its shape ", out[i].text(), " needs ", need);
      pointers.push_back(one.data);
    }
    session->session->run(views, pointers);
  });
}

fewbins_status fewbins_profile(fewbins_session* session, const fewbins_input* inputs, size_t input_count,
                               int32_t repeats, void (*row)(const fewbins_profile_row* row, void* user), void* user,
                               fewbins_error** error) {
  return guarded(error, [&] {
    require(session != nullptr && row != nullptr, "session or row is NULL");
    for (const fewbins::StepRow& step : session->session->profile(views_of(session, inputs, input_count), repeats)) {
      const fewbins_profile_row one{
          sizeof(fewbins_profile_row), step.step,      step.op.c_str(), step.name.c_str(), step.kernel.c_str(),
          step.form.c_str(),           step.median_ms, step.min_ms,     step.macs,         step.bytes};
      row(&one, user);
    }
  });
}

fewbins_status fewbins_self_test(fewbins_error** error) {
  return guarded(error, [] {
    const std::vector<std::string> failures = fewbins::self_test();
    if (!failures.empty())
      fail(ErrorCode::internal, "the self-test failed ", failures.size(), " times; first: ", failures.front());
  });
}
