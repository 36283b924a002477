// SPDX-License-Identifier: Apache-2.0
// Where: elements of one tensor where a condition is true, of another where it is false; NumPy's broadcasting.
#include "ops/broadcast.h"
#include "ops/factories.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

class WhereOp final : public NodeOp {
 public:
  WhereOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 3, 3);
    require_input(node, context, 0, DType::b8);
    const TensorDesc out = context.desc(node.outputs[0]);
    for (const size_t slot : {size_t{1}, size_t{2}})
      if (require_input(node, context, slot, out.dtype).affine != out.affine)
        fail_node(node, "levels of '", node.inputs[slot], "' and '", node.outputs[0],
                  "' differ, but the operator only picks them");
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    out[0].dims = broadcast_dims(node_, in);
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override { return prepare_broadcast(args); }

  void run(const RunArgs& args) const override {
    switch (dtype_bytes(args.out_desc[0].dtype)) {
      case 1:
        return pick<uint8_t>(args);
      case 4:
        return pick<uint32_t>(args);
      default:
        return pick<uint64_t>(args);
    }
  }

 private:
  template <class T>
  static void pick(const RunArgs& args) {
    const auto& state = static_cast<const BroadcastState&>(args.state);
    const int64_t c = state.line.step[0];
    const int64_t a = state.line.step[1];
    const int64_t b = state.line.step[2];
    for_each_run(state, args.pool, [&](const auto& at, int64_t out, int64_t count) {
      const auto* condition = args.input<uint8_t>(0) + at[0];
      const T* yes = args.input<T>(1) + at[1];
      const T* no = args.input<T>(2) + at[2];
      T* y = args.output<T>(0) + out;
      for (int64_t i = 0; i < count; ++i) y[i] = condition[i * c] != 0 ? yes[i * a] : no[i * b];
    });
  }
};

}  // namespace

std::unique_ptr<Op> make_where(const NodeDef& node, const OpContext& context) {
  return std::make_unique<WhereOp>(node, context);
}

}  // namespace fewbins
