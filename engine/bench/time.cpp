// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "bench/bench.h"

namespace fewbins::bench {
namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr double kGroupSeconds = 20e-6;
constexpr std::size_t kPool = 1 << 16;

}  // namespace

std::vector<double> time_calls(Subject& subject, double seconds, std::size_t least, bool cold) {
  std::vector<double> times;
  std::size_t group = 1;
  const double end = seconds_now() + seconds;
  // The first call brings caches and clock up and is not counted.
  if (!cold) {
    const double start = seconds_now();
    subject.call();
    const double once = std::max(seconds_now() - start, 1e-9);
    group = static_cast<std::size_t>(std::max(1.0, std::ceil(kGroupSeconds / once)));
  }
  while (times.size() < least || seconds_now() < end) {
    if (cold) subject.cool();
    const double start = seconds_now();
    for (std::size_t i = 0; i < group; ++i) subject.call();
    times.push_back((seconds_now() - start) / static_cast<double>(group) * 1e3);
  }
  return times;
}

std::vector<std::int8_t> draw_weights(std::size_t columns, std::size_t depth, std::int32_t magnitude,
                                      WeightShape shape) {
  std::mt19937 random(1);
  std::vector<std::int8_t> weights(columns * depth);
  if (shape == WeightShape::worst) {
    // Equal signs in a pair and in a block: nothing cancels.
    std::fill(weights.begin(), weights.end(), static_cast<std::int8_t>(magnitude));
    return weights;
  }
  // Columns start anywhere in one pool of numbers: drawing each on its own takes seconds for large layers.
  std::normal_distribution<float> normal;
  std::vector<float> pool(kPool);
  for (float& w : pool) w = normal(random);
  for (std::size_t n = 0; n < columns; ++n) {
    const std::size_t first = random() % kPool;
    float top = 0.0F;
    for (std::size_t k = 0; k < depth; ++k) top = std::max(top, std::abs(pool[(first + k) % kPool]));
    const float scale = static_cast<float>(magnitude) / top;
    for (std::size_t k = 0; k < depth; ++k)
      weights[n * depth + k] = static_cast<std::int8_t>(std::lrint(pool[(first + k) % kPool] * scale));
  }
  return weights;
}

}  // namespace fewbins::bench
