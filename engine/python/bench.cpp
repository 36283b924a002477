// SPDX-License-Identifier: Apache-2.0
// Measured loops for Python: what `fewbins bench gemm`, `conv` and `blocks` call.
#include "bench.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "bench/bench.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace fewbins {
namespace {

using Sizes = std::tuple<size_t, size_t, size_t>;

Isa isa_of(const std::string& name) {
  Isa isa = Isa::scalar;
  std::string error;
  if (!parse_isa(name, isa, error)) fail(ErrorCode::invalid_argument, error);
  if (!runs_here(isa)) fail(ErrorCode::unsupported, "this machine has no ", isa_name(isa));
  return isa;
}

Family family_of(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(Family::elementwise); ++i)
    if (name == family_name(static_cast<Family>(i))) return static_cast<Family>(i);
  fail(ErrorCode::invalid_argument, "kernel family '", name, "' is unknown");
}

bench::WeightShape shape_of(const std::string& name) {
  if (name == "natural") return bench::WeightShape::natural;
  if (name == "worst") return bench::WeightShape::worst;
  fail(ErrorCode::invalid_argument, "weights '", name, "' are unknown (expected one of: natural, worst)");
}

bench::Bins bins_of(std::tuple<int, int, int> levels) {
  const auto [lo, hi, weight] = levels;
  if (lo > 0 || hi < lo || hi - lo > 255 || weight < 1 || weight > 127)
    fail(ErrorCode::invalid_argument, "levels ", lo, "..", hi, " with weights of ", weight, " make no sense");
  return {{lo, hi}, weight};
}

std::unique_ptr<bench::Subject> gemm(Sizes shape, const std::string& family, std::tuple<int, int, int> levels,
                                     const std::string& isa, const std::string& kernel, const std::string& weights,
                                     size_t block, bool requantize) {
  bench::GemmSetup setup;
  setup.kernel = kernel;
  setup.family = family_of(family);
  setup.cap = isa_of(isa);
  std::tie(setup.m, setup.n, setup.k) = shape;
  if (setup.m == 0 || setup.n == 0 || setup.k == 0) fail(ErrorCode::invalid_argument, "a size of the product is 0");
  setup.bins = bins_of(levels);
  setup.weights = shape_of(weights);
  setup.block = block;
  setup.requantize = requantize;
  const nb::gil_scoped_release release;
  return bench::make_gemm(setup);
}

std::unique_ptr<bench::Subject> conv(std::tuple<int64_t, int64_t, int64_t> shape, bool depthwise,
                                     std::tuple<int, int, int> levels, bool is_float, const std::string& isa,
                                     const std::string& kernel, const std::string& weights, size_t other_bytes) {
  bench::ConvSetup setup;
  setup.kernel = kernel;
  setup.cap = isa_of(isa);
  std::tie(setup.height, setup.width, setup.channels) = shape;
  if (std::min({setup.height, setup.width, setup.channels}) < 1)
    fail(ErrorCode::invalid_argument, "a size of the layer is 0");
  setup.columns = setup.channels;
  setup.depthwise = depthwise;
  setup.is_float = is_float;
  setup.bins = bins_of(levels);
  setup.weights = shape_of(weights);
  setup.other_bytes = other_bytes;
  const nb::gil_scoped_release release;
  return bench::make_conv(setup);
}

nb::list kernels_within(const std::string& name) {
  const Isa cap = isa_of(name);
  nb::list rows;
  for (const KernelRow& kernel : kernel_rows()) {
    if (!isa_includes(cap, kernel.isa)) continue;
    nb::dict row;
    row["name"] = kernel.name;
    row["family"] = family_name(kernel.family);
    row["isa"] = isa_name(kernel.isa);
    rows.append(row);
  }
  return rows;
}

nb::list mix_rows() {
  nb::list rows;
  for (const bench::Mix& mix : bench::mixes()) {
    nb::dict row;
    row["mix"] = mix.name;
    row["isa"] = isa_name(mix.isa);
    row["text"] = mix.text;
    row["runs_here"] = runs_here(mix.isa);
    rows.append(row);
  }
  return rows;
}

}  // namespace

void define_bench(nb::module_& module) {
  using bench::Subject;
  nb::class_<Subject>(module, "Subject", "Something to time, made by a bench_ function; see fewbins.bench.")
      .def(
          "run",
          [](Subject& subject, double seconds, size_t least, bool cold) {
            const nb::gil_scoped_release release;
            return bench::time_calls(subject, seconds, least, cold);
          },
          "seconds"_a, "least"_a = 3, "cold"_a = false,
          "Milliseconds per call, for about this long and at least so many values; cold: caches emptied of weights.")
      .def_ro("macs", &Subject::macs)
      .def_ro("bytes", &Subject::bytes)
      .def_ro("kernel", &Subject::kernel)
      .def_ro("form", &Subject::form)
      .def_ro("mix", &Subject::mix)
      .def_ro("mix_isa", &Subject::mix_isa)
      .def_ro("block", &Subject::block);
  module.def("bench_gemm", &gemm, "shape"_a, "family"_a, "levels"_a, "isa"_a, "kernel"_a = "", "weights"_a = "natural",
             "block"_a = 0, "requantize"_a = false, "A product of shape (M, N, K) on levels (lo, hi, largest weight).");
  module.def("bench_conv", &conv, "shape"_a, "depthwise"_a, "levels"_a, "is_float"_a, "isa"_a, "kernel"_a = "",
             "weights"_a = "natural", "other_bytes"_a = 0,
             "A 3x3 layer of (height, width, channels) to as many channels.");
  module.def(
      "bench_peak",
      [](const std::string& mix, const std::string& isa, size_t block) {
        return bench::make_peak(mix, isa_of(isa), block);
      },
      "mix"_a, "isa"_a, "block"_a = 0, "An instruction mix in registers.");
  module.def(
      "bench_read", [](size_t bytes) { return bench::make_read(bytes); }, "bytes"_a, "A read of so much memory.");
  module.def("bench_kernels", &kernels_within, "isa"_a,
             "The kernels in reach of an instruction set: name, family, isa.");
  module.def("bench_mixes", &mix_rows, "Every instruction mix: mix, isa, text, runs_here.");
}

}  // namespace fewbins
