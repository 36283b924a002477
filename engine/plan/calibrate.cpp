// SPDX-License-Identifier: Apache-2.0
#include "plan/calibrate.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/aligned.h"
#include "base/cpu_cache.h"
#include "base/error.h"
#include "base/float_mode.h"
#include "kernels/winograd/forms.h"

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

constexpr size_t kSteps = 256;    // a panel of so many stays in the first-level cache
constexpr size_t kFewSteps = 16;  // shows what a call costs by itself
constexpr ActivationLevels kLevels{-127, 127};
constexpr int8_t kShortBlocks = 31;  // weights that end a block after every 8 products of a lane

/// Tiles of one kind of weight: no kernel's time depends on values, but blocks of 16-bit sums do.
class Tiles {
 public:
  Tiles(const GemmKernel& kernel, size_t steps, int8_t weight, size_t panels = 1)
      : kernel_(kernel),
        channels_(kernel.family == Family::f32         ? steps
                  : kernel.family == Family::dot32_i16 ? 2 * steps
                                                       : 4 * steps),
        columns_(panels * kernel.nr) {
    if (kernel.family == Family::f32) {
      const std::vector<float> w(columns_ * channels_);
      allocate();
      pack_f32(kernel, w.data(), columns_, 1, channels_, packed_.data());
    } else if (kernel.family == Family::dot32_i16) {
      const std::vector<int16_t> w(columns_ * channels_);
      allocate();
      pack_i16(kernel, w.data(), columns_, 1, channels_, packed_.data());
    } else {
      const std::vector<int8_t> w(columns_ * channels_, weight);
      const WeightView view{w.data(), columns_, 1, channels_};
      if (kernel.family == Family::dot16) block_ = block_for(kernel, view, kLevels);
      allocate();
      pack(kernel, view, kLevels, block_, packed_.data());
    }
  }

  void run(size_t m, size_t panel = 0) {
    kernel_.run({pointers_.data(), 1, depth(), packed_.data() + panel * bytes_of_panel(), tile_.data(), block_, m});
  }
  [[nodiscard]] size_t depth() const { return depth_of(kernel_, channels_); }
  [[nodiscard]] size_t bytes_of_panel() const { return panel_bytes(kernel_, 1, channels_, block_); }
  [[nodiscard]] double blocks() const {
    return block_ == 0 ? 0.0 : static_cast<double>((depth() + block_ - 1) / block_);
  }

 private:
  void allocate() {
    packed_ = AlignedBytes(packed_bytes(kernel_, columns_, 1, channels_, block_));
    tile_ = AlignedBytes(kernel_.mr * kernel_.nr * 4);
    rows_ = AlignedBytes(channels_ * 4);
    pointers_.assign(kernel_.mr, rows_.data());
  }

  const GemmKernel& kernel_;
  size_t channels_;
  size_t columns_;
  size_t block_ = 0;
  AlignedBytes rows_;
  AlignedBytes packed_;
  AlignedBytes tile_;
  std::vector<const void*> pointers_;
};

KernelCost measure_gemm(const GemmKernel& kernel) {
  Tiles many(kernel, kSteps, 0);
  Tiles few(kernel, kFewSteps, 0);
  const auto rows = static_cast<double>(kernel.mr);
  const double full = time_ps([&] { many.run(kernel.mr); });
  const double call = time_ps([&] { few.run(kernel.mr); });
  const auto steps = static_cast<double>(many.depth());
  const double per_step = (full - call) / static_cast<double>(many.depth() - few.depth());
  KernelCost cost;
  cost.call = std::max(0.0, full - steps * per_step);
  const double one = kernel.mr == 1 ? per_step : (time_ps([&] { many.run(1); }) - cost.call) / steps;
  cost.row = kernel.mr == 1 ? per_step : std::max(0.0, (per_step - one) / (rows - 1));
  cost.step = std::max(0.0, per_step - rows * cost.row);
  if (kernel.family == Family::dot16) {
    Tiles cut(kernel, kSteps, kShortBlocks);
    const double more = time_ps([&] { cut.run(kernel.mr); }) - full;
    cost.block = std::max(0.0, more / rows / (cut.blocks() - many.blocks()));
  }
  return cost;
}

