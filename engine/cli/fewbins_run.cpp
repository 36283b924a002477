// SPDX-License-Identifier: Apache-2.0
// fewbins-run: the engine as a program, for boards and for scripts. Results on stdout, errors on stderr.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "arguments.h"
#include "base/cpu.h"
#include "base/cpu_name.h"
#include "base/error.h"
#include "npy.h"
#include "plan/calibrate.h"
#include "plan/self_test.h"
#include "plan/session.h"
#include "plan/version.h"

namespace fewbins {
namespace {

constexpr int kCheckFailed = 1;
constexpr int kUsageError = 2;

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

int run_self_test() {
  const std::vector<std::string> failures = self_test();
  for (const std::string& failure : failures) std::fprintf(stderr, "fewbins-run: %s\n", failure.c_str());
  std::printf("self-test on %s (%s): %s\n", cpu_name().c_str(), isa_name(detect_isa()),
              failures.empty() ? "passed" : "FAILED");
  return failures.empty() ? 0 : kCheckFailed;
}

int run_calibration() {
  const std::vector<NamedCost> costs = calibrate_costs([](size_t, size_t) {});
  save_costs(costs);
  std::printf("measured %zu kernels on %s; kept in %s\n", costs.size(), cpu_name().c_str(), cost_file().c_str());
  return 0;
}

std::string shape_text(const std::vector<DimSpec>& shape) {
  std::string text;
  for (const DimSpec& dim : shape)
    text += (text.empty() ? "" : ", ") + (dim.is_free() ? dim.symbol : std::to_string(dim.size));
  return "(" + text + ")";
}

void print_steps(const std::vector<StepRow>& rows, bool timed) {
  if (timed) std::printf("%10s %7s ", "median ms", "share");
  std::printf("%-18s %-32s %-30s %-14s %-9s %s\n", "op", "name", "kernel", "form", "bins", "output");
  double total = 0.0;
  for (const StepRow& row : rows) total += row.median_ms;
  for (const StepRow& row : rows) {
    if (timed) std::printf("%10.4f %6.1f%% ", row.median_ms, total > 0.0 ? 100.0 * row.median_ms / total : 0.0);
    std::printf("%-18s %-32s %-30s %-14s %-9s %s\n", row.op.c_str(), row.name.c_str(), row.kernel.c_str(),
                row.form.c_str(), row.bins.c_str(), row.output_shape.c_str());
  }
  if (timed) std::printf("%10.4f ms in all\n", total);
}

// The model's inputs with 1 for every free size: what --info plans with.
std::vector<Dims> smallest_inputs(const Program& program) {
  std::vector<Dims> dims;
  for (const size_t number : program.inputs()) {
    dims.push_back(program.values()[number].desc.dims);
    for (int axis = 0; axis < dims.back().rank; ++axis) dims.back()[axis] = std::max<int64_t>(1, dims.back()[axis]);
  }
  return dims;
}

void print_info(Session& session, const std::vector<InputView>& inputs) {
  const Program& program = session.program();
  std::printf("graph: %s\nscheme: %s\ninstruction set: %s, threads: %d\n", program.model().name.c_str(),
              program.model().scheme.c_str(), isa_name(program.options().isa), session.threads());
  for (const size_t number : program.inputs()) {
    const Value& value = program.values()[number];
    std::printf("input: %s %s %s%s\n", value.name.c_str(), dtype_name(value.desc.dtype),
                shape_text(value.info->shape).c_str(),
                value.desc.dtype == DType::f32 && program.model().preprocessing ? ", or uint8 pixels" : "");
  }
  for (const size_t number : program.outputs()) {
    const Value& value = program.values()[number];
    std::printf("output: %s %s %s\n", value.name.c_str(), dtype_name(value.desc.dtype),
                shape_text(value.info->shape).c_str());
  }
  std::vector<Dims> dims;
  for (const InputView& input : inputs) dims.push_back(input.dims);
  try {
    print_steps(session.plan_rows(dims.empty() ? smallest_inputs(program) : dims), false);
  } catch (const Error& error) {
    if (!dims.empty() || error.code() != ErrorCode::shape) throw;
    // The model has free sizes and does not take 1 for all of them.
    for (const ProgramStep& step : program.steps())
      std::printf("%-18s %s\n", step.node->op.c_str(), step.node->name.c_str());
  }
}

std::vector<InputView> views_of(const Program& program, const std::vector<NpyArray>& arrays) {
  std::vector<InputView> views;
  for (const NpyArray& array : arrays) {
    InputView view{array.data.data(), array.dims, false, array.dtype};
    // Bytes are pixels, unless the model itself takes bytes.
    if (array.dtype == DType::u8 && views.size() < program.inputs().size())
      view.pixels = program.values()[program.inputs()[views.size()]].desc.dtype != DType::u8;
    if (view.pixels) {
      if (array.dims.rank != 4)
        fail(ErrorCode::shape, "pixels have shape ", array.dims.text(), "; uint8 inputs are (N, H, W, C)");
      view.dims = Dims{array.dims[0], array.dims[3], array.dims[1], array.dims[2]};
    }
    views.push_back(view);
  }
  return views;
}

// Linux file names may hold anything but '/' and are at most 255 bytes long.
std::string file_name(size_t number, std::string name) {
  for (char& c : name)
    if (c == '/' || static_cast<unsigned char>(c) < 32) c = '_';
  char prefix[16];
  std::snprintf(prefix, sizeof prefix, "%04zu_", number);
  return prefix + name.substr(0, 200) + ".npy";
}

void dump(Session& session, const std::vector<InputView>& inputs, const std::string& folder) {
  size_t number = 0;
  for (const TracedTensor& tensor : session.trace(inputs, {}))
    write_npy(folder + "/" + file_name(number++, tensor.name), tensor.dtype, tensor.dims, tensor.data);
}

struct Output {
  std::string name;
  TensorDesc desc;
  std::vector<std::byte> data;

