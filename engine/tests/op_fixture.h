// SPDX-License-Identifier: Apache-2.0
// One operator on its own, run without a file or a plan.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "bench/one_node.h"
#include "ops/layout.h"
#include "ops/op.h"

namespace fewbins::testing {

class OneOp : public OneNode {
 public:
  using OneNode::OneNode;

  // The outputs for these input dims.
  [[nodiscard]] std::vector<TensorDesc> infer_all(const Op& op, const std::vector<Dims>& dims) const {
    std::vector<TensorDesc> out = describe_outputs();
    op.infer(describe_inputs(dims), out);
    return out;
  }
  // The first output's dims.
  [[nodiscard]] Dims infer(const Op& op, const std::vector<Dims>& dims) const { return infer_all(op, dims)[0].dims; }

  // What the operator prepares for these operands, whose sizes are inferred already.
  [[nodiscard]] std::unique_ptr<OpState> prepare(const Op& op, const std::vector<TensorDesc>& in,
                                                 const std::vector<TensorDesc>& out) const {
    return op.prepare({in, out, 2, budget()});
  }

  // Runs on operands as they lie in memory, and gives the output so. Buffers are exactly as long as op.h promises, so
  // that the address sanitizer sees every byte too many.
  template <class Out>
  [[nodiscard]] std::vector<Out> run(const std::vector<Dims>& dims, const std::vector<const void*>& operands, Isa isa,
                                     int threads, std::string* form = nullptr,
                                     std::string_view forced_kernel = {}) const {
    const std::unique_ptr<Op> op = make(isa, forced_kernel);
    const std::vector<TensorDesc> in = describe_inputs(dims);
    const std::vector<TensorDesc> out = infer_all(*op, dims);
    ThreadPool pool(threads);
    const std::unique_ptr<OpState> state = op->prepare({in, out, pool.size(), budget()});
    if (form != nullptr) *form = state->form;
    std::vector<AlignedBytes> buffers;
    std::vector<const void*> inputs;
    for (size_t i = 0; i < operands.size(); ++i) {
      buffers.emplace_back(in[i].bytes());
      std::memcpy(buffers.back().data(), operands[i], in[i].bytes());
      inputs.push_back(buffers.back().data());
    }
    std::vector<AlignedBytes> results;
    std::vector<void*> outputs;
    for (const TensorDesc& desc : out) outputs.push_back(results.emplace_back(desc.bytes()).data());
    AlignedBytes scratch(state->scratch_bytes);
    const size_t stride = (state->scratch_bytes_per_slot + 63) / 64 * 64;
    AlignedBytes slots(stride * static_cast<size_t>(pool.size()));
    op->run({inputs, outputs, in, out, *state, scratch.data(), slots.data(), stride, pool});
    const Out* first = results[0].as<Out>();
    return {first, first + out[0].dims.count()};
  }
};

}  // namespace fewbins::testing
