// SPDX-License-Identifier: Apache-2.0
// Which form of a convolution is fastest: predicted times of the direct product and of the Winograd forms.
#pragma once

#include <cstddef>
#include <optional>

#include "ops/conv.h"
#include "ops/winograd_weights.h"

namespace fewbins {

// A convolution as its cost sees it.
struct ConvSize {
  std::size_t height = 1;  // of the output
  std::size_t width = 1;
  std::size_t channels = 1;
  std::size_t columns = 1;
  std::size_t model_bytes = 0;  // weights of the whole model: where this layer's come from
};

// Output sizes as the file declares them, channels as the weights have them; what is free counts as 28.
ConvSize declared_size(const NodeDef& node, const OpContext& context, const ConvParts& parts);

// 3x3, stride 1, not dilated, one group.
bool has_winograd_window(const ConvParts& parts);

struct WinogradChoice {
  const WinogradKernel* transforms;
  WinogradWeights weights;
};
// For a convolution with a Winograd window: the form that a forced Winograd row asks for; else the form with the least
// predicted time, if that is less than the direct product's. Only forms that are exact for these weights and levels.
std::optional<WinogradChoice> choose_winograd(const OpContext& context, const ConvParts& parts, const ConvSize& size);

// Predicted picoseconds of the direct product, and of the best form; nothing where a kernel's cost is unknown.
std::optional<double> predict_direct(const OpContext& context, const ConvParts& parts, const ConvSize& size);
std::optional<double> predict_best(const OpContext& context, const ConvParts& parts, const ConvSize& size);

}  // namespace fewbins
