// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/error.h"
#include "file/header.h"
#include "file/limits.h"

namespace fewbins {
namespace {

using Names = std::unordered_set<std::string_view>;

const TensorInfo& activation(const Model& model, std::string_view name, std::string_view what) {
  const TensorInfo* tensor = model.find_tensor(name);
  if (tensor == nullptr) fail(ErrorCode::model_file, what, " '", name, "' is not among the graph's tensors");
  return *tensor;
}

void check_node(const Model& model, const NodeDef& node, Names& known) {
  const auto fail_at = [&node](const auto&... parts) {
    fail(ErrorCode::model_file, "node '", node.name, "' (", node.op, "): ", parts...);
  };
  if (node.inputs.empty() || node.outputs.empty()) fail_at("it has no inputs or no outputs");
  for (const std::string& name : node.inputs) {
    if (const Constant* constant = model.find_constant(name)) {
      if (constant->dtype == DType::i8) fail_at("its input '", name, "' is a constant of int8, which only params are");
    } else if (!known.contains(name)) {
      fail_at("it reads '", name, "', which nothing before it writes");
    }
  }
  for (const auto& [role, name] : node.params)
    if (model.find_constant(name) == nullptr) fail_at("its ", role, " '", name, "' is not a constant of the file");
  for (const std::string& name : node.outputs) {
    if (model.find_tensor(name) == nullptr) fail_at("it writes '", name, "', which is not among the graph's tensors");
    if (!known.insert(name).second) fail_at("it writes '", name, "' a second time");
  }
}

}  // namespace

void check_graph(const Model& model) {
  if (model.inputs.empty() || model.outputs.empty())
    fail(ErrorCode::model_file, "the graph has no inputs or no outputs");
  for (const auto& [name, tensor] : model.tensors)
    if (model.find_constant(name) != nullptr)
      fail(ErrorCode::model_file, "tensor '", name, "' is an activation and a constant at once");
  Names known;
  for (const std::string& name : model.inputs) {
    if (activation(model, name, "graph input").dtype == DType::levels)
      fail(ErrorCode::model_file, "graph input '", name, "' has dtype levels, whose meaning a caller cannot know");
    if (!known.insert(name).second) fail(ErrorCode::model_file, "graph input '", name, "' is named twice");
  }
  Names nodes;
  for (const NodeDef& node : model.nodes) {
    if (!nodes.insert(node.name).second) fail(ErrorCode::model_file, "two nodes are named '", node.name, "'");
    check_node(model, node, known);
  }
  Names outputs;
  for (const std::string& name : model.outputs) {
    if (activation(model, name, "graph output").dtype == DType::levels)
      fail(ErrorCode::model_file, "graph output '", name, "' has dtype levels, whose meaning a caller cannot know");
    if (!known.contains(name)) fail(ErrorCode::model_file, "graph output '", name, "' is written by no node");
    if (!outputs.insert(name).second) fail(ErrorCode::model_file, "graph output '", name, "' is named twice");
  }
}

}  // namespace fewbins
