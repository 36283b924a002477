// SPDX-License-Identifier: Apache-2.0
// DepthToSpace and SpaceToDepth: a block of channels becomes a block of pixels, and back.
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

// The order in which the depth axis holds column, row and channel; the last one steps by 1.
enum class Depth : uint8_t { row_column_channel, channel_row_column };

// Moves between the deep tensor (N, C*b*b, H, W) and the wide one (N, C, H*b, W*b).
CopyBox block_box(const Dims& deep, const Dims& wide, Size block, Depth order, bool to_wide) {
  const Strides d = memory_strides(deep);
  const Strides w = memory_strides(wide);
  const Size channels = wide[1];
  const bool channel_last = order == Depth::row_column_channel;
  const Size step_channel = channel_last ? Size(1) : block * block;
  const Size step_column = channel_last ? channels : Size(1);
  // Axes: image, channel, row, row in the block, column, column in the block.
  const Dims dims{deep[0], channels, deep[2], block, deep[3], block};
  const Strides of_wide{w[0], w[1], w[2] * block, w[2], w[3] * block, w[3]};
  const Strides of_deep{d[0], d[1] * step_channel, d[2], d[1] * step_column * block, d[3], d[1] * step_column};
  return to_wide ? CopyBox{dims, of_wide, of_deep} : CopyBox{dims, of_deep, of_wide};
}

class BlockOp final : public NodeOp {
 public:
  BlockOp(const NodeDef& node, const OpContext& context, bool to_wide) : NodeOp(node), to_wide_(to_wide) {
    check_arity(node, 1, 1);
    require_same_type(node, context);
    const Attrs attrs(node);
    block_ = attrs.integer("block", 1, 1 << 15);
    if (to_wide && attrs.choice("mode", {"DCR", "CRD"}) == 1) order_ = Depth::channel_row_column;
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    require_rank(node_, in[0], 4);
    const Dims& d = in[0].dims;
    const Size area = block_ * block_;
    if (to_wide_) {
      if (d[1] % area != 0)
        fail_shape(node_, "input ", d.text(), ": channels must be a multiple of ", area, " (block ", block_, ")");
      out[0].dims = {d[0], d[1] / area, d[2] * block_, d[3] * block_};
    } else {
      if (d[2] % block_ != 0 || d[3] % block_ != 0)
        fail_shape(node_, "input ", d.text(), ": height and width must be multiples of block ", block_);
      out[0].dims = {d[0], d[1] * area, d[2] / block_, d[3] / block_};
    }
  }

  void run(const RunArgs& args) const override {
    const Dims& from = args.in_desc[0].dims;
    const Dims& to = args.out_desc[0].dims;
    const CopyBox box =
        to_wide_ ? block_box(from, to, block_, order_, true) : block_box(to, from, block_, order_, false);
    copy_box(box, args.out[0], args.in[0], dtype_bytes(args.out_desc[0].dtype), args.pool);
  }

 private:
  bool to_wide_;
  Size block_ = 1;
  Depth order_ = Depth::row_column_channel;
};

}  // namespace

std::unique_ptr<Op> make_depth_to_space(const NodeDef& node, const OpContext& context) {
  return std::make_unique<BlockOp>(node, context, true);
}

std::unique_ptr<Op> make_space_to_depth(const NodeDef& node, const OpContext& context) {
  return std::make_unique<BlockOp>(node, context, false);
}

}  // namespace fewbins
