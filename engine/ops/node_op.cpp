// SPDX-License-Identifier: Apache-2.0
#include "ops/node_op.h"

namespace fewbins {

void check_arity(const NodeDef& node, size_t lo, size_t hi, size_t outputs) {
  if (node.inputs.size() < lo || node.inputs.size() > hi)
    fail_node(node, "it has ", node.inputs.size(), " inputs, expected ", lo, " to ", hi);
  if (node.outputs.size() != outputs) fail_node(node, "it has ", node.outputs.size(), " outputs, expected ", outputs);
}

namespace {

TensorDesc require_type(const NodeDef& node, const OpContext& context, const std::string& tensor, DType dtype) {
  const TensorDesc desc = context.desc(tensor);
  if (desc.dtype != dtype)
    fail_node(node, "tensor '", tensor, "' is ", dtype_name(desc.dtype), ", expected ", dtype_name(dtype));
  return desc;
}

}  // namespace

TensorDesc require_input(const NodeDef& node, const OpContext& context, size_t slot, DType dtype) {
  return require_type(node, context, node.inputs.at(slot), dtype);
}

TensorDesc require_output(const NodeDef& node, const OpContext& context, DType dtype) {
  return require_type(node, context, node.outputs.at(0), dtype);
}

void require_same_type(const NodeDef& node, const OpContext& context) {
  const TensorDesc out = context.desc(node.outputs.at(0));
  for (size_t slot = 0; slot < node.inputs.size(); ++slot) {
    const TensorDesc in = require_input(node, context, slot, out.dtype);
    if (out.dtype == DType::levels && in.affine != out.affine)
      fail_node(node, "levels of '", node.inputs[slot], "' and '", node.outputs[0],
                "' differ, but the operator only moves them");
  }
}

void require_same_real_type(const NodeDef& node, const OpContext& context) {
  const DType dtype = context.desc(node.outputs.at(0)).dtype;
  if (dtype != DType::f32 && dtype != DType::levels)
    fail_node(node, "output '", node.outputs[0], "' is ", dtype_name(dtype), ", expected float32 or levels");
  require_same_type(node, context);
}

int64_t expected_rows(const Dims& dims, int axis) {
  if (axis < 0 || axis >= dims.rank) return 0;
  Size rows = 1;
  for (int i = 0; i < dims.rank; ++i) {
    if (i == axis) continue;
    const Size size = i == 0 && dims[i] < 0 ? Size(1) : dims[i];
    if (size < 1 || rows > kMaxElements / size) return 0;
    rows *= size;
  }
  return rows;
}

void require_rank(const NodeDef& node, const TensorDesc& desc, int rank) {
  if (desc.dims.rank != rank)
    fail_shape(node, "its input has shape ", desc.dims.text(), ", expected ", rank, " dimensions");
}

void require_residual(const NodeDef& node, std::span<const TensorDesc> in, const Dims& out) {
  if (in.size() == 2 && !(in[1].dims == out))
    fail_shape(node, "its residual has shape ", in[1].dims.text(), ", its output ", out.text());
}

}  // namespace fewbins
