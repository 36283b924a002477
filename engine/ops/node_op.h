// SPDX-License-Identifier: Apache-2.0
// What all operators share: the name that their messages start with, and checks of their operands.
#pragma once

#include <span>
#include <string_view>

#include "ops/attrs.h"
#include "ops/op.h"

namespace fewbins {

class NodeOp : public Op {
 protected:
  explicit NodeOp(const NodeDef& node) {
    node_.op = node.op;
    node_.name = node.name;
  }

  NodeDef node_;  // op and name only, for messages
};

// Fails unless the node has lo..hi inputs and this many outputs; descriptions of all of them are then known.
void check_arity(const NodeDef& node, size_t lo, size_t hi, size_t outputs = 1);

// The operand's description; fails unless its dtype is `dtype`.
TensorDesc require_input(const NodeDef& node, const OpContext& context, size_t slot, DType dtype);
TensorDesc require_output(const NodeDef& node, const OpContext& context, DType dtype);

// For operators that move elements: inputs and output have one dtype and, as levels, one affine.
void require_same_type(const NodeDef& node, const OpContext& context);
// The same for operators that compare elements or bring in one of their own: float32 or levels.
void require_same_real_type(const NodeDef& node, const OpContext& context);

// The rows that a product will have, as far as the model says: all sizes but that of `axis`. A free batch counts as 1,
// since that is where rows are few and speed depends on them; 0 where another size is free.
int64_t expected_rows(const Dims& dims, int axis);

// infer(): fails unless the tensor has this rank.
void require_rank(const NodeDef& node, const TensorDesc& desc, int rank);

// infer(): fails unless the second input, where there is one, has the output's shape.
void require_residual(const NodeDef& node, std::span<const TensorDesc> in, const Dims& out);

}  // namespace fewbins
