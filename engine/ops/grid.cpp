// SPDX-License-Identifier: Apache-2.0
// Range and Expand: values that depend on the sizes of other tensors, such as the anchors of a detector.
#include <vector>

#include "base/checked.h"
#include "base/thread_pool.h"
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

constexpr int64_t kMaxCount = int64_t{1} << 24;  // as many whole numbers as float32 holds

// Sizes that come from the axes of a node's inputs, times a factor, over a divisor; or numbers.
class SizesOf {
 public:
  explicit SizesOf(const NodeDef& node) {
    const Attrs attrs(node);
    factors_ = attrs.integers("factors", 1, kMaxDim);
    inputs_ = attrs.integers("inputs", -1, static_cast<int64_t>(node.inputs.size()) - 1);
    axes_ = attrs.integers("axes", 0, kMaxRank - 1);
    divisors_ = attrs.integers("divisors", 1, kMaxDim);
    const size_t count = factors_.size();
    if (count < 1 || count > static_cast<size_t>(kMaxRank) || inputs_.size() != count || axes_.size() != count ||
        divisors_.size() != count)
      fail_node(node, "factors, inputs, axes and divisors differ in length, or are not 1 to ", kMaxRank);
  }

  [[nodiscard]] size_t count() const { return factors_.size(); }

  [[nodiscard]] Dims of(const NodeDef& node, std::span<const TensorDesc> in) const {
    Dims sizes;
    for (size_t i = 0; i < count(); ++i) sizes[sizes.rank++] = inputs_[i] < 0 ? Size(factors_[i]) : part(node, in, i);
    if (!sizes.within_limits())
      fail_shape(node, "its shape ", sizes.text(), " is over the limit of ", kMaxElements, " elements");
    return sizes;
  }

 private:
  [[nodiscard]] Size part(const NodeDef& node, std::span<const TensorDesc> in, size_t i) const {
    const Dims& from = in[static_cast<size_t>(inputs_[i])].dims;
    const auto axis = static_cast<int>(axes_[i]);
    if (axis >= from.rank) fail_shape(node, "a size comes from axis ", axis, " of ", from.text());
    const int64_t size = from[axis];
    const Size product = Size(size) * factors_[i];
    if (product % divisors_[i] != 0)
      fail_shape(node, "a size of ", size, " times ", factors_[i], " is no multiple of ", divisors_[i]);
    return product / divisors_[i];
  }

  std::vector<int64_t> factors_;
  std::vector<int64_t> inputs_;
  std::vector<int64_t> axes_;
  std::vector<int64_t> divisors_;
};

class RangeOp final : public NodeOp {
 public:
  RangeOp(const NodeDef& node, const OpContext& context) : NodeOp(node), sizes_(node) {
    require_output(node, context, DType::f32);
    if (sizes_.count() != 1) fail_node(node, "factors has ", sizes_.count(), " entries; it must have 1");
    start_ = Attrs(node).number("start");
    step_ = Attrs(node).number("step");
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    out[0].dims = sizes_.of(node_, in);
    const int64_t count = out[0].dims[0];
    if (count > kMaxCount)
      fail_shape(node_, "counts to ", count, "; at most ", kMaxCount, " numbers are exact in float32");
  }

  void run(const RunArgs& args) const override {
    auto* y = args.output<float>(0);
    const int64_t count = args.out_desc[0].dims[0];
    for (int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(start_ + static_cast<double>(i) * step_);
  }

 private:
  SizesOf sizes_;
  double start_ = 0.0;
  double step_ = 1.0;
};

class ExpandOp final : public NodeOp {
 public:
  ExpandOp(const NodeDef& node, const OpContext& context) : NodeOp(node), sizes_(node) {
    require_input(node, context, 0, DType::f32);
    require_output(node, context, DType::f32);
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    out[0].dims = sizes_.of(node_, in);
    const Dims& from = in[0].dims;
    const Dims& to = out[0].dims;
    bool fits = from.rank <= to.rank;
    for (int axis = 0; fits && axis < from.rank; ++axis)
      fits = from[axis] == 1 || from[axis] == to[axis + to.rank - from.rank];
    if (!fits) fail_shape(node_, "input ", from.text(), " does not broadcast to ", to.text());
  }

  void run(const RunArgs& args) const override {
    const Dims& from = args.in_desc[0].dims;
    const Dims& to = args.out_desc[0].dims;
    const Strides source = memory_strides(from);
    CopyBox box{to, memory_strides(to), {}};
    for (int axis = 0; axis < from.rank; ++axis)
      if (from[axis] != 1)
        box.src_strides[static_cast<size_t>(axis + to.rank - from.rank)] = source[static_cast<size_t>(axis)];
    copy_box(box, args.out[0], args.in[0], sizeof(float), args.pool);
  }

 private:
  SizesOf sizes_;
};

}  // namespace

std::unique_ptr<Op> make_range(const NodeDef& node, const OpContext& context) {
  return std::make_unique<RangeOp>(node, context);
}

std::unique_ptr<Op> make_expand(const NodeDef& node, const OpContext& context) {
  return std::make_unique<ExpandOp>(node, context);
}

}  // namespace fewbins
