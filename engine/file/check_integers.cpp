// SPDX-License-Identifier: Apache-2.0
// What docs/numerics.md demands of the integers in a file. Operators rely on it: with these bounds no step of section 4
// leaves int64, no float step makes NaN of finite numbers, and no table or weight points outside its levels.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "file/header.h"

namespace fewbins {
namespace {

constexpr float kMultiplierLimit = 0x1p96F;  // times an int32 it stays finite
constexpr int32_t kShiftLimit = 1024;        // more than any quotient of float32 scales needs
constexpr int64_t kAccumulatorLimit = int64_t{1} << 31;

// What the checks need to know of one node with a requantization.
struct Node {
  const Model& model;
  const NodeDef& def;
  std::string_view kind;  // float, fixed, shift, dequantize

  template <class... Parts>
  [[noreturn]] void fail_with(const Parts&... parts) const {
    fail(ErrorCode::model_file, "node '", def.name, "' (", def.op, "): ", parts...);
  }
  [[nodiscard]] Json attrs(const boost::json::value& value) const { return {value, "node", def.name}; }

  [[nodiscard]] const Constant* find(std::string_view role) const {
    const auto it = def.params.find(std::string(role));
    return it == def.params.end() ? nullptr : model.find_constant(it->second);
  }
  // The constant of the role, of that dtype and with 1 or `channels` elements (any number when channels is 0).
  [[nodiscard]] const Constant& param(std::string_view role, DType dtype, int64_t channels) const {
    const Constant* constant = find(role);
    if (constant == nullptr) fail_with("param '", role, "' is missing");
    if (constant->dtype != dtype)
      fail_with("its ", role, " is ", dtype_name(constant->dtype), "; it must be ", dtype_name(dtype));
    const int64_t n = constant->dims.count();
    if (n < 1 || constant->dims.rank > 1 || (channels > 0 && n != 1 && n != channels))
      fail_with("its ", role, " has shape ", constant->dims.text(), "; it must have 1 or ", channels, " elements");
    return *constant;
  }
  // dtype and affine of an operand or output, constant or not.
  [[nodiscard]] std::pair<DType, AffineInfo> operand(const std::string& name) const {
    if (const Constant* constant = model.find_constant(name)) return {constant->dtype, constant->affine};
    const TensorInfo& tensor = model.tensors.at(name);
    return {tensor.dtype, tensor.affine};
  }
};

void check_range(const Node& node, std::string_view role, const Constant& constant, int32_t lo, int32_t hi) {
  for (const int32_t value : constant.as<int32_t>())
    if (value < lo || value > hi) node.fail_with("its ", role, " holds ", value, "; it must be in ", lo, "..", hi);
}

void check_float_multiplier(const Node& node, std::string_view role, int64_t channels) {
  for (const float value : node.param(role, DType::f32, channels).as<float>())
    if (!(std::fabs(value) < kMultiplierLimit))
      node.fail_with("its ", role, " holds ", value, "; it must be finite and below 2^96");
}

// N = max(n, n_r, 1) <= 62, N - n <= 31, N - n_r <= 52 keep the sum of section 4 in int64.
void check_shift_spread(const Node& node, const Constant& shift, int32_t residual) {
  for (const int32_t n : shift.as<int32_t>()) {
    const int32_t common = std::max({n, residual, 1});
    if (common > 62 || common - n > 31 || common - residual > 52)
      node.fail_with("shifts ", n, " and ", residual, " of a sum with a residual are too far apart for 64 bits");
  }
}

void check_constants(const Node& node, int64_t channels, bool residual) {
  const bool negative = node.find("multiplier_neg") != nullptr;
  if (negative && residual) node.fail_with("multiplier_neg and a residual exclude each other");
  if (node.kind == "float" || node.kind == "dequantize") {
    check_float_multiplier(node, "multiplier", channels);
    if (negative) check_float_multiplier(node, "multiplier_neg", channels);
    if (residual && node.kind == "float") check_float_multiplier(node, "residual_multiplier", 1);
  } else if (node.kind == "fixed") {
    static_cast<void>(node.param("multiplier", DType::i32, channels));
    check_range(node, "exponent", node.param("exponent", DType::i32, channels), 1, 62);
    if (negative) {
      static_cast<void>(node.param("multiplier_neg", DType::i32, channels));
      check_range(node, "exponent_neg", node.param("exponent_neg", DType::i32, channels), 1, 62);
    }
    if (residual) static_cast<void>(node.param("residual_multiplier", DType::i32, channels));
  } else {
    const Constant& shift = node.param("shift", DType::i32, channels);
    check_range(node, "shift", shift, -kShiftLimit, kShiftLimit);
    if (residual) {
      const Constant& other = node.param("residual_shift", DType::i32, 1);
      check_range(node, "residual_shift", other, -kShiftLimit, kShiftLimit);
      check_shift_spread(node, shift, other.as<int32_t>()[0]);
    }
  }
}

// The output's dtype fits the kind, and lo', hi' lie in its levels.
void check_output(const Node& node, const Json& requantize) {
  const auto [dtype, affine] = node.operand(node.def.outputs[0]);
  if (node.kind == "dequantize") {
    if (dtype != DType::f32) node.fail_with("kind 'dequantize' writes float32, but the output holds levels");
    return;
  }
  if (dtype != DType::levels) node.fail_with("kind '", node.kind, "' writes levels, but the output is float32");
  const int64_t lo = requantize.at("lo").integer(affine.lo, affine.hi);
  static_cast<void>(requantize.at("hi").integer(lo, affine.hi));
}

// The weight's output channels, and how to find the channel of an element.
struct Channels {
  int64_t count = 0;   // O
  int64_t inner = 1;   // neighbouring elements of one channel
  int64_t size = 1;    // length of the channel's axis in the weight
  int64_t groups = 1;  // ConvTranspose: rows of the weight's first axis belong to groups
  int64_t rows = 1;    // first-axis rows per group

