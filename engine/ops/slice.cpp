// SPDX-License-Identifier: Apache-2.0
// Slice: part of a tensor, with steps of either sign, as ONNX defines it.
#include <algorithm>
#include <vector>

#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

// First index, step and count along one axis.
struct Cut {
  int64_t start = 0;
  int64_t step = 1;
  int64_t count = 0;
};

class SliceOp final : public NodeOp {
 public:
  SliceOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 1, 1);
    require_same_type(node, context);
    const Attrs attrs(node);
    constexpr int64_t kFar = int64_t{1} << 62;
    starts_ = attrs.integers("starts", -kFar, kFar);
    ends_ = attrs.integers("ends", -kFar, kFar);
    axes_ = attrs.integers("axes", 0, kMaxRank - 1);
    steps_ = attrs.integers("steps", -kFar, kFar);
    if (starts_.size() != ends_.size() || starts_.size() != axes_.size() || starts_.size() != steps_.size())
      fail_node(node, "starts, ends, axes and steps differ in length");
    for (const int64_t axis : axes_)
      if (std::ranges::count(axes_, axis) != 1) fail_node(node, "axis ", axis, " is cut more than once");
    if (std::ranges::count(steps_, 0) != 0) fail_node(node, "a step is 0");
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    out[0].dims = in[0].dims;
    for (size_t i = 0; i < axes_.size(); ++i) {
      const auto axis = static_cast<int>(axes_[i]);
      if (axis >= in[0].dims.rank) fail_shape(node_, "axis ", axis, " is not one of ", in[0].dims.text());
      out[0].dims[axis] = cut(i, in[0].dims[axis]).count;
    }
  }

  void run(const RunArgs& args) const override {
    const Dims& from = args.in_desc[0].dims;
    const Dims& to = args.out_desc[0].dims;
    CopyBox box{to, memory_strides(to), memory_strides(from)};
    Size offset = 0;
    for (size_t i = 0; i < axes_.size(); ++i) {
      const Cut piece = cut(i, from[static_cast<int>(axes_[i])]);
      Size& stride = box.src_strides[static_cast<size_t>(axes_[i])];
      offset += piece.start * stride;
      // One element needs no step, and a huge one would overflow.
      stride = piece.count > 1 ? stride * piece.step : stride;
    }
    const size_t bytes = dtype_bytes(args.out_desc[0].dtype);
    copy_box(box, args.out[0], args.input<std::byte>(0) + offset * static_cast<int64_t>(bytes), bytes, args.pool);
  }

 private:
  [[nodiscard]] Cut cut(size_t i, int64_t size) const {
    const int64_t step = steps_[i];
    const auto place = [&](int64_t index, int64_t lo, int64_t hi) {
      return std::clamp(index < 0 ? index + size : index, lo, hi);
    };
    if (step > 0) {
      const int64_t start = place(starts_[i], 0, size);
      const int64_t length = place(ends_[i], 0, size) - start;
      return {start, step, length <= 0 ? 0 : (length - 1) / step + 1};
    }
    const int64_t start = place(starts_[i], -1, size - 1);
    const int64_t length = start - place(ends_[i], -1, size - 1);
    return {start, step, length <= 0 ? 0 : (length - 1) / -step + 1};
  }

  std::vector<int64_t> starts_;
  std::vector<int64_t> ends_;
  std::vector<int64_t> axes_;
  std::vector<int64_t> steps_;
};

}  // namespace

std::unique_ptr<Op> make_slice(const NodeDef& node, const OpContext& context) {
  return std::make_unique<SliceOp>(node, context);
}

}  // namespace fewbins
