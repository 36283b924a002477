// SPDX-License-Identifier: Apache-2.0
// One factory per operator; the table that names them is in registry.cpp.
#pragma once

#include <memory>

#include "ops/op.h"

namespace fewbins {

std::unique_ptr<Op> make_conv(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_conv_transpose(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_gemm(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_unary(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_prelu(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_binary(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_max_pool(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_average_pool(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_reduce(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_matmul(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_normalize(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_softmax(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_concat(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_slice(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_pad(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_transpose(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_reshape(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_depth_to_space(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_space_to_depth(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_resize(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_range(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_expand(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_quantize(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_dequantize(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_requantize(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_cast(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_compare(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_logic(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_where(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_arg_reduce(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_top_k(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_gather(const NodeDef& node, const OpContext& context);
std::unique_ptr<Op> make_table(const NodeDef& node, const OpContext& context);

}  // namespace fewbins
