// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "ops/factories.h"
#include "ops/op.h"

namespace fewbins {
namespace {

struct Row {
  std::string_view op;
  OpFactory make;
};

constexpr std::array kRows = {
    Row{"AveragePool", make_average_pool},
    Row{"Binary", make_binary},
    Row{"Concat", make_concat},
    Row{"Conv", make_conv},
    Row{"ConvTranspose", make_conv_transpose},
    Row{"DepthToSpace", make_depth_to_space},
    Row{"Dequantize", make_dequantize},
    Row{"Gemm", make_gemm},
    Row{"MaxPool", make_max_pool},
    Row{"PRelu", make_prelu},
    Row{"Pad", make_pad},
    Row{"Quantize", make_quantize},
    Row{"Reduce", make_reduce},
    Row{"Requantize", make_requantize},
    Row{"Reshape", make_reshape},
    Row{"Resize", make_resize},
    Row{"Slice", make_slice},
    Row{"Softmax", make_softmax},
    Row{"SpaceToDepth", make_space_to_depth},
    Row{"Table", make_table},
    Row{"Transpose", make_transpose},
    Row{"Unary", make_unary},
};

}  // namespace

OpFactory find_op(std::string_view op) {
  const auto row = std::ranges::find(kRows, op, &Row::op);
  return row == kRows.end() ? nullptr : row->make;
}

}  // namespace fewbins
