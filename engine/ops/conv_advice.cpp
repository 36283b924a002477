// SPDX-License-Identifier: Apache-2.0
#include "ops/conv_advice.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ops/conv.h"
#include "ops/conv_choice.h"

namespace fewbins {
namespace {

struct Candidate {
  const char* scheme;
  ActivationLevels levels;
  int weight;  // largest magnitude
};

// Most bins first.
constexpr std::array<Candidate, 5> kCandidates = {{{"8bit", {-128, 127}, 127},
                                                   {"255x33", {-127, 127}, 16},
                                                   {"128x85", {-64, 63}, 42},
                                                   {"64x29", {-32, 31}, 14},
                                                   {"23x23", {-11, 11}, 11}}};
constexpr double kFaster = 0.9;  // less is within what predictions are worth
constexpr double kClose = 1.05;

// The layer with other bins: every channel's weights scaled so that its largest takes the end of the range.
ConvParts with_bins(ConvParts parts, const Candidate& candidate) {
  std::vector<int8_t>& w = parts.weights.integers;
  const size_t depth = w.size() / static_cast<size_t>(parts.shape.columns);
  for (size_t first = 0; first < w.size(); first += depth) {
    int largest = 1;
    for (size_t i = first; i < first + depth; ++i) largest = std::max(largest, std::abs(int{w[i]}));
    const float scale = static_cast<float>(candidate.weight) / static_cast<float>(largest);
    for (size_t i = first; i < first + depth; ++i)
      w[i] = static_cast<int8_t>(std::lrint(static_cast<float>(w[i]) * scale));
  }
  parts.input.lo = candidate.levels.lo;
  parts.input.hi = candidate.levels.hi;
  return parts;
}

}  // namespace

std::vector<Advice> advise(const Model& model, Isa isa) {
  std::vector<Advice> all;
  MemoryBudget budget = model.budget;
  const OpContext context{.model = model, .budget = budget, .isa = isa, .forced_kernel = {}};
  for (const NodeDef& node : model.nodes) {
    if (node.op != "Conv") continue;
    const ConvParts parts = read_conv(node, context);
    if (!parts.integer || parts.shape.groups != 1) continue;
    const ConvSize size = declared_size(node, context, parts);
    const std::optional<double> now = predict_best(context, parts, size);
    if (!now) continue;
    std::array<double, kCandidates.size()> times{};
    for (size_t i = 0; i < kCandidates.size(); ++i)
      times[i] = predict_best(context, with_bins(parts, kCandidates[i]), size).value_or(*now) / *now;
    const double least = *std::ranges::min_element(times);
    if (least > kFaster) continue;
    const auto found = std::ranges::find_if(times, [&](double t) { return t <= kClose * least && t <= kFaster; });
    all.push_back({node.name, kCandidates[static_cast<size_t>(found - times.begin())].scheme, *found});
  }
  return all;
}

}  // namespace fewbins
