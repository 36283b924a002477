// SPDX-License-Identifier: Apache-2.0
// 3x3 convolutions in exact Winograd forms: docs/numerics.md section 6.
#pragma once

#include <memory>

#include "kernels/winograd/forms.h"
#include "ops/conv.h"

namespace fewbins {

// How many times faster than the direct form a Winograd form is estimated to be, for an output of height x width pixels.
double winograd_gain(const WinogradMatrices& matrices, Isa isa, const ProductShape& shape, int64_t height,
                     int64_t width);

// The convolution in its best Winograd form; nullptr where none is exact or the direct form is faster. A forced kernel
// that is a Winograd row asks for its form, any other for the direct one. `parts` are taken only by a result.
std::unique_ptr<Op> make_winograd(const NodeDef& node, const OpContext& context, ConvParts& parts);

}  // namespace fewbins
