// SPDX-License-Identifier: Apache-2.0
// Packing of dot16 panels that carry the lengths of their blocks: dot16/README.md, `steps`.
#pragma once

#include "kernels/kernels.h"

namespace fewbins {

/// Bytes that a panel takes at most if blocks of `block` quads are proven.
std::size_t steps_bytes(const GemmKernel& kernel, std::size_t taps, std::size_t channels, std::size_t block);

/// Packs the columns from `first` on into one panel; every block is as long as the panel's weights allow.
void pack_steps(const GemmKernel& kernel, const WeightView& weights, std::size_t first, ActivationLevels levels,
                std::byte* panel);

}  // namespace fewbins
