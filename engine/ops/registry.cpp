// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "ops/attrs.h"
#include "ops/factories.h"
#include "ops/op.h"

namespace fewbins {
namespace {

using Factory = std::unique_ptr<Op> (*)(const NodeDef& node, const OpContext& context);

struct Row {
  std::string_view op;
  Factory make;
  std::string_view attributes;  // all of them, always in the file: the fields of the class in src/fewbins/ops/
};

constexpr std::array kRows = {
    Row{"ArgReduce", make_arg_reduce, "function axis keepdims last"},
    Row{"AveragePool", make_average_pool,
        "kernel strides pads dilations ceil_mode count_include_pad auto_pad requantize"},
    Row{"Binary", make_binary, "function clamp requantize"},
    Row{"Cast", make_cast, "to"},
    Row{"Compare", make_compare, "function"},
    Row{"Concat", make_concat, "axis"},
    Row{"Conv", make_conv, "kernel strides pads dilations groups auto_pad clamp requantize"},
    Row{"ConvTranspose", make_conv_transpose, "kernel strides pads dilations groups output_padding clamp requantize"},
    Row{"DepthToSpace", make_depth_to_space, "block mode"},
    Row{"Dequantize", make_dequantize, ""},
    Row{"Expand", make_expand, "factors inputs axes divisors"},
    Row{"Gather", make_gather, "axis"},
    Row{"Gemm", make_gemm, "clamp requantize"},
    Row{"Logic", make_logic, "function"},
    Row{"MatMul", make_matmul, ""},
    Row{"MaxPool", make_max_pool, "kernel strides pads dilations ceil_mode count_include_pad auto_pad requantize"},
    Row{"Normalize", make_normalize, "axes groups epsilon"},
    Row{"PRelu", make_prelu, ""},
    Row{"Pad", make_pad, "pads mode value"},
    Row{"Quantize", make_quantize, "axis"},
    Row{"Range", make_range, "factors inputs axes divisors start step"},
    Row{"Reduce", make_reduce, "function axes keepdims requantize"},
    Row{"Requantize", make_requantize, "requantize"},
    Row{"Reshape", make_reshape, "shape axes divisors"},
    Row{"Resize", make_resize, "mode sizes scales coordinates nearest requantize places"},
    Row{"Slice", make_slice, "starts ends axes steps"},
    Row{"Softmax", make_softmax, "axis"},
    Row{"SpaceToDepth", make_space_to_depth, "block"},
    Row{"Table", make_table, ""},
    Row{"TopK", make_top_k, "axis k largest"},
    Row{"Transpose", make_transpose, "perm"},
    Row{"Unary", make_unary, "function alpha beta lo hi"},
    Row{"Where", make_where, ""},
};

// An attribute that came with minor version `since` of the format. Files of earlier versions may lack it, and then have
// `before` (JSON), the value that keeps their results. The same facts stand at the field in src/fewbins/ops/.
struct LaterAttribute {
  std::string_view op;
  std::string_view attribute;
  int since;
  std::string_view before;
};

constexpr std::array kLaterAttributes = {
    LaterAttribute{"Quantize", "axis", 1, "1"},
    LaterAttribute{"Reshape", "axes", 1, "[]"},
    LaterAttribute{"Reshape", "divisors", 1, "[]"},
    LaterAttribute{"Resize", "places", 1, "\"float64\""},
};

NodeDef with_values_before(const NodeDef& node, int minor) {
  NodeDef filled = node;
  for (const LaterAttribute& later : kLaterAttributes)
    if (later.op == node.op && minor < later.since && !node.attrs.contains(later.attribute))
      filled.attrs[later.attribute] = boost::json::parse(later.before);
  return filled;
}

std::vector<std::string_view> split(std::string_view words) {
  std::vector<std::string_view> result;
  while (!words.empty()) {
    const size_t end = std::min(words.find(' '), words.size());
    result.push_back(words.substr(0, end));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return result;
}

// An attribute that this release does not know would change the result, so it is refused and not ignored.
void check_attributes(const NodeDef& node, const std::vector<std::string_view>& known) {
  for (const std::string_view key : known)
    if (!node.attrs.contains(key)) fail_node(node, "attribute '", key, "' is missing");
  for (const auto& [key, value] : node.attrs)
    if (std::ranges::find(known, std::string_view(key)) == known.end())
      fail_node(node, "attribute '", std::string_view(key), "' is unknown to this release; update fewbins");
}

}  // namespace

const std::vector<std::string_view>& op_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> all;
    for (const Row& row : kRows) all.push_back(row.op);
    return all;
  }();
  return names;
}

std::unique_ptr<Op> make_op(const NodeDef& node, const OpContext& context) {
  const auto row = std::ranges::find(kRows, std::string_view(node.op), &Row::op);
  if (row == kRows.end())
    fail(ErrorCode::model_file, "node '", node.name, "': operator '", node.op,
         "' is unknown to this release; update fewbins");
  const NodeDef filled = with_values_before(node, context.model.format_minor);
  check_attributes(filled, split(row->attributes));
  return with_node_name(filled, [&] { return row->make(filled, context); });
}

}  // namespace fewbins
