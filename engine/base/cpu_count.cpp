// SPDX-License-Identifier: Apache-2.0
#include "base/cpu_count.h"

#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

namespace fewbins {
namespace {

std::string read_text(const std::string& path) {
  const std::ifstream file(path);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

// Whole CPUs of "max 100000" or "150000 100000"; 0 for no limit or anything unreadable.
int cpus_of(const std::string& quota_and_period) {
  std::istringstream words(quota_and_period);
  long long quota = 0;
  long long period = 0;
  if (!(words >> quota >> period) || quota <= 0 || period <= 0) return 0;
  return static_cast<int>(std::clamp<long long>(quota / period, 1, 1 << 16));
}

int smaller_limit(int a, int b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

// True when the controllers of a version 1 line ("4:cpu,cpuacct:/path") hold "cpu".
bool has_cpu(const std::string& controllers) {
  std::istringstream names(controllers);
  for (std::string name; std::getline(names, name, ',');)
    if (name == "cpu") return true;
  return false;
}

}  // namespace

int cgroup_cpu_quota(const std::string& root, const std::string& membership) {
  int limit = 0;
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool version2 = controllers.empty();
    if (!version2 && !has_cpu(controllers)) continue;
    std::string path = line.substr(second + 1);
    const std::string base = version2 ? root : root + "/cpu";
    while (true) {
      if (path == "/") path.clear();
      const std::string folder = base + path;
      const std::string text =
          version2 ? read_text(folder + "/cpu.max")
                   : read_text(folder + "/cpu.cfs_quota_us") + " " + read_text(folder + "/cpu.cfs_period_us");
      limit = smaller_limit(limit, cpus_of(text));
      if (path.empty()) break;
      const size_t slash = path.rfind('/');
      path = slash == std::string::npos ? "" : path.substr(0, slash);
    }
  }
  return limit;
}

int usable_cpus() {
  int cpus = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = std::max(1, CPU_COUNT(&set));
  cpus = smaller_limit(cpus, cgroup_cpu_quota("/sys/fs/cgroup", read_text("/proc/self/cgroup")));
#endif
  return cpus;
}

}  // namespace fewbins
