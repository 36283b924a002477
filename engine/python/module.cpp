// SPDX-License-Identifier: Apache-2.0
// The Python module fewbins._engine: thin; what it offers is documented where Python wraps it (fewbins.session).
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>

#include "base/cpu.h"
#include "base/cpu_name.h"
#include "base/error.h"
#include "base/limits.h"
#include "bench.h"
#include "costs.h"
#include "errors.h"
#include "file/crc32c.h"
#include "file/rans.h"
#include "kernels/kernels.h"
#include "ops/conv_advice.h"
#include "plan/self_test.h"
#include "plan/session.h"
#include "plan/version.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace fewbins {
namespace {

using Input = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using Shapes = std::vector<std::vector<int64_t>>;

std::span<const std::byte> bytes_of(const nb::bytes& bytes) {
  return {static_cast<const std::byte*>(bytes.data()), bytes.size()};
}

nb::bytes to_bytes(const std::vector<std::byte>& bytes) { return nb::bytes(bytes.data(), bytes.size()); }

DType dtype_of(nb::dlpack::dtype dtype) {
  if (dtype == nb::dtype<float>()) return DType::f32;
  if (dtype == nb::dtype<uint8_t>()) return DType::u8;
  if (dtype == nb::dtype<bool>()) return DType::b8;
  if (dtype == nb::dtype<int32_t>()) return DType::i32;
  if (dtype == nb::dtype<int64_t>()) return DType::i64;
  fail(ErrorCode::invalid_argument, "an input array is not float32, bool, uint8, int32 or int64");
}

std::vector<InputView> views_of(const std::vector<Input>& arrays) {
  std::vector<InputView> views;
  for (const Input& array : arrays) {
    std::vector<int64_t> sizes;
    for (size_t axis = 0; axis < array.ndim(); ++axis) sizes.push_back(static_cast<int64_t>(array.shape(axis)));
    views.push_back({array.data(), Dims::from(sizes), false, dtype_of(array.dtype())});
  }
  return views;
}

// Calls visit(Element{}) with the C++ type of a dtype's elements.
template <class Visit>
auto with_element(DType dtype, Visit&& visit) {
  switch (dtype) {
    case DType::b8:
      return visit(bool{});
    case DType::i32:
      return visit(int32_t{});
    case DType::i64:
      return visit(int64_t{});
    case DType::levels:
    case DType::u8:
      return visit(uint8_t{});
    case DType::i8:
      return visit(int8_t{});
    case DType::f32:
      break;
  }
  return visit(float{});
}

std::vector<Dims> dims_of(const Shapes& shapes) {
  std::vector<Dims> dims;
  for (const std::vector<int64_t>& shape : shapes) dims.push_back(Dims::from(shape));
  return dims;
}

// A NumPy array that owns its memory.
template <class Element>
nb::object owning_array(std::unique_ptr<std::byte[]> data, const Dims& dims) {
  std::array<size_t, kMaxRank> shape{};
  for (int axis = 0; axis < dims.rank; ++axis) shape[static_cast<size_t>(axis)] = static_cast<size_t>(dims[axis]);
  std::byte* bytes = data.get();
  const nb::capsule owner(data.release(), [](void* p) noexcept { delete[] static_cast<std::byte*>(p); });
  return nb::cast(nb::ndarray<nb::numpy, Element, nb::c_contig>(reinterpret_cast<Element*>(bytes),
                                                                static_cast<size_t>(dims.rank), shape.data(), owner));
}

nb::object owning_array(DType dtype, std::unique_ptr<std::byte[]> data, const Dims& dims) {
  return with_element(dtype, [&](auto element) { return owning_array<decltype(element)>(std::move(data), dims); });
}

nb::list run(Session& session, const std::vector<Input>& arrays) {
  const std::vector<InputView> inputs = views_of(arrays);
  std::vector<Dims> dims;
  std::vector<std::unique_ptr<std::byte[]>> outputs;
  {
    const nb::gil_scoped_release release;
    std::vector<Dims> input_dims;
    for (const InputView& input : inputs) input_dims.push_back(input.dims);
    dims = session.output_dims(input_dims);
    std::vector<void*> pointers;
    for (size_t i = 0; i < dims.size(); ++i) {
      const TensorDesc desc{session.output_dtype(i), dims[i], {}};
      outputs.push_back(std::make_unique_for_overwrite<std::byte[]>(desc.bytes()));
      pointers.push_back(outputs.back().get());
    }
    session.run(inputs, pointers);
  }
  nb::list arrays_out;
  for (size_t i = 0; i < outputs.size(); ++i)
    arrays_out.append(owning_array(session.output_dtype(i), std::move(outputs[i]), dims[i]));
  return arrays_out;
}

nb::dict trace(Session& session, const std::vector<Input>& arrays,
               const std::optional<std::vector<std::string>>& names) {
  nb::dict result;
  if (names && names->empty()) return result;
  const std::vector<InputView> inputs = views_of(arrays);
  std::vector<TracedTensor> tensors;
  {
    const nb::gil_scoped_release release;
    tensors = session.trace(inputs, names.value_or(std::vector<std::string>{}));
  }
  for (TracedTensor& tensor : tensors) {
    auto data = std::make_unique_for_overwrite<std::byte[]>(tensor.data.size());
    std::ranges::copy(tensor.data, data.get());
    result[tensor.name.c_str()] = owning_array(tensor.dtype, std::move(data), tensor.dims);
    tensor.data = {};
  }
  return result;
}

nb::list tensor_rows(const Session& session, const std::vector<size_t>& values) {
  nb::list rows;
  for (const size_t number : values) {
    const Value& value = session.program().values()[number];
    nb::list shape;
    for (const DimSpec& dim : value.info->shape) {
      if (dim.is_free())
        shape.append(dim.symbol);
      else
        shape.append(dim.size);
    }
    nb::dict row;
    row["name"] = value.name;
    row["dtype"] = dtype_name(value.desc.dtype);
    row["shape"] = shape;
    rows.append(row);
  }
  return rows;
}

nb::list step_rows(const std::vector<StepRow>& steps) {
  nb::list rows;
  for (const StepRow& step : steps) {
    nb::dict row;
    row["step"] = step.step;
    row["op"] = step.op;
    row["name"] = step.name;
    row["kernel"] = step.kernel;
    row["form"] = step.form;
    row["bins"] = step.bins;
    row["requantize"] = step.requantize;
    row["output_shape"] = step.output_shape;
    row["macs"] = step.macs;
    row["bytes"] = step.bytes;
    const bool timed = step.median_ms >= 0.0;
    row["median_ms"] = timed ? nb::cast(step.median_ms) : nb::none();
    row["min_ms"] = timed ? nb::cast(step.min_ms) : nb::none();
    rows.append(row);
  }
  return rows;
}

std::unique_ptr<Session> open_session(const std::variant<std::string, nb::bytes>& source, int threads,
                                      const std::string& isa, const std::string& kernel, bool check_finite) {
  const SessionOptions options{threads, isa, kernel, check_finite};
  if (const auto* path = std::get_if<std::string>(&source)) {
    const nb::gil_scoped_release release;
    return Session::open(*path, options);
  }
  const std::span<const std::byte> bytes = bytes_of(std::get<nb::bytes>(source));
  const nb::gil_scoped_release release;
  return Session::open(bytes, options);
}

nb::list kernel_rows_here() {
  nb::list rows;
  for (const KernelRow& kernel : kernel_rows()) {
    nb::dict row;
    row["name"] = kernel.name;
    row["family"] = family_name(kernel.family);
    row["isa"] = isa_name(kernel.isa);
    row["runs_here"] = runs_here(kernel.isa);
    row["exact"] = (kernel.flags & kernel_flag::exact) != 0;
    rows.append(row);
  }
  return rows;
}

nb::dict cpu_info() {
  nb::dict row;
  row["name"] = cpu_name();
  row["isa"] = isa_name(choose_isa(""));
  row["best_isa"] = isa_name(detect_isa());
  row["threads"] = ThreadPool::default_threads();
  row["version"] = version();
  row["commit"] = commit();
  return row;
}

void define_session(nb::module_& module) {
  nb::class_<Session>(module, "Session", "A loaded model; see fewbins.Session. Runs may overlap in several threads.")
      .def(nb::new_(&open_session), "source"_a, "threads"_a = 0, "isa"_a = "", "kernel"_a = "",
           "check_finite"_a = false)
      .def("run", &run, "inputs"_a.noconvert(),
           "Arrays of the inputs' dtypes in, of the outputs' dtypes out; the GIL is released.")
      .def("trace", &trace, "inputs"_a.noconvert(), "names"_a = nb::none(),
           "Every activation (or those named) by name, of its dtype (levels: uint8 u = q - lo), in logical order.")
      .def_prop_ro("inputs", [](const Session& s) { return tensor_rows(s, s.program().inputs()); })
      .def_prop_ro("outputs", [](const Session& s) { return tensor_rows(s, s.program().outputs()); })
      .def_prop_ro("threads", &Session::threads)
      .def_prop_ro("isa", [](const Session& s) { return isa_name(s.program().options().isa); })
      .def(
          "plan", [](Session& s, const Shapes& shapes) { return step_rows(s.plan_rows(dims_of(shapes))); }, "shapes"_a,
          "One row per step for these input shapes.")
      .def(
          "advice",
          [](const Session& s) {
            nb::list rows;
            for (const Advice& advice : advise(s.program().model(), s.program().options().isa)) {
              nb::dict row;
              row["name"] = advice.node;
              row["scheme"] = advice.scheme;
              row["time"] = advice.time;
              rows.append(row);
            }
            return rows;
          },
          "Convolutions that other bins would run faster on this CPU: name, scheme, predicted fraction of the time.")
      .def(
          "profile",
          [](Session& s, const std::vector<Input>& arrays, int repeats) {
            const std::vector<InputView> inputs = views_of(arrays);
            std::vector<StepRow> rows;
            {
              const nb::gil_scoped_release release;
              rows = s.profile(inputs, repeats);
            }
            return step_rows(rows);
          },
          "inputs"_a.noconvert(), "repeats"_a = 10, "The rows of plan() with the median and least time of each step.")
      .def("metadata", [](const Session& s) { return s.program().model().metadata; }, "The header text of the file.");
}

}  // namespace

