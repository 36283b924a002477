// SPDX-License-Identifier: Apache-2.0
// 3x3 convolutions in exact Winograd forms: docs/numerics.md section 6.
#pragma once

#include <memory>

#include "ops/conv.h"

namespace fewbins {

// The convolution in the Winograd form with the least predicted time (conv_choice.h); nullptr where none is exact or
// the direct form is faster. A forced kernel that is a Winograd row asks for its form where that is exact.
// `parts` are taken only by a result.
std::unique_ptr<Op> make_winograd(const NodeDef& node, const OpContext& context, ConvParts& parts);

}  // namespace fewbins
