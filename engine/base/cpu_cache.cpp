// SPDX-License-Identifier: Apache-2.0
#include "base/cpu_cache.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace fewbins {

std::size_t last_cache_bytes() {
  constexpr std::size_t kUnknown = std::size_t{8} << 20;
  std::size_t largest = 0;
  for (int i = 0; i < 8; ++i) {
    std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/size");
    std::size_t kibibytes = 0;  // "32768K"
    if (file >> kibibytes) largest = std::max(largest, kibibytes * 1024);
  }
  return largest != 0 ? largest : kUnknown;
}

}  // namespace fewbins
