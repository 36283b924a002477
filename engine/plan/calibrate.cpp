// SPDX-License-Identifier: Apache-2.0
#include "plan/calibrate.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "base/aligned.h"
#include "base/error.h"
#include "base/float_mode.h"

namespace fewbins {
namespace {

constexpr int kRuns = 40;
constexpr double kRunPs = 40e6;  // length of a run: long against the clock, short against a time slice

/// Picoseconds of one call, warm: the fastest of many short runs.
template <class Call>
double time_ps(Call call) {
  using Clock = std::chrono::steady_clock;
  const auto run = [&](size_t calls) {
    const auto start = Clock::now();
    for (size_t i = 0; i < calls; ++i) call();
    return std::chrono::duration<double, std::pico>(Clock::now() - start).count();
  };
  run(1);
  const auto calls = static_cast<size_t>(std::clamp(kRunPs / std::max(run(2) / 2, 1.0), 1.0, 1e6));
  double least = run(calls);
  for (int i = 1; i < kRuns; ++i) least = std::min(least, run(calls));
  return least / static_cast<double>(calls);
}

/// Channels of one tap that make kSteps steps, so that a panel stays in the first-level cache.
constexpr size_t kSteps = 256;
size_t channels_of(const GemmKernel& kernel) {
  if (kernel.family == Family::f32) return kSteps;
  return kernel.family == Family::dot32_i16 ? 2 * kSteps : 4 * kSteps;
}

struct TileRun {
  TileRun(const GemmKernel& of, size_t quads_per_block, size_t panel_count = 1)
      : kernel(of),
        block(quads_per_block),
        panels(panel_count),
        channels(channels_of(of)),
        bytes(panel_bytes(of, 1, channels, quads_per_block)),
        rows(channels * 4 + kReadPadding),
        packed(bytes * panel_count),
        tile(of.mr * of.nr * 4),
        pointers(of.mr, rows.data()) {
    std::memset(rows.data(), 0, rows.size());
    std::memset(packed.data(), 0, packed.size());
  }
  void operator()(size_t m, size_t panel = 0) {
    kernel.run({pointers.data(), 1, depth_of(kernel, channels), packed.data() + panel * bytes, tile.data(), block, m});
  }

  const GemmKernel& kernel;
  size_t block;
  size_t panels;
  size_t channels;
  size_t bytes;
  AlignedBytes rows;
  AlignedBytes packed;
  AlignedBytes tile;
  std::vector<const void*> pointers;
};

KernelCost measure_gemm(const GemmKernel& kernel) {
  const bool blocked = kernel.family == Family::dot16;
  TileRun run(kernel, blocked ? kSteps : 0);
  const auto rows = static_cast<double>(kernel.mr);
  const double steps = kSteps;
  const double full = time_ps([&] { run(kernel.mr); });
  const double one = kernel.mr == 1 ? full : time_ps([&] { run(1); });
  KernelCost cost;
  cost.row = kernel.mr == 1 ? full / steps : std::max(0.0, (full - one) / (rows - 1) / steps);
  cost.step = std::max(0.0, full / steps - rows * cost.row);
  if (blocked) {
    constexpr size_t kShort = 4;
    TileRun cut(kernel, kShort);
    const double more = time_ps([&] { cut(kernel.mr); }) - full;
    cost.block = std::max(0.0, more / rows / (steps / kShort - 1));
  }
  return cost;
}

/// What weights cost that come from beyond the second-level cache, per byte.
KernelCost measure_cold() {
  constexpr size_t kBytes = size_t{16} << 20;
  const GemmKernel& kernel = select_gemm(Family::dot32, detect_isa(), {.n = 64, .taps = 1, .channels = 4 * kSteps});
  TileRun run(kernel, 0, 1);
  const size_t panels = kBytes / run.bytes;
  TileRun cold(kernel, 0, panels);
  const double warm = time_ps([&] { run(kernel.mr); });
  const double all = time_ps([&] {
    for (size_t panel = 0; panel < panels; ++panel) cold(kernel.mr, panel);
  });
  return {.step = std::max(0.0, (all / static_cast<double>(panels) - warm) / static_cast<double>(run.bytes))};
}

[[noreturn]] void fail_save(const std::string& path) {
  fail(ErrorCode::io, "cannot write the cost table '", path, "': ", std::strerror(errno),
       "; set FEWBINS_CACHE_DIR to a folder that can be written");
}

}  // namespace

std::vector<NamedCost> calibrate_costs(const std::function<void(size_t, size_t)>& progress) {
  const FloatMode mode;
  std::vector<const GemmKernel*> rows;
  for (const GemmKernel& kernel : gemm_kernels()) {
    const bool chosen_by_cost = kernel.family == Family::f32 || kernel.family == Family::dot32 ||
                                kernel.family == Family::dot16 || kernel.family == Family::dot32_i16;
    if (chosen_by_cost && runs_here(kernel.isa)) rows.push_back(&kernel);
  }
  std::vector<NamedCost> costs;
  for (const GemmKernel* kernel : rows) {
    costs.push_back({kernel->name, measure_gemm(*kernel)});
    progress(costs.size(), rows.size() + 1);
  }
  costs.push_back({"weights_cold", measure_cold()});
  progress(costs.size(), costs.size());
  return costs;
}

void save_costs(const std::vector<NamedCost>& costs) {
  const std::string path = cost_file();
  if (path.empty()) fail(ErrorCode::io, "there is no folder for the cost table; set FEWBINS_CACHE_DIR");
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  const std::string text = costs_to_text(costs);
  const std::string temporary = path + "." + std::to_string(::getpid());
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) fail_save(path);
  const bool written =
      ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(file) == 0;
  ::close(file);
  if (!written || std::rename(temporary.c_str(), path.c_str()) != 0) {
    ::unlink(temporary.c_str());
    fail_save(path);
  }
}

}  // namespace fewbins
