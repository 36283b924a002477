// SPDX-License-Identifier: Apache-2.0
// Which other bins a convolution would run faster with on this CPU.
#pragma once

#include <string>
#include <vector>

#include "ops/op.h"

namespace fewbins {

struct Advice {
  std::string node;
  std::string scheme;  // "64x29"
  double time;         // predicted, as a fraction of the time of the scheme that the layer has
};

// For every integer convolution of the model: the scheme with the most bins among those that are predicted clearly
// faster than its own and close to the fastest. Weights of other bins are this layer's, scaled to their range, so that
// blocks and proofs are those of weights of this shape. Nothing where a kernel's cost is unknown.
std::vector<Advice> advise(const Model& model, Isa isa);

}  // namespace fewbins
