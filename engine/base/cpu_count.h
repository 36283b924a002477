// SPDX-License-Identifier: Apache-2.0
// How many CPUs this process may use.
#pragma once

#include <string>

namespace fewbins {

// The CPUs of the affinity mask, lowered to the cgroup's CPU quota (rounded down). At least 1.
int usable_cpus();

// The quota of cgroup files below `root` (normally "/sys/fs/cgroup") for a process whose /proc/self/cgroup holds
// `membership`: the smallest of the group's and its parents', in whole CPUs; 0 when there is none. Versions 1 and 2.
int cgroup_cpu_quota(const std::string& root, const std::string& membership);

}  // namespace fewbins
