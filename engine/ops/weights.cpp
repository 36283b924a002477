// SPDX-License-Identifier: Apache-2.0
#include "ops/weights.h"

namespace fewbins {

namespace {

const Constant& weight_of(const NodeDef& node, const OpContext& context, int rank) {
  const Constant& weight = Params(node, context).required("weight");
  bool empty = weight.dims.rank != rank;
  for (int axis = 0; !empty && axis < rank; ++axis) empty = weight.dims[axis] < 1;
  if (empty) fail_node(node, "its weight has shape ", weight.dims.text(), ", expected ", rank, " sizes of at least 1");
  return weight;
}

}  // namespace

const Constant& stored_weight(const NodeDef& node, const OpContext& context, int rank) {
  const Constant& weight = weight_of(node, context, rank);
  const bool integer = weight.dtype == DType::i8 || weight.dtype == DType::u8;
  if (weight.dtype != DType::f32 && !(integer && weight.weight_affine))
    fail_node(node, "its weight is ", dtype_name(weight.dtype), ", expected float32 or integers with scales");
  return weight;
}

Weights read_integer_weights(const NodeDef& node, const OpContext& context, int rank) {
  const Constant& weight = weight_of(node, context, rank);
  Weights result;
  result.dims = weight.dims;
  const auto count = static_cast<size_t>(weight.dims.count());
  result.loan = context.budget.borrow(Size(count) * 2, "unpacked weights");  // and indices
  result.integers.resize(count);
  if (const Constant* table = Params(node, context).optional("weight_table", DType::i8)) {
    const auto entries = table->as<int8_t>();
    if (weight.dtype != DType::u8)
      fail_node(node, "its weight is ", dtype_name(weight.dtype), ", expected uint8 indices");
    const auto indices = weight.as<uint8_t>();
    for (size_t i = 0; i < count; ++i) {
      if (indices[i] >= entries.size())
        fail_node(node, "weight index ", int{indices[i]}, " is outside its table of ", entries.size());
      result.integers[i] = entries[indices[i]];
    }
    if (entries.size() <= 16) {
      result.indices.assign(indices.begin(), indices.end());
      result.table.assign(entries.begin(), entries.end());
      result.table.resize(16);
    }
    return result;
  }
  if (weight.dtype != DType::i8 && weight.dtype != DType::u8)
    fail_node(node, "its weight is ", dtype_name(weight.dtype), ", expected int8 or uint8");
  const int32_t zero_point = weight.weight_affine ? weight.weight_affine->zero_point : 0;
  for (size_t i = 0; i < count; ++i) {
    const int32_t q = weight.dtype == DType::i8 ? int32_t{weight.as<int8_t>()[i]} : int32_t{weight.as<uint8_t>()[i]};
    const int32_t w = q - zero_point;
    if (w < -128 || w > 127)
      fail_node(node, "weight ", q, " minus its zero point ", zero_point, " does not fit 8 bits");
    result.integers[i] = static_cast<int8_t>(w);
  }
  return result;
}

std::vector<int32_t> read_bias(const NodeDef& node, const OpContext& context, int64_t channels) {
  const Params params(node, context);
  context.budget.charge(Size(channels) * sizeof(int32_t), "bias");
  if (!params.has("bias")) return std::vector<int32_t>(static_cast<size_t>(channels), 0);
  const auto bias = params.required("bias", DType::i32).as<int32_t>();
  if (static_cast<int64_t>(bias.size()) != channels)
    fail_node(node, "bias has ", bias.size(), " elements, expected ", channels);
  return {bias.begin(), bias.end()};
}

}  // namespace fewbins
