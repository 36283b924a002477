// SPDX-License-Identifier: Apache-2.0
#include "arguments.h"

#include <charconv>
#include <string_view>

#include "base/error.h"

namespace fewbins {

const char* const kUsage =
    R"(usage: fewbins-run MODEL [--info] [--input FILE.npy ...] [--output FILE.npy ...] [options]
       fewbins-run --self-test
       fewbins-run --calibrate-cost

Runs a .fewbins model. Inputs are arrays of the model's type (--info), float32 (N, C, H, W) as a rule, or uint8 pixels
(N, H, W, C) where the model carries its preprocessing; one file per input of the model, in its order.

  --info            what the model takes and gives, and its steps
  --input FILE...   run on these arrays
  --output FILE...  write the outputs; without it, a summary is printed
  --threads N       default: FEWBINS_NUM_THREADS, else what affinity and cgroup allow
  --isa NAME        cap on the instruction set: scalar, ssse3, avx2, vnni, neon, ...
  --repeat N        run N times more and print the median and least time of a run
  --profile         print the median time of every step (of 10 runs, or of --repeat)
  --dump DIR        write every activation: NNNN_NAME.npy (levels: uint8 u = q - lo), in the model's axis order
  --self-test       run every kernel of this CPU against plain arithmetic
  --calibrate-cost  measure what every kernel costs on this CPU, and keep it for later runs
  --help, --version

Exit codes: 0 done, 1 a check failed, 2 usage or unusable input.
)";

namespace {

int number_of(std::string_view option, std::string_view text, int lo, int hi) {
  int value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || value < lo || value > hi)
    fail(ErrorCode::invalid_argument, option, " is '", text, "'; it must be a number from ", lo, " to ", hi);
  return value;
}

}  // namespace

Arguments parse_arguments(int count, const char* const* words) {
  Arguments result;
  int at = 1;
  const auto value = [&](std::string_view option) -> std::string {
    if (at >= count) fail(ErrorCode::invalid_argument, option, " needs a value; see fewbins-run --help");
    return words[at++];
  };
  const auto list = [&](std::string_view option, std::vector<std::string>& values) {
    values.push_back(value(option));
    while (at < count && !std::string_view(words[at]).starts_with("--")) values.emplace_back(words[at++]);
  };
  while (at < count) {
    const std::string_view word = words[at++];
    if (word == "--input") {
      list(word, result.inputs);
    } else if (word == "--output") {
      list(word, result.outputs);
    } else if (word == "--dump") {
      result.dump = value(word);
    } else if (word == "--isa") {
      result.isa = value(word);
    } else if (word == "--threads") {
      result.threads = number_of(word, value(word), 1, 1024);
    } else if (word == "--repeat") {
      result.repeat = number_of(word, value(word), 1, 1'000'000);
    } else if (word == "--profile") {
      result.profile = true;
    } else if (word == "--self-test") {
      result.self_test = true;
    } else if (word == "--calibrate-cost") {
      result.calibrate_cost = true;
    } else if (word == "--info") {
      result.info = true;
    } else if (word == "--help" || word == "-h") {
      result.help = true;
    } else if (word == "--version") {
      result.version = true;
    } else if (word.starts_with("-") || !result.model.empty()) {
      fail(ErrorCode::invalid_argument, "'", word, "' is not an option; see fewbins-run --help");
    } else {
      result.model = word;
    }
  }
  if (result.help || result.version || result.self_test || result.calibrate_cost) return result;
  if (result.model.empty()) fail(ErrorCode::invalid_argument, "no model was given; see fewbins-run --help");
  if (result.inputs.empty() && !result.info)
    fail(ErrorCode::invalid_argument, "nothing to do: give --input or --info; see fewbins-run --help");
  return result;
}

}  // namespace fewbins
