// SPDX-License-Identifier: Apache-2.0
// The command line of fewbins-run.
#pragma once

#include <string>
#include <vector>

namespace fewbins {

struct Arguments {
  std::string model;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::string dump;  // folder
  std::string isa;
  int threads = 0;
  int repeat = 0;
  bool profile = false;
  bool self_test = false;
  bool calibrate_cost = false;
  bool info = false;
  bool help = false;
  bool version = false;
};

extern const char* const kUsage;

// Throws Error(invalid_argument): an unknown option, a missing or wrong value.
Arguments parse_arguments(int count, const char* const* words);

}  // namespace fewbins
