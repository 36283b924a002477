// SPDX-License-Identifier: Apache-2.0
// Reshape: the same elements, in logical order, in another shape.
#include <vector>

#include "base/checked.h"
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

class ReshapeOp final : public NodeOp {
 public:
  ReshapeOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 1, 1);
    require_same_type(node, context);
    const Attrs attrs(node);
    shape_ = attrs.integers("shape", -1, kMaxDim);
    axes_ = attrs.integers("axes", -1, kMaxRank - 1);
    divisors_ = attrs.integers("divisors", 1, kMaxDim);
    if (shape_.size() > static_cast<size_t>(kMaxRank))
      fail_node(node, "shape has ", shape_.size(), " sizes, at most ", kMaxRank, " are allowed");
    int inferred = 0;
    for (const int64_t size : shape_) inferred += size == -1 ? 1 : 0;
    if (inferred > 1) fail_node(node, "shape holds -1 more than once");
    if (axes_.size() != divisors_.size() || (!axes_.empty() && axes_.size() != shape_.size()))
      fail_node(node, "axes has ", axes_.size(), " and divisors ", divisors_.size(), " entries; they must have ",
                shape_.size(), " or none");
    for (size_t i = 0; i < axes_.size(); ++i)
      if (axes_[i] >= 0 && shape_[i] < 1)
        fail_node(node, "shape holds ", shape_[i], " for axis ", axes_[i], "; it must be at least 1");
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const Dims& from = in[0].dims;
    std::vector<int64_t> sizes = shape_;
    Size known = 1;
    int64_t* free = nullptr;
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (!axes_.empty() && axes_[i] >= 0) {
        sizes[i] = part_of(from, i);
      } else if (sizes[i] == 0) {
        if (static_cast<int>(i) >= from.rank)
          fail_shape(node_, "size ", i, " is copied from an input of shape ", from.text(), ", which has none");
        sizes[i] = from[static_cast<int>(i)];
      }
      if (sizes[i] == -1) {
        free = &sizes[i];
        continue;
      }
      // Bounded at each step, so that no order of the sizes leaves 64 bits before a 0 ends it.
      known *= sizes[i];
      if (known > kMaxElements) fail_shape(node_, "the new shape has more than ", kMaxElements, " elements");
    }
    if (free != nullptr) {
      if (known == 0 || from.count() % known != 0)
        fail_shape(node_, "input ", from.text(), " cannot be spread over rows of ", known, " elements");
      *free = from.count() / known;
    } else if (known != from.count()) {
      fail_shape(node_, "input ", from.text(), " has ", from.count(), " elements, the new shape ", known);
    }
    out[0].dims = Dims::from(sizes);
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = std::make_unique<OpState>();
    const Dims& from = args.in[0].dims;
    const Dims& to = args.out[0].dims;
    if (from == to || (same_order(from) && same_order(to)))
      state->alias = Alias::view;
    else if (!same_order(from) && !same_order(to))
      state->scratch_bytes = args.out[0].bytes();
    return state;
  }

  void run(const RunArgs& args) const override {
    const Dims& from = args.in_desc[0].dims;
    const Dims& to = args.out_desc[0].dims;
    const size_t bytes = dtype_bytes(args.out_desc[0].dtype);
    if (args.state.alias == Alias::view) {
      if (args.in[0] == args.out[0]) return;
      const int64_t count = to.count();
      copy_box({Dims{count}, {1}, {1}}, args.out[0], args.in[0], bytes, args.pool);
    } else if (same_order(from)) {
      copy_box({to, memory_strides(to), logical_strides(to)}, args.out[0], args.in[0], bytes, args.pool);
    } else if (same_order(to)) {
      copy_box({from, logical_strides(from), memory_strides(from)}, args.out[0], args.in[0], bytes, args.pool);
    } else {
      copy_box({from, logical_strides(from), memory_strides(from)}, args.scratch, args.in[0], bytes, args.pool);
      copy_box({to, memory_strides(to), logical_strides(to)}, args.out[0], args.scratch, bytes, args.pool);
    }
  }

 private:
  // The size of an axis of the input, times a factor, over a divisor.
  [[nodiscard]] int64_t part_of(const Dims& from, size_t i) const {
    const auto axis = static_cast<int>(axes_[i]);
    if (axis >= from.rank) fail_shape(node_, "size ", i, " comes from axis ", axis, " of ", from.text());
    const Size product = Size(from[axis]) * shape_[i];
    if (product % divisors_[i] != 0)
      fail_shape(node_, "a size of ", from[axis], " times ", shape_[i], " is no multiple of ", divisors_[i]);
    return product / divisors_[i];
  }

  std::vector<int64_t> shape_;
  std::vector<int64_t> axes_;  // for each size the axis that it comes from, or -1; or nothing
  std::vector<int64_t> divisors_;
};

}  // namespace

std::unique_ptr<Op> make_reshape(const NodeDef& node, const OpContext& context) {
  return std::make_unique<ReshapeOp>(node, context);
}

}  // namespace fewbins
