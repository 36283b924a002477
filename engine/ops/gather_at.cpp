// SPDX-License-Identifier: Apache-2.0
// Gather: slices of a tensor along one axis, picked by indices that are computed at run time.
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

class GatherOp final : public NodeOp {
 public:
  GatherOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 2, 2);
    axis_ = static_cast<int>(Attrs(node).integer("axis", 0, kMaxRank - 1));
    const TensorDesc in = context.desc(node.inputs[0]);
    if (in.dtype == DType::i8 || require_output(node, context, in.dtype).affine != in.affine)
      fail_node(node, "'", node.inputs[0], "' and '", node.outputs[0], "' must be of one type, which is not int8");
    const DType indices = context.desc(node.inputs[1]).dtype;
    if (indices != DType::i32 && indices != DType::i64)
      fail_node(node, "its indices are ", dtype_name(indices), ", expected int32 or int64");
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const Dims& from = in[0].dims;
    const Dims& indices = in[1].dims;
    if (axis_ >= from.rank) fail_shape(node_, "axis ", axis_, " is not one of ", from.text());
    if (from.rank - 1 + indices.rank > kMaxRank)
      fail_shape(node_, "indices ", indices.text(), " into ", from.text(), " give more than ", kMaxRank, " axes");
    Dims dims;
    for (int i = 0; i < axis_; ++i) dims[dims.rank++] = from[i];
    for (int i = 0; i < indices.rank; ++i) dims[dims.rank++] = indices[i];
    for (int i = axis_ + 1; i < from.rank; ++i) dims[dims.rank++] = from[i];
    out[0].dims = dims;
  }

  void run(const RunArgs& args) const override {
    if (args.in_desc[1].dtype == DType::i32)
      gather<int32_t>(args);
    else
      gather<int64_t>(args);
  }

 private:
  template <class Index>
  void gather(const RunArgs& args) const {
    const Dims& from = args.in_desc[0].dims;
    const Dims& indices = args.in_desc[1].dims;
    const Dims& to = args.out_desc[0].dims;
    const Strides in = memory_strides(from);
    const Strides out = memory_strides(to);
    const Strides at = memory_strides(indices);
    // One slice: all axes of the tensor but the one that the indices run along.
    CopyBox slice;
    for (int i = 0; i < from.rank; ++i) {
      if (i == axis_) continue;
      const auto place = static_cast<size_t>(slice.dims.rank);
      slice.src_strides[place] = in[static_cast<size_t>(i)];
      slice.dst_strides[place] = out[static_cast<size_t>(i < axis_ ? i : i - 1 + indices.rank)];
      slice.dims[slice.dims.rank++] = from[i];
    }
    const auto bytes = static_cast<int64_t>(dtype_bytes(args.out_desc[0].dtype));
    const int64_t size = from[axis_];
    const int64_t count = indices.count();
    for (int64_t number = 0; number < count; ++number) {
      int64_t rest = number;
      Size source = 0;
      Size target = 0;
      for (int i = indices.rank; i-- > 0;) {
        const int64_t step = rest % indices[i];
        source += step * at[static_cast<size_t>(i)];
        target += step * out[static_cast<size_t>(axis_ + i)];
        rest /= indices[i];
      }
      const auto index = int64_t{args.input<Index>(1)[source]};
      if (index < -size || index >= size)
        fail(ErrorCode::invalid_argument, "node '", node_.name, "' (", node_.op, "): index ", index,
             " is not one of an axis of size ", size);
      const int64_t first = (index < 0 ? index + size : index) * in[static_cast<size_t>(axis_)];
      copy_box(slice, args.output<std::byte>(0) + target * bytes, args.input<std::byte>(0) + first * bytes,
               static_cast<size_t>(bytes), args.pool);
    }
  }

  int axis_ = 0;
};

}  // namespace

std::unique_ptr<Op> make_gather(const NodeDef& node, const OpContext& context) {
  return std::make_unique<GatherOp>(node, context);
}

}  // namespace fewbins
