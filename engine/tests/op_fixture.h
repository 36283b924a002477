// SPDX-License-Identifier: Apache-2.0
// One operator on its own: a model of a single node in memory, made and run without a file or a plan.
#pragma once

#include <boost/json/parse.hpp>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "ops/layout.h"
#include "ops/op.h"

namespace fewbins::testing {

class OneOp {
 public:
  OneOp(std::string op, const char* attrs) {
    node_.op = std::move(op);
    node_.name = "node";
    node_.attrs = boost::json::parse(attrs).as_object();
    node_.outputs = {"y"};
    model_.tensors["y"] = {"y", {}, DType::f32, {}};
  }

  OneOp& input(DType dtype, AffineInfo affine = {}) {
    const std::string name = "x" + std::to_string(node_.inputs.size());
    node_.inputs.push_back(name);
    model_.tensors[name] = {name, {}, dtype, affine};
    return *this;
  }

  OneOp& output(DType dtype, AffineInfo affine = {}) {
    model_.tensors["y"] = {"y", {}, dtype, affine};
    return *this;
  }

  template <class T>
  OneOp& param(const std::string& role, DType dtype, Dims dims, const std::vector<T>& values) {
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

  [[nodiscard]] std::unique_ptr<Op> make(Isa isa = Isa::scalar) const {
    return make_op(node_, OpContext{model_, isa, {}});
  }

  // The output's dims for these input dims.
  [[nodiscard]] Dims infer(const Op& op, const std::vector<Dims>& dims) const {
    std::vector<TensorDesc> in = describe(dims);
    TensorDesc out{model_.tensors.at("y").dtype, {}, model_.tensors.at("y").affine};
    op.infer(in, {&out, 1});
    return out.dims;
  }

  // Runs on operands as they lie in memory, and gives the output so. Buffers are exactly as long as op.h promises, so
  // that the address sanitizer sees every byte too many.
  template <class Out>
  [[nodiscard]] std::vector<Out> run(const std::vector<Dims>& dims, const std::vector<const void*>& operands, Isa isa,
                                     int threads, std::string* form = nullptr) const {
    const std::unique_ptr<Op> op = make(isa);
    const std::vector<TensorDesc> in = describe(dims);
    std::vector<TensorDesc> out{{model_.tensors.at("y").dtype, {}, model_.tensors.at("y").affine}};
    op->infer(in, out);
    ThreadPool pool(threads);
    const std::unique_ptr<OpState> state = op->prepare({in, out, pool.size()});
    if (form != nullptr) *form = state->form;
    std::vector<AlignedBytes> buffers;
    std::vector<const void*> inputs;
    for (size_t i = 0; i < operands.size(); ++i) {
      buffers.emplace_back(in[i].bytes());
      std::memcpy(buffers.back().data(), operands[i], in[i].bytes());
      inputs.push_back(buffers.back().data());
    }
    AlignedBytes result(out[0].bytes());
    AlignedBytes scratch(state->scratch_bytes);
    const size_t stride = (state->scratch_bytes_per_slot + 63) / 64 * 64;
    AlignedBytes slots(stride * static_cast<size_t>(pool.size()));
    std::vector<void*> outputs{result.data()};
    op->run({inputs, outputs, in, out, *state, scratch.data(), slots.data(), stride, pool});
    const Out* first = result.as<Out>();
    return {first, first + out[0].dims.count()};
  }

 private:
  [[nodiscard]] std::vector<TensorDesc> describe(const std::vector<Dims>& dims) const {
    std::vector<TensorDesc> in;
    for (size_t i = 0; i < dims.size(); ++i) {
      const TensorInfo& info = model_.tensors.at(node_.inputs.at(i));
      in.push_back({info.dtype, dims[i], info.affine});
    }
    return in;
  }

  Model model_;
  NodeDef node_;
  std::deque<AlignedBytes> owned_;
};

}  // namespace fewbins::testing
