// SPDX-License-Identifier: Apache-2.0
// The packings of products of few rows: four streams of columns side by side, see lut4/README.md.
#pragma once

#include "kernels/kernels.h"

namespace fewbins {

inline bool is_few_rows_packer(Packer packer) { return packer == Packer::octet_parts || packer == Packer::nibbles; }

std::size_t few_rows_panel_bytes(const GemmKernel& kernel, std::size_t taps, std::size_t channels);

/// The panel of columns first.. in Packer::octet_parts.
void pack_octets(const GemmKernel& kernel, const WeightView& weights, std::size_t first, void* panel);

}  // namespace fewbins
