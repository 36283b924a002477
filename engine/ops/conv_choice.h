// SPDX-License-Identifier: Apache-2.0
// Which form of a convolution is fastest: predicted times of the direct product and of the Winograd forms.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "kernels/kernels.h"
#include "kernels/winograd/forms.h"
#include "ops/op.h"

namespace fewbins {

// A convolution as its cost sees it.
struct ConvSize {
  std::size_t height = 1;  // of the output
  std::size_t width = 1;
  std::size_t channels = 1;
  std::size_t columns = 1;
  std::size_t model_bytes = 0;  // weights of the whole model: where this layer's come from
};

// Output sizes as the file declares them; what is free counts as 28.
ConvSize declared_size(const NodeDef& node, const OpContext& context);

// Predicted picoseconds; nothing where a kernel's cost is unknown.
std::optional<double> predict_direct(const GemmChoice& choice, std::size_t taps, const ConvSize& size);

// A product of one position: its row, and the quads per block of dot16.
struct PositionChoice {
  const GemmKernel* kernel;
  std::size_t block;
};
std::optional<double> predict_winograd(const WinogradKernel& transforms, std::span<const PositionChoice> positions,
                                       const ConvSize& size);

// Before the weights have been transformed: byte forms in blocks as long as the depth.
std::optional<double> predict_winograd_at_best(const WinogradKernel& transforms, Isa isa, const ConvSize& size);

}  // namespace fewbins
