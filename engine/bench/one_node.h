// SPDX-License-Identifier: Apache-2.0
// A model of a single node in memory: for tests and measurements of one operator, without a file or a plan.
#pragma once

#include <boost/json/parse.hpp>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/aligned.h"
#include "ops/op.h"

namespace fewbins {

class OneNode {
 public:
  OneNode(std::string op, const char* attrs) {
    node_.op = std::move(op);
    node_.name = "node";
    node_.attrs = boost::json::parse(attrs).as_object();
    node_.outputs = {"y"};
    model_.tensors["y"] = {"y", {}, DType::f32, {}};
  }

  // `dims`: as the file declares them; rank 0 where nobody asks.
  OneNode& input(DType dtype, AffineInfo affine = {}, const Dims& dims = {}) {
    const std::string name = "x" + std::to_string(node_.inputs.size());
    node_.inputs.push_back(name);
    model_.tensors[name] = {name, declared(dims), dtype, affine};
    return *this;
  }

  OneNode& output(DType dtype, AffineInfo affine = {}, const Dims& dims = {}) {
    model_.tensors["y"] = {"y", declared(dims), dtype, affine};
    return *this;
  }

  // A second output, "y1".
  OneNode& second_output(DType dtype) {
    node_.outputs.push_back("y1");
    model_.tensors["y1"] = {"y1", {}, dtype, {}};
    return *this;
  }

  // Constants of nodes that are not there: their size is known and nothing else.
  OneNode& other_constants(size_t bytes) {
    model_.constants["others"].bytes = bytes;
    return *this;
  }

  template <class T>
  OneNode& param(const std::string& role, DType dtype, Dims dims, const std::vector<T>& values) {
    const size_t bytes = values.size() * sizeof(T);
    owned_.emplace_back(bytes);
    if (bytes != 0) std::memcpy(owned_.back().data(), values.data(), bytes);
    Constant constant;
    constant.name = role;
    constant.dtype = dtype;
    constant.dims = dims;
    constant.data = owned_.back().data();
    constant.bytes = bytes;
    model_.constants[role] = constant;
    node_.params[role] = role;
    return *this;
  }

  [[nodiscard]] std::unique_ptr<Op> make(Isa isa = Isa::scalar, std::string_view forced_kernel = {}) const {
    return make_op(node_, OpContext{model_, budget_, isa, forced_kernel});
  }

  // The inputs of these dims, in order, and the outputs without dims.
  [[nodiscard]] std::vector<TensorDesc> describe_inputs(const std::vector<Dims>& dims) const {
    std::vector<TensorDesc> in;
    for (size_t i = 0; i < dims.size(); ++i) {
      const TensorInfo& info = model_.tensors.at(node_.inputs.at(i));
      in.push_back({info.dtype, dims[i], info.affine});
    }
    return in;
  }
  [[nodiscard]] std::vector<TensorDesc> describe_outputs() const {
    std::vector<TensorDesc> out;
    for (const std::string& name : node_.outputs) {
      const TensorInfo& info = model_.tensors.at(name);
      out.push_back({info.dtype, {}, info.affine});
    }
    return out;
  }

 protected:
  [[nodiscard]] MemoryBudget& budget() const { return budget_; }

 private:
  static std::vector<DimSpec> declared(const Dims& dims) {
    std::vector<DimSpec> shape;
    for (const int64_t size : dims.span()) shape.push_back({size, {}});
    return shape;
  }

  Model model_;
  mutable MemoryBudget budget_;  // without a limit
  NodeDef node_;
  std::deque<AlignedBytes> owned_;
};

}  // namespace fewbins
