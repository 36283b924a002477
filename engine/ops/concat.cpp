// SPDX-License-Identifier: Apache-2.0
// Concat: tensors side by side along one axis.
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

class ConcatOp final : public NodeOp {
 public:
  ConcatOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 1, size_t{1} << 16);
    require_same_type(node, context);
    axis_ = static_cast<int>(Attrs(node).integer("axis", 0, kMaxRank - 1));
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    Dims dims = in[0].dims;
    if (axis_ >= dims.rank) fail_shape(node_, "axis ", axis_, " is not one of an input of shape ", dims.text());
    dims[axis_] = 0;
    for (const TensorDesc& one : in) {
      bool fits = one.dims.rank == dims.rank;
      for (int axis = 0; fits && axis < dims.rank; ++axis) fits = axis == axis_ || one.dims[axis] == dims[axis];
      if (!fits)
        fail_shape(node_, "inputs ", in[0].dims.text(), " and ", one.dims.text(), " differ beside axis ", axis_);
      dims[axis_] += one.dims[axis_];
    }
    out[0].dims = dims;
  }

  void run(const RunArgs& args) const override {
    const Strides to = memory_strides(args.out_desc[0].dims);
    const size_t bytes = dtype_bytes(args.out_desc[0].dtype);
    auto* out = args.output<std::byte>(0);
    for (size_t i = 0; i < args.in.size(); ++i) {
      const Dims& dims = args.in_desc[i].dims;
      copy_box({dims, to, memory_strides(dims)}, out, args.in[i], bytes, args.pool);
      out += static_cast<size_t>(dims[axis_] * to[static_cast<size_t>(axis_)]) * bytes;
    }
  }

 private:
  int axis_ = 0;
};

}  // namespace

std::unique_ptr<Op> make_concat(const NodeDef& node, const OpContext& context) {
  return std::make_unique<ConcatOp>(node, context);
}

}  // namespace fewbins
