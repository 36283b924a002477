// SPDX-License-Identifier: Apache-2.0
// Pad: more elements around a tensor, or fewer. On levels the constant is quantize(value).
#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "ops/epilogue.h"
#include "ops/factories.h"
#include "ops/gather.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

enum class Mode : uint8_t { constant, reflect, edge };

struct PadState final : OpState {
  std::optional<AxisGather> gather;
};

class PadOp final : public NodeOp {
 public:
  PadOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 1, 1);
    require_same_real_type(node, context);
    const Attrs attrs(node);
    pads_ = attrs.integers("pads", -kMaxDim, kMaxDim);
    if (pads_.size() % 2 != 0) fail_node(node, "pads has ", pads_.size(), " entries, expected two per axis");
    mode_ = static_cast<Mode>(attrs.choice("mode", {"constant", "reflect", "edge"}));
    value_ = static_cast<float>(attrs.number("value"));
    const TensorDesc out = context.desc(node.outputs[0]);
    if (out.dtype == DType::levels) level_ = quantize_one(value_, out.affine);
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const Dims& from = in[0].dims;
    require_rank(node_, in[0], static_cast<int>(rank()));
    out[0].dims = from;
    for (size_t axis = 0; axis < rank(); ++axis) {
      const int64_t begin = pads_[axis];
      const int64_t end = pads_[axis + rank()];
      const int64_t size = from.d[axis];
      out[0].dims.d[axis] = size + begin + end;
      // Cropping comes first; a reflection needs as many elements beside the border as it makes.
      const int64_t left = size + std::min<int64_t>(begin, 0) + std::min<int64_t>(end, 0);
      const int64_t most = mode_ == Mode::constant ? kMaxDim
                           : mode_ == Mode::edge   ? (left > 0 ? kMaxDim : 0)
                                                   : left - 1;
      if (left < 0 || std::max<int64_t>({begin, end, 0}) > std::max<int64_t>(most, 0))
        fail_shape(node_, "pads ", begin, " and ", end, " do not fit axis ", axis, " of an input of shape ",
                   from.text());
    }
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = std::make_unique<PadState>();
    const Dims& from = args.in[0].dims;
    const Dims& to = args.out[0].dims;
    args.budget.charge(AxisGather::bytes_of(to), "index tables");
    std::vector<std::vector<int64_t>> tables(rank());
    for (size_t axis = 0; axis < rank(); ++axis)
      for (int64_t i = 0; i < to.d[axis]; ++i) tables[axis].push_back(source(i - pads_[axis], axis, from.d[axis]));
    state->gather.emplace(from, to, tables);
    return state;
  }

  void run(const RunArgs& args) const override {
    const bool levels = args.out_desc[0].dtype == DType::levels;
    const void* fill = levels ? static_cast<const void*>(&level_) : &value_;
    static_cast<const PadState&>(args.state)
        .gather->run(args.in[0], args.out[0], dtype_bytes(args.out_desc[0].dtype), fill, args.pool);
  }

 private:
  [[nodiscard]] size_t rank() const { return pads_.size() / 2; }

  // Cropping comes before padding, so reflection and edges see what is left.
  [[nodiscard]] int64_t source(int64_t i, size_t axis, int64_t size) const {
    const int64_t first = std::max<int64_t>(0, -pads_[axis]);
    const int64_t last = size - 1 - std::max<int64_t>(0, -pads_[axis + rank()]);
    if (i >= first && i <= last) return i;
    if (mode_ == Mode::constant) return -1;
    if (mode_ == Mode::edge) return std::clamp(i, first, last);
    return i < first ? 2 * first - i : 2 * last - i;
  }

  std::vector<int64_t> pads_;
  Mode mode_ = Mode::constant;
  float value_ = 0.0F;
  uint8_t level_ = 0;
};

}  // namespace

std::unique_ptr<Op> make_pad(const NodeDef& node, const OpContext& context) {
  return std::make_unique<PadOp>(node, context);
}

}  // namespace fewbins
