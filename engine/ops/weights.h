// SPDX-License-Identifier: Apache-2.0
// The weights of Conv, ConvTranspose and Gemm, whatever their scheme: int8 for integer arithmetic, float32 for float.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/attrs.h"

namespace fewbins {

// In the order of the file. Exactly one of the two vectors is filled.
//   int8:  q of a "levels" node; uw - zw of u4; table[index] of lut4
//   float: float32 weights, or f32(s * f32(q - z)) where a float node has integer weights (scheme wN)
struct Weights {
  Dims dims;
  std::vector<int8_t> integers;
  std::vector<float> floats;
  // lut4 with 16 entries or fewer: where the integers come from, integers[i] = table[indices[i]]; else empty.
  std::vector<uint8_t> indices;
  std::vector<int8_t> table;  // 16 entries
  MemoryBudget::Loan loan;
};

// `channel_of(i)` gives the output channel of element i, for weights with one scale per channel.
template <class ChannelOf>
Weights read_weights(const NodeDef& node, const OpContext& context, bool integer, int rank, ChannelOf channel_of);

// The bias of integer arithmetic, one per channel; zeros where the node has none.
std::vector<int32_t> read_bias(const NodeDef& node, const OpContext& context, int64_t channels);

// ---- implementation of the template's two halves

Weights read_integer_weights(const NodeDef& node, const OpContext& context, int rank);

// The stored weight constant of a float node, checked.
const Constant& stored_weight(const NodeDef& node, const OpContext& context, int rank);

template <class ChannelOf>
Weights read_weights(const NodeDef& node, const OpContext& context, bool integer, int rank, ChannelOf channel_of) {
  if (integer) return read_integer_weights(node, context, rank);
  const Constant& weight = stored_weight(node, context, rank);
  Weights result;
  result.dims = weight.dims;
  result.loan = context.budget.borrow(Size(weight.dims.count()) * sizeof(float), "unpacked weights");
  if (weight.dtype == DType::f32) {
    const auto values = weight.as<float>();
    result.floats.assign(values.begin(), values.end());
    return result;
  }
  const WeightAffine& affine = *weight.weight_affine;
  const auto count = static_cast<size_t>(weight.dims.count());
  result.floats.resize(count);
  const bool is_signed = weight.dtype == DType::i8;
  for (size_t i = 0; i < count; ++i) {
    const int32_t q = is_signed ? weight.as<int8_t>()[i] : weight.as<uint8_t>()[i];
    const size_t channel = affine.scales.size() == 1 ? 0 : static_cast<size_t>(channel_of(static_cast<int64_t>(i)));
    if (channel >= affine.scales.size())
      fail_node(node, "its weight has ", affine.scales.size(), " scales, which do not fit its channels");
    result.floats[i] = affine.scales[channel] * static_cast<float>(q - affine.zero_point);
  }
  return result;
}

}  // namespace fewbins
