// SPDX-License-Identifier: Apache-2.0
// Multiply-adds per second of every tile kernel with its operands in the second-level cache: the 3x3 convolution of 256
// channels to 256 on 14 x 14 pixels, that is 196 x 256 x 2304. Not a test: run it alone on a core, `taskset -c 1`.
//   bench_gemm [part of a kernel's name]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "kernels/kernels.h"

namespace {

using fewbins::AlignedBytes;
using fewbins::GemmKernel;

constexpr std::size_t kM = 196;
constexpr std::size_t kN = 256;
constexpr std::size_t kTaps = 9;
constexpr std::size_t kChannels = 256;

struct Case {
  const char* name;
  fewbins::ActivationLevels levels;
  int weight_magnitude;
};

constexpr Case kCases[] = {{"8bit", {-128, 127}, 127},
                           {"255x65", {-127, 127}, 32},
                           {"255x33", {-127, 127}, 16},
                           {"64x29", {-32, 31}, 14},
                           {"23x23", {-11, 11}, 11}};

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// GMAC/s, the best of many short runs: other work on the machine only makes a run slower.
double measure(const GemmKernel& kernel, std::size_t block, const AlignedBytes& packed, const AlignedBytes& input) {
  const std::size_t item = kernel.family == fewbins::Family::f32 ? sizeof(float) : 1;
  const std::size_t tiles = (kM + kernel.mr - 1) / kernel.mr;
  std::vector<const void*> rows(tiles * kTaps * kernel.mr);
  for (std::size_t i = 0; i < tiles * kernel.mr; ++i) {
    for (std::size_t t = 0; t < kTaps; ++t) {
      const std::size_t pixel = (std::min(i, kM - 1) + t * 7) % kM;
      rows[(i / kernel.mr * kTaps + t) * kernel.mr + i % kernel.mr] = input.data() + pixel * kChannels * item;
    }
  }
  AlignedBytes tile(kernel.mr * kernel.nr * 4);
  const std::size_t panel = fewbins::panel_bytes(kernel, kTaps, kChannels, block);
  double best = 1e9;
  for (int round = 0; round < 30; ++round) {
    const double start = seconds();
    for (std::size_t n = 0; n < kN; n += kernel.nr) {
      for (std::size_t i = 0; i < tiles; ++i) {
        kernel.run({rows.data() + i * kTaps * kernel.mr, kTaps, fewbins::depth_of(kernel, kChannels),
                    packed.data() + n / kernel.nr * panel, tile.data(), block,
                    std::min(kernel.mr, kM - i * kernel.mr)});
      }
    }
    best = std::min(best, seconds() - start);
  }
  return static_cast<double>(kM * kN * kTaps * kChannels) / best * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  std::mt19937 random(1);
  const fewbins::Isa cap = fewbins::detect_isa();
  AlignedBytes input(kM * kChannels * sizeof(float));
  std::vector<std::int8_t> w(kN * kTaps * kChannels);
  std::vector<float> w_f32(w.size());
  for (const GemmKernel& kernel : fewbins::gemm_kernels()) {
    if (kernel.isa > cap || (argc > 1 && std::strstr(kernel.name, argv[1]) == nullptr)) continue;
    for (const Case& c : kCases) {
      const bool is_float = kernel.family == fewbins::Family::f32;
      if ((kernel.family != fewbins::Family::dot16) != (&c == &kCases[0])) continue;
      std::uniform_int_distribution<int> weight(-c.weight_magnitude, c.weight_magnitude);
      std::uniform_int_distribution<int> level(0, c.levels.hi - c.levels.lo);
      for (auto& x : w) x = static_cast<std::int8_t>(weight(random));
      for (std::size_t i = 0; i < w.size(); ++i) w_f32[i] = w[i];
      for (std::size_t i = 0; i < kM * kChannels; ++i) {
        if (is_float) {
          input.as<float>()[i] = static_cast<float>(level(random));
        } else {
          input.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(level(random));
        }
      }
      const fewbins::WeightView view{w.data(), kN, kTaps, kChannels};
      std::vector<std::size_t> blocks{0};
      if (kernel.family == fewbins::Family::dot16) {
        const int product = std::max(-c.levels.lo, c.levels.hi) * c.weight_magnitude;
        const std::size_t worst = static_cast<std::size_t>(32767 / product) / 2;
        blocks = {worst, fewbins::block_for(view, c.levels)};
      }
      for (const std::size_t block : blocks) {
        AlignedBytes packed(fewbins::packed_bytes(kernel, kN, kTaps, kChannels, block));
        if (is_float) {
          fewbins::pack_f32(kernel, w_f32.data(), kN, kTaps, kChannels, packed.data());
        } else {
          fewbins::pack(kernel, view, c.levels, block, packed.data());
        }
        std::printf("%-28s %-7s block %3zu  %7.1f GMAC/s\n", kernel.name, is_float ? "float" : c.name, block,
                    measure(kernel, block, packed, input));
      }
    }
  }
  return 0;
}