  template <class T>
  [[nodiscard]] std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
};

template <class T>
void print_range(const Output& output) {
  const auto [least, most] = std::ranges::minmax_element(output.as<T>());
  std::printf("%s %s %s: %g .. %g\n", output.name.c_str(), dtype_name(output.desc.dtype),
              output.desc.dims.text().c_str(), static_cast<double>(*least), static_cast<double>(*most));
}

void print_output(const Model& model, const Output& output) {
  const Dims& dims = output.desc.dims;
  if (output.data.empty()) {
    std::printf("%s %s %s\n", output.name.c_str(), dtype_name(output.desc.dtype), dims.text().c_str());
    return;
  }
  if (output.desc.dtype == DType::i64) return print_range<int64_t>(output);
  if (output.desc.dtype == DType::i32) return print_range<int32_t>(output);
  if (output.desc.dtype != DType::f32) return print_range<uint8_t>(output);
  print_range<float>(output);
  if (dims.rank != 2) return;
  const auto classes = static_cast<size_t>(int64_t{dims[1]});
  for (size_t row = 0; row < static_cast<size_t>(int64_t{dims[0]}); ++row) {
    const float* first = output.as<float>().data() + row * classes;
    const auto best = static_cast<size_t>(std::max_element(first, first + classes) - first);
    const bool labelled = classes == model.labels.size();
    std::printf("  %zu: class %zu%s%s\n", row, best, labelled ? " " : "", labelled ? model.labels[best].c_str() : "");
  }
}

void run_model(Session& session, const std::vector<InputView>& inputs, const Arguments& arguments) {
  std::vector<Dims> in;
  for (const InputView& input : inputs) in.push_back(input.dims);
  const std::vector<Dims> out = session.output_dims(in);
  if (!arguments.outputs.empty() && arguments.outputs.size() != out.size())
    fail(ErrorCode::invalid_argument, arguments.outputs.size(), " output files were given; the model has ", out.size(),
         " outputs");
  std::vector<Output> results;
  std::vector<void*> pointers;
  for (size_t i = 0; i < out.size(); ++i) {
    const TensorDesc desc{session.output_dtype(i), out[i], {}};
    results.push_back(
        {session.program().values()[session.program().outputs()[i]].name, desc, std::vector<std::byte>(desc.bytes())});
    pointers.push_back(results.back().data.data());
  }
  session.run(inputs, pointers);
  for (size_t i = 0; i < out.size(); ++i) {
    if (arguments.outputs.empty())
      print_output(session.program().model(), results[i]);
    else
      write_npy(arguments.outputs[i], results[i].desc.dtype, out[i], results[i].data);
  }
  if (arguments.repeat > 0) {
    std::vector<double> times;
    for (int i = 0; i < arguments.repeat; ++i) {
      const Clock::time_point start = Clock::now();
      session.run(inputs, pointers);
      times.push_back(ms_since(start));
    }
    std::ranges::sort(times);
    std::printf("%d runs, %d threads: median %.4f ms, least %.4f ms\n", arguments.repeat, session.threads(),
                times[times.size() / 2], times.front());
  }
  if (arguments.profile) print_steps(session.profile(inputs, arguments.repeat > 0 ? arguments.repeat : 10), true);
  if (!arguments.dump.empty()) dump(session, inputs, arguments.dump);
}

int run(int count, const char* const* words) {
  const Arguments arguments = parse_arguments(count, words);
  if (arguments.help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (arguments.version) {
    std::printf("fewbins-run %s (commit %s)\n", version(), commit());
    return 0;
  }
  if (arguments.self_test) return run_self_test();
  if (arguments.calibrate_cost) return run_calibration();
  SessionOptions options;
  options.threads = arguments.threads;
  options.isa = arguments.isa;
  const std::unique_ptr<Session> session = Session::open(arguments.model, options);
  std::vector<NpyArray> arrays;
  for (const std::string& path : arguments.inputs) arrays.push_back(read_npy(path));
  const std::vector<InputView> inputs = views_of(session->program(), arrays);
  if (arguments.info) print_info(*session, inputs);
  if (!inputs.empty()) run_model(*session, inputs, arguments);
  return 0;
}

}  // namespace
}  // namespace fewbins

int main(int argc, char** argv) {
  try {
    const int code = fewbins::run(argc, argv);
    if (std::fflush(stdout) == 0) return code;
    std::fprintf(stderr, "fewbins-run: cannot write to the standard output\n");
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "fewbins-run: there is not enough memory\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fewbins-run: %s\n", error.what());
  }
  return fewbins::kUsageError;
}