NB_MODULE(_engine, module) {
  module.doc() = "The fewbins engine.";
  register_errors();
  define_session(module);
  define_bench(module);
  define_costs(module);
  module.def("kernel_rows", &kernel_rows_here, "Every kernel: name, family, isa, runs_here, exact.");
  module.def("cpu_info", &cpu_info, "CPU name, instruction set in use, default number of threads, engine version.");
  module.def(
      "self_test",
      [] {
        const nb::gil_scoped_release release;
        return self_test();
      },
      "Runs every kernel of this CPU against the reference; returns one line per failure.");
  module.def(
      "limits",
      [] {
        nb::list rows;
        for (const LimitRow& row : kLimitRows) rows.append(nb::make_tuple(row.name, row.value, row.unit, row.what));
        return rows;
      },
      "The limits of docs/format.md, as (name, value, unit, what).");
  module.def(
      "crc32c", [](const nb::bytes& data) { return crc32c(bytes_of(data)); }, "data"_a,
      "CRC32C (Castagnoli) of the bytes.");
  module.def(
      "rans_encode", [](const nb::bytes& data) { return to_bytes(rans_encode(bytes_of(data))); }, "data"_a,
      "Entropy-codes bytes as docs/format.md says.");
  module.def(
      "rans_decode",
      [](const nb::bytes& blob, int64_t n) {
        if (n < 0 || n > kMaxElements) fail(ErrorCode::model_file, "a size of ", n, " bytes is over the limit");
        // Decoded in place: nobody else sees the new object before it is returned.
        nb::object out = nb::steal(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(n)));
        if (!out.is_valid()) nb::raise_python_error();
        rans_decode(bytes_of(blob),
                    {reinterpret_cast<std::byte*>(PyBytes_AsString(out.ptr())), static_cast<size_t>(n)});
        return nb::borrow<nb::bytes>(out);
      },
      "blob"_a, "n"_a, "Decodes what rans_encode made of n bytes.");
}

}  // namespace fewbins
