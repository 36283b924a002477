// SPDX-License-Identifier: Apache-2.0
// Cast: from one of float32, bool, uint8, int32 and int64 to another. Floats are cut towards zero and saturate, NaN
// gives 0; integers that do not fit keep their low bits; a truth value is whether a number is not 0.
#include <limits>

#include "base/thread_pool.h"
#include "ops/factories.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

constexpr int64_t kGrain = 8192;

// The type of a truth value's byte, to tell it from that of uint8.
enum class Truth : uint8_t { no, yes };

template <class To>
To to_integer(float value) {
  // The limits as floats: the upper one rounds up to a power of two, which is the first that does not fit.
  constexpr auto kLowest = static_cast<float>(std::numeric_limits<To>::min());
  constexpr auto kBeyond = static_cast<float>(std::numeric_limits<To>::max());
  if (!(value > kLowest)) return value <= kLowest ? std::numeric_limits<To>::min() : To{0};  // NaN: 0
  return value >= kBeyond ? std::numeric_limits<To>::max() : static_cast<To>(value);
}

template <class From, class To>
To convert(From value) {
  if constexpr (std::is_same_v<From, Truth>)
    return static_cast<To>(value == Truth::yes ? 1 : 0);
  else if constexpr (std::is_same_v<To, Truth>)
    return value != 0 ? Truth::yes : Truth::no;
  else if constexpr (std::is_same_v<From, float> && !std::is_same_v<To, float>)
    return to_integer<To>(value);
  else
    return static_cast<To>(value);
}

template <class Visit>
void with_element(DType dtype, Visit&& visit) {
  switch (dtype) {
    case DType::b8:
      return visit(Truth{});
    case DType::u8:
      return visit(uint8_t{});
    case DType::i32:
      return visit(int32_t{});
    case DType::i64:
      return visit(int64_t{});
    default:
      return visit(float{});
  }
}

class CastOp final : public NodeOp {
 public:
  CastOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 1, 1);
    constexpr std::array kTypes = {DType::f32, DType::b8, DType::u8, DType::i32, DType::i64};
    to_ = kTypes[Attrs(node).choice("to", {"float32", "bool", "uint8", "int32", "int64"})];
    from_ = context.desc(node.inputs[0]).dtype;
    if (std::ranges::find(kTypes, from_) == kTypes.end())
      fail_node(node, "its input '", node.inputs[0], "' is ", dtype_name(from_), ", which is not cast");
    require_output(node, context, to_);
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override { out[0].dims = in[0].dims; }

  std::unique_ptr<OpState> prepare(const PrepareArgs& /*args*/) const override {
    auto state = std::make_unique<OpState>();
    if (dtype_bytes(from_) == dtype_bytes(to_)) state->alias = Alias::in_place;
    return state;
  }

  void run(const RunArgs& args) const override {
    with_element(from_,
                 [&](auto from) { with_element(to_, [&](auto to) { cast<decltype(from), decltype(to)>(args); }); });
  }

 private:
  template <class From, class To>
  static void cast(const RunArgs& args) {
    const auto* x = args.input<From>(0);
    auto* y = args.output<To>(0);
    args.pool.parallel_for(args.in_desc[0].dims.count(), kGrain, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        const From value = x[i];
        y[i] = convert<From, To>(value);
      }
    });
  }

  DType from_ = DType::f32;
  DType to_ = DType::f32;
};

}  // namespace

std::unique_ptr<Op> make_cast(const NodeDef& node, const OpContext& context) {
  return std::make_unique<CastOp>(node, context);
}

}  // namespace fewbins