  // The channel of the elements inner * run .. inner * (run + 1) - 1.
  [[nodiscard]] int64_t of(int64_t run) const {
    return groups == 1 ? run % size : run / size / rows * size + run % size;
  }
};

Channels channels_of(const Node& node, const Constant& weight) {
  const Dims& dims = weight.dims;
  Channels channels;
  if (node.def.op == "ConvTranspose") {
    if (dims.rank != 4 || dims.count() < 1)
      node.fail_with("its weight has shape ", dims.text(), "; it must have 4 axes");
    const boost::json::value attrs(node.def.attrs);
    channels.groups = node.attrs(attrs).at("groups").integer(1, dims[0]);
    if (dims[0] % channels.groups != 0)
      node.fail_with("its weight's ", dims[0], " input channels are not a multiple of groups (=", channels.groups, ")");
    channels.size = dims[1];
    channels.inner = dims[2] * dims[3];
    channels.rows = dims[0] / channels.groups;
    channels.count = dims[1] * channels.groups;
    return channels;
  }
  const int rank = node.def.op == "Gemm" ? 2 : 4;
  if (dims.rank != rank || dims.count() < 1)
    node.fail_with("its weight has shape ", dims.text(), "; it must have ", rank, " axes");
  channels.size = channels.count = dims[0];
  channels.inner = dims.count() / dims[0];
  return channels;
}

// sum |q_w - z_w| of every output channel.
std::vector<int64_t> weight_sums(const Node& node, const Constant& weight, const Channels& channels) {
  std::vector<int64_t> sums(static_cast<size_t>(channels.count), 0);
  const auto add = [&](auto value_of) {
    const auto inner = static_cast<size_t>(channels.inner);
    const size_t runs = weight.bytes / inner;
    for (size_t run = 0; run < runs; ++run) {
      int64_t sum = 0;
      for (size_t i = 0; i < inner; ++i) sum += std::abs(value_of(run * inner + i));
      sums[static_cast<size_t>(channels.of(static_cast<int64_t>(run)))] += sum;
    }
  };
  if (const Constant* table = node.find("weight_table")) {
    if (table->dtype != DType::i8 || table->dims.count() != 16)
      node.fail_with("its weight_table must be int8 of 16 entries, not ", dtype_name(table->dtype), " ",
                     table->dims.text());
    if (weight.dtype != DType::u8) node.fail_with("its weight is ", dtype_name(weight.dtype), "; indices are uint8");
    const auto entries = table->as<int8_t>();
    const auto indices = weight.as<uint8_t>();
    const auto largest = std::ranges::max_element(indices);
    if (*largest > 15) node.fail_with("its weight holds the index ", int{*largest}, "; the table has 16 entries");
    add([&](size_t i) { return int64_t{entries[indices[i]]}; });
    return sums;
  }
  const int32_t zero = weight.weight_affine ? weight.weight_affine->zero_point : 0;
  if (weight.dtype == DType::i8) {
    if (zero != 0) node.fail_with("its int8 weight has zero point ", zero, "; integer arithmetic takes 0");
    add([q = weight.as<int8_t>()](size_t i) { return int64_t{q[i]}; });
  } else if (weight.dtype == DType::u8) {
    add([q = weight.as<uint8_t>(), zero](size_t i) { return int64_t{q[i]} - zero; });
  } else {
    node.fail_with("its weight is ", dtype_name(weight.dtype), "; integer arithmetic takes int8 or uint8");
  }
  return sums;
}

// |b| + sum_k max(hi - z, z - lo) * |q_w| < 2^31 for every channel, from the actual weights.
int64_t prove_accumulator(const Node& node, const AffineInfo& input, MemoryBudget& budget) {
  const Constant* weight = node.find("weight");
  if (weight == nullptr) node.fail_with("param 'weight' is missing");
  const Channels channels = channels_of(node, *weight);
  if (weight->weight_affine) {
    const auto scales = static_cast<int64_t>(weight->weight_affine->scales.size());
    if (scales != 1 && scales != channels.count)
      node.fail_with("its weight has ", scales, " scales; it must have 1 or ", channels.count);
  }
  const Constant& bias = node.param("bias", DType::i32, channels.count);
  if (bias.dims.count() != channels.count)
    node.fail_with("its bias has ", bias.dims.count(), " elements; it must have ", channels.count);
  const int64_t reach = std::max(input.hi - input.zero_point, input.zero_point - input.lo);
  const auto loan = budget.borrow(Size(channels.count) * sizeof(int64_t), "sums of its weights");
  const std::vector<int64_t> sums = weight_sums(node, *weight, channels);
  const auto biases = bias.as<int32_t>();
  for (size_t c = 0; c < sums.size(); ++c)
    if (std::abs(int64_t{biases[c]}) + reach * sums[c] >= kAccumulatorLimit)
      node.fail_with("the accumulator of channel ", c, " may reach ", std::abs(int64_t{biases[c]}) + reach * sums[c],
                     ", which int32 does not hold");
  return channels.count;
}

bool derives_constants(std::string_view op) { return op == "AveragePool" || op == "Reduce"; }

bool has_weight(std::string_view op) { return op == "Conv" || op == "ConvTranspose" || op == "Gemm"; }

void check_quantized(Model& model, const NodeDef& def, const boost::json::value& attrs) {
  // Nothing of that size is taken, but time: thousands of nodes may share a constant, and each one checks it.
  for (const auto& [role, name] : def.params)
    if (const Constant* constant = model.find_constant(name))
      model.budget.charge(constant->bytes, "checks of its " + role);
  Node node{model, def, {}};
  const Json requantize(attrs, "node", def.name, "requantize");
  node.kind = requantize.at("kind").string();
  if (node.kind != "float" && node.kind != "fixed" && node.kind != "shift" && node.kind != "dequantize")
    requantize.at("kind").fail_type("'float', 'fixed', 'shift' or 'dequantize'");
  const auto [dtype, affine] = node.operand(def.inputs[0]);
  if (dtype != DType::levels)
    node.fail_with("its input '", def.inputs[0], "' is float32; integer arithmetic reads levels");
  check_output(node, requantize);
  if (derives_constants(def.op)) return;
  const bool binary = def.op == "Binary";
  const bool second = def.inputs.size() > 1;
  const boost::json::value* function = def.attrs.if_contains("function");
  const bool product = binary && function != nullptr && function->is_string() && function->get_string() == "mul";
  if (second) {
    const DType other = node.operand(def.inputs[1]).first;
    const DType wanted = node.kind == "dequantize" && !product ? DType::f32 : DType::levels;
    if (other != wanted)
      node.fail_with("its input '", def.inputs[1], "' is ", dtype_name(other), "; it must be ", dtype_name(wanted));
  }
  const int64_t channels = has_weight(def.op) ? prove_accumulator(node, affine, model.budget) : 0;
  check_constants(node, channels, second && !product);
}

void check_table(const Model& model, const NodeDef& def) {
  const Node node{model, def, {}};
  const Constant& table = node.param("table", DType::u8, 256);
  if (table.dims.count() != 256) node.fail_with("its table has ", table.dims.count(), " entries; it must have 256");
  const auto [dtype, affine] = node.operand(def.outputs[0]);
  if (dtype != DType::levels || node.operand(def.inputs[0]).first != DType::levels)
    node.fail_with("a table reads and writes levels");
  for (const uint8_t u : table.as<uint8_t>())
    if (u > affine.hi - affine.lo)
      node.fail_with("its table holds ", int{u}, "; the output's levels end at ", affine.hi - affine.lo);
}

}  // namespace

void check_integers(Model& model) {
  for (const NodeDef& node : model.nodes) {
    if (node.op == "Table") check_table(model, node);
    const boost::json::value* requantize = node.attrs.if_contains("requantize");
    model.budget.set_place(node.text());
    if (requantize != nullptr && !requantize->is_null()) check_quantized(model, node, *requantize);
  }
}

}  // namespace fewbins