/// Both transforms over a line of tiles, per channel or column of a tile.
KernelCost measure_winograd(const WinogradKernel& kernel) {
  constexpr size_t kTiles = 14;
  constexpr size_t kChannels = 128;
  constexpr size_t kColumns = 32;
  const WinogradMatrices& form = matrices_of(kernel.form);
  const size_t pixels_in_line = kTiles * form.tile + 2;
  const AlignedBytes pixel(kChannels);
  const std::vector<const uint8_t*> pixels(form.input_rows() * pixels_in_line, pixel.as<uint8_t>());
  const std::vector<uint8_t> offsets(form.positions(), 0);
  // Positions an odd number of cache lines apart, as the operator keeps them.
  const size_t tile_bytes = kChannels * (form.bytes ? 1 : 2);
  const size_t position_bytes = kTiles * tile_bytes + 64;
  AlignedBytes v(form.positions() * position_bytes);
  const size_t sums_stride = kTiles * kColumns + 16;
  const AlignedBytes sums(form.positions() * sums_stride * sizeof(int32_t));
  const AlignedBytes constants(form.outputs() * kColumns * sizeof(int32_t));
  AlignedBytes acc(form.outputs() * kTiles * kColumns * sizeof(int32_t));
  const double input = time_ps([&] {
    kernel.input({.pixels = pixels.data(),
                  .columns = pixels_in_line,
                  .tiles = kTiles,
                  .channels = kChannels,
                  .lo = 0,
                  .offsets = offsets.data(),
                  .v = v.data(),
                  .tile_bytes = tile_bytes,
                  .position_bytes = position_bytes});
  });
  const double output = time_ps([&] {
    kernel.output({.sums = sums.as<int32_t>(),
                   .position_stride = sums_stride,
                   .tiles = kTiles,
                   .columns = kColumns,
                   .constants = constants.as<int32_t>(),
                   .acc = acc.as<int32_t>(),
                   .line_stride = kTiles * form.tile * kColumns});
  });
  return {.step = input / kTiles / kChannels, .row = output / kTiles / kColumns};
}

/// What weights cost per byte that come from beyond the near caches: a product over `bytes` of panels, one after the
/// other, against one panel again and again.
KernelCost measure_weights(size_t bytes) {
  const GemmKernel& kernel = select_gemm(Family::dot32, detect_isa(), {.n = 64, .taps = 1, .channels = 4 * kSteps});
  Tiles near(kernel, kSteps, 0);
  const size_t panels = bytes / near.bytes_of_panel();
  Tiles far(kernel, kSteps, 0, panels);
  const double warm = time_ps([&] { near.run(kernel.mr); });
  const double all = time_ps([&] {
    for (size_t panel = 0; panel < panels; ++panel) far.run(kernel.mr, panel);
  });
  return {.step =
              std::max(0.0, (all / static_cast<double>(panels) - warm) / static_cast<double>(near.bytes_of_panel()))};
}

[[noreturn]] void fail_save(const std::string& path) {
  fail(ErrorCode::io, "cannot write the cost table '", path, "': ", std::strerror(errno),
       "; set FEWBINS_CACHE_DIR to a folder that can be written");
}

}  // namespace

std::vector<NamedCost> calibrate_costs(const std::function<void(size_t, size_t)>& progress) {
  const FloatMode mode;
  std::vector<std::pair<std::string, std::function<KernelCost()>>> rows;
  for (const GemmKernel& kernel : gemm_kernels()) {
    const bool chosen_by_cost = kernel.family == Family::f32 || kernel.family == Family::dot32 ||
                                kernel.family == Family::dot16 || kernel.family == Family::dot32_i16;
    const bool by_rule = (kernel.flags & kernel_flag::few_rows) != 0;  // memory bounds these
    if (chosen_by_cost && !by_rule && runs_here(kernel.isa))
      rows.emplace_back(kernel.name, [&] { return measure_gemm(kernel); });
  }
  for (const WinogradKernel& kernel : winograd_kernels())
    if (runs_here(kernel.isa)) rows.emplace_back(kernel.name, [&] { return measure_winograd(kernel); });
  const size_t cache = last_cache_bytes();
  rows.emplace_back("weights_l3", [&] { return measure_weights(cache / 2); });
  rows.emplace_back("weights_dram", [&] { return measure_weights(4 * cache); });
  std::vector<NamedCost> costs;
  for (const auto& [name, measure] : rows) {
    costs.push_back({name, measure()});
    progress(costs.size(), rows.size());
  }
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
