// SPDX-License-Identifier: Apache-2.0
// Panels of the ARM rows and the proof of their 16-bit sums; pack.cpp hands over to these by packer.
#pragma once

#include "kernels/kernels.h"

namespace fewbins {

/// Whether pack_arm() lays a packer's panels out.
bool is_arm_packer(Packer packer);
/// As panel_bytes(), unrounded. Throws std::bad_alloc where an address space cannot hold it.
std::size_t arm_panel_bytes(const GemmKernel& kernel, std::size_t taps, std::size_t channels, std::size_t block);
/// Packs the panel whose first column is `first`; the panel's bytes are zero before.
void pack_arm(const GemmKernel& kernel, const WeightView& weights, std::size_t first, std::int32_t lo,
              std::size_t block, std::byte* panel);

/// block_is_exact() and block_for() for the two packers of 16-bit sums.
bool arm_block_is_exact(Packer packer, const WeightView& weights, ActivationLevels levels, std::size_t block);
std::size_t arm_block_for(Packer packer, const WeightView& weights, ActivationLevels levels);

}  // namespace fewbins
