// SPDX-License-Identifier: Apache-2.0
#include "base/cpu_name.h"

#include <sys/utsname.h>

#include <fstream>
#include <string_view>

namespace fewbins {

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::string_view text(line);
    if (!text.starts_with("model name") && !text.starts_with("Hardware") && !text.starts_with("Model\t")) continue;
    const size_t colon = text.find(": ");
    if (colon != std::string_view::npos) return std::string(text.substr(colon + 2));
  }
  struct utsname system{};
  return ::uname(&system) == 0 ? system.machine : "unknown";
}

}  // namespace fewbins
