// SPDX-License-Identifier: Apache-2.0
// What the forms of a convolution share.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "ops/op.h"
#include "ops/product.h"
#include "ops/weights.h"
#include "ops/window.h"

namespace fewbins {

struct ConvParts {
  Window window;
  ProductShape shape;
  Weights weights;            // (O, I/groups, kH, kW)
  std::vector<int32_t> bias;  // integer arithmetic only
  AffineInfo input;
  bool integer = false;
};

ConvParts read_conv(const NodeDef& node, const OpContext& context);
void infer_conv(const NodeDef& node, const ConvParts& parts, std::span<const TensorDesc> in, std::span<TensorDesc> out);

// A convolution whose every channel has one filter of its own.
std::unique_ptr<Op> make_depthwise(const NodeDef& node, const OpContext& context, ConvParts parts);

}  // namespace fewbins
