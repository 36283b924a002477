// SPDX-License-Identifier: Apache-2.0
// Transpose: output axis i is input axis perm[i].
#include <vector>

#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

class TransposeOp final : public NodeOp {
 public:
  TransposeOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 1, 1);
    require_same_type(node, context);
    perm_ = Attrs(node).integers("perm", 0, kMaxRank - 1);
    std::array<bool, kMaxRank> seen{};
    for (const int64_t axis : perm_) {
      if (axis >= static_cast<int64_t>(perm_.size()) || seen[static_cast<size_t>(axis)])
        fail_node(node, "perm does not hold each axis once");
      seen[static_cast<size_t>(axis)] = true;
    }
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    require_rank(node_, in[0], static_cast<int>(perm_.size()));
    out[0].dims.rank = in[0].dims.rank;
    for (int axis = 0; axis < in[0].dims.rank; ++axis) out[0].dims[axis] = in[0].dims[source(axis)];
  }

  void run(const RunArgs& args) const override {
    const Dims& to = args.out_desc[0].dims;
    const Strides from = memory_strides(args.in_desc[0].dims);
    CopyBox box{to, memory_strides(to), {}};
    for (int axis = 0; axis < to.rank; ++axis)
      box.src_strides[static_cast<size_t>(axis)] = from[static_cast<size_t>(source(axis))];
    copy_box(box, args.out[0], args.in[0], dtype_bytes(args.out_desc[0].dtype), args.pool);
  }

 private:
  [[nodiscard]] int source(int axis) const { return static_cast<int>(perm_[static_cast<size_t>(axis)]); }

  std::vector<int64_t> perm_;
};

}  // namespace

std::unique_ptr<Op> make_transpose(const NodeDef& node, const OpContext& context) {
  return std::make_unique<TransposeOp>(node, context);
}

}  // namespace fewbins
