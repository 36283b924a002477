// SPDX-License-Identifier: Apache-2.0
// Table and Requantize: both are functions of one level, so both are 256 entries that the factory computes. Requantize
// may have constants per channel (axis 1), or make floats; then there is a row of entries per level.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/thread_pool.h"
#include "ops/epilogue.h"
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

constexpr int64_t kGrain = 16384;
constexpr size_t kEntries = 256;
constexpr size_t kMostChannels = 65536;

// One of the two is filled: entries [level][channel].
struct Entries {
  std::vector<uint8_t> bytes{};
  std::vector<float> floats{};
  size_t channels = 1;
};

class TableOp final : public NodeOp {
 public:
  TableOp(const NodeDef& node, const OpContext& context, Entries entries)
      : NodeOp(node), kernels_(select_elementwise(context.isa)), entries_(std::move(entries)) {
    check_arity(node, 1, 1);
    require_input(node, context, 0, DType::levels);
    require_output(node, context, context.desc(node.outputs[0]).dtype);
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const Dims& dims = in[0].dims;
    if (entries_.channels != 1 && (dims.rank < 2 || dims[1] != static_cast<int64_t>(entries_.channels)))
      fail_shape(node_, "input ", dims.text(), " does not have ", entries_.channels, " channels on axis 1");
    out[0].dims = dims;
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& /*args*/) const override {
    auto state = std::make_unique<OpState>();
    if (entries_.floats.empty()) state->alias = Alias::in_place;
    return state;
  }

  void run(const RunArgs& args) const override {
    const Dims& dims = args.in_desc[0].dims;
    const auto* u = args.input<uint8_t>(0);
    // How many neighbours in memory share a channel.
    const auto run = static_cast<size_t>(dims.rank < 2 ? Size(1) : memory_strides(dims)[1]);
    args.pool.parallel_for(dims.count(), kGrain, [&](int64_t begin, int64_t end, int) {
      if (!entries_.floats.empty()) return look_up(entries_.floats, u, args.output<float>(0), begin, end, run);
      if (entries_.channels != 1) return look_up(entries_.bytes, u, args.output<uint8_t>(0), begin, end, run);
      kernels_.lookup({.u = u + begin,
                       .count = static_cast<size_t>(end - begin),
                       .table = entries_.bytes.data(),
                       .out = args.output<uint8_t>(0) + begin});
    });
  }

 private:
  template <class T>
  void look_up(const std::vector<T>& table, const uint8_t* u, T* y, int64_t begin, int64_t end, size_t run) const {
    const auto first = static_cast<size_t>(begin);
    size_t channel = first / run % entries_.channels;
    size_t left = run - first % run;
    for (auto i = first; i < static_cast<size_t>(end); ++i) {
      y[i] = table[u[i] * entries_.channels + channel];
      if (--left == 0) {
        left = run;
        channel = channel + 1 == entries_.channels ? 0 : channel + 1;
      }
    }
  }

  const ElementwiseKernels& kernels_;
  Entries entries_;
};

size_t constants_of(const NodeDef& node, const OpContext& context) {
  const Params params(node, context);
  size_t count = 1;
  for (const auto& [role, name] : node.params)
    count = std::max(count, static_cast<size_t>(params.required(role).dims.count()));
  if (count > kMostChannels) fail_node(node, count, " constants are too many, at most ", kMostChannels, " are allowed");
  return count;
}

}  // namespace

std::unique_ptr<Op> make_table(const NodeDef& node, const OpContext& context) {
  check_arity(node, 1, 1);
  const TensorDesc out = require_output(node, context, DType::levels);
  const auto table = Params(node, context).required("table", DType::u8).as<uint8_t>();
  if (table.size() != kEntries) fail_node(node, "table has ", table.size(), " entries, expected ", kEntries);
  for (const uint8_t entry : table)
    if (entry > out.affine.hi - out.affine.lo)
      fail_node(node, "table entry ", int{entry}, " is above the output's last level ", out.affine.hi - out.affine.lo);
  return std::make_unique<TableOp>(node, context, Entries{.bytes = {table.begin(), table.end()}});
}

std::unique_ptr<Op> make_requantize(const NodeDef& node, const OpContext& context) {
  check_arity(node, 1, 1);
  if (!Attrs(node).requantize()) fail_node(node, "attribute 'requantize' is null");
  Entries entries{.channels = constants_of(node, context)};
  const Epilogue epilogue(node, context, static_cast<int64_t>(entries.channels), false);
  const AffineInfo input = context.desc(node.inputs[0]).affine;
  const Size values = Size(kEntries) * entries.channels;
  const auto loan = context.budget.borrow(values * sizeof(int32_t), "sums for its table");
  context.budget.charge(values * (epilogue.makes_float() ? sizeof(float) : 1), "its table");
  std::vector<int32_t> acc(kEntries * entries.channels);
  for (size_t i = 0; i < acc.size(); ++i)
    acc[i] = static_cast<int32_t>(i / entries.channels) + input.lo - input.zero_point;
  Tile tile{.acc = acc.data(),
            .acc_stride = entries.channels,
            .rows = kEntries,
            .cols = entries.channels,
            .out_stride = entries.channels};
  if (epilogue.makes_float()) {
    entries.floats.resize(acc.size());
    tile.out = entries.floats.data();
  } else {
    entries.bytes.resize(acc.size());
    tile.out = entries.bytes.data();
  }
  epilogue.run(tile);
  return std::make_unique<TableOp>(node, context, std::move(entries));
}

}  // namespace fewbins
