// SPDX-License-Identifier: Apache-2.0
#include "ops/epilogue.h"

#include <algorithm>
#include <cmath>

#include "ops/node_op.h"

namespace fewbins {

namespace {

using Kind = Requantize::Kind;

// Uniform constants are repeated this often, so that a long line of elements becomes rows of a tile.
constexpr int64_t kUniform = 256;

template <class T>
const T* at(const std::vector<T>& values, size_t first) {
  return values.empty() ? nullptr : values.data() + first;
}

void check_exponents(const NodeDef& node, const std::vector<int32_t>& exponents) {
  for (const int32_t e : exponents)
    if (e < 1 || e > 62) fail_node(node, "exponent ", e, " is outside 1..62");
}

void check_shifts(const NodeDef& node, const std::vector<int32_t>& shifts, const int32_t* residual) {
  for (const int32_t n : shifts) {
    if (n < -512 || n > 512) fail_node(node, "shift ", n, " is outside -512..512");
    if (residual == nullptr) continue;
    // The bounds within which the common form stays in int64.
    const int64_t other = *residual;
    const int64_t common = std::max<int64_t>({n, other, 1});
    if (common > 62 || common - n > 31 || common - other > 52)
      fail_node(node, "shifts ", n, " and ", other, " are too far apart for 64 bits");
  }
}

// m = M * 2^-e with 2^30 <= |M| < 2^31 and 1 <= e <= 62; tiny multipliers become 0.
struct Fixed {
  int32_t multiplier;
  int32_t exponent;
};

Fixed fixed_of(const NodeDef& node, double m) {
  if (!(m < 0x1p30)) fail_node(node, "multiplier ", m, " is too large for kind 'fixed'");
  if (m < 0x1p-32) return {0, 31};
  int power = 0;
  const double fraction = std::frexp(m, &power);
  auto mantissa = static_cast<int64_t>(std::nearbyint(std::ldexp(fraction, 31)));
  int exponent = 31 - power;
  if (mantissa == int64_t{1} << 31) {
    mantissa /= 2;
    exponent -= 1;
  }
  return {static_cast<int32_t>(mantissa), exponent};
}

}  // namespace

uint8_t quantize_one(float x, const AffineInfo& affine) {
  uint8_t u = 0;
  select_elementwise(Isa::scalar)
      .quantize({.x = &x,
                 .count = 1,
                 .scale = affine.scale,
                 .z = affine.zero_point,
                 .lo = affine.lo,
                 .hi = affine.hi,
                 .out = &u});
  return u;
}

void check_requantized_output(const NodeDef& node, const Requantize& rule, const TensorDesc& output) {
  if (rule.kind == Kind::dequantize) {
    if (output.dtype != DType::f32) fail_node(node, "requantize kind 'dequantize' needs a float32 output");
    return;
  }
  if (output.dtype != DType::levels) fail_node(node, "its requantize kind makes levels, but its output is not levels");
  const AffineInfo& affine = output.affine;
  if (rule.lo < affine.lo || rule.hi > affine.hi)
    fail_node(node, "requantize levels ", rule.lo, "..", rule.hi, " lie outside the output's ", affine.lo, "..",
              affine.hi);
}

Epilogue::Epilogue(const NodeDef& node, const OpContext& context, int64_t channels, bool has_residual)
    : Epilogue(select_elementwise(context.isa)) {
  const Attrs attrs(node);
  if (const auto rule = attrs.requantize()) {
    read(node, context, *rule, channels, has_residual);
    return;
  }
  const Params params(node, context);
  require_output(node, context, DType::f32);
  if (has_residual) require_input(node, context, 1, DType::f32);
  clamp_ = attrs.clamp().value_or(Clamp{});
  if (params.has("bias")) bias_float_ = params.per_channel<float>("bias", DType::f32, channels);
  if (params.has("slope")) slope_ = params.per_channel<float>("slope", DType::f32, channels);
  if (has_residual && !slope_.empty()) fail_node(node, "a slope does not go with a residual");
}

Epilogue Epilogue::uniform(const NodeDef& node, const OpContext& context, const Requantize& rule, bool has_residual) {
  Epilogue epilogue(select_elementwise(context.isa));
  epilogue.read(node, context, rule, 1, has_residual);
  const auto spread = [](auto& values) {
    if (!values.empty()) values.resize(kUniform, values.front());
  };
  spread(epilogue.multiplier_);
  spread(epilogue.multiplier_neg_);
  spread(epilogue.fixed_);
  spread(epilogue.exponent_);
  spread(epilogue.fixed_neg_);
  spread(epilogue.exponent_neg_);
  spread(epilogue.fixed_residual_);
  spread(epilogue.shift_);
  return epilogue;
}

void Epilogue::read(const NodeDef& node, const OpContext& context, const Requantize& rule, int64_t channels,
                    bool has_residual) {
  const TensorDesc output = context.desc(node.outputs.at(0));
  check_requantized_output(node, rule, output);
  rule_ = rule;
  output_ = output.affine;
  has_residual_ = has_residual;
  if (has_residual) {
    const DType expected = rule.kind == Kind::dequantize ? DType::f32 : DType::levels;
    const AffineInfo residual = require_input(node, context, 1, expected).affine;
    residual_offset_ = residual.lo - residual.zero_point;
  }
  const Params params(node, context);
  const auto floats = [&](std::string_view role, int64_t count) {
    auto values = params.per_channel<float>(role, DType::f32, count);
    for (const float m : values)
      if (!(std::fabs(m) < 0x1p96F)) fail_node(node, role, " ", m, " is not finite and below 2^96");
    return values;
  };
  const auto integers = [&](std::string_view role, int64_t count) {
    return params.per_channel<int32_t>(role, DType::i32, count);
  };
  switch (rule.kind) {
    case Kind::float_:
      multiplier_ = floats("multiplier", channels);
      if (has_residual) residual_multiplier_ = floats("residual_multiplier", 1)[0];
      break;
    case Kind::dequantize:
      multiplier_ = floats("multiplier", channels);
      clamp_ = Attrs(node).clamp().value_or(Clamp{});
      break;
    case Kind::fixed:
      fixed_ = integers("multiplier", channels);
      exponent_ = integers("exponent", channels);
      check_exponents(node, exponent_);
      if (has_residual) fixed_residual_ = integers("residual_multiplier", channels);
      break;
    case Kind::shift:
      shift_ = integers("shift", channels);
      if (has_residual) residual_shift_ = integers("residual_shift", 1)[0];
      check_shifts(node, shift_, has_residual ? &residual_shift_ : nullptr);
      break;
  }
  if (!params.has("multiplier_neg")) return;
  if (has_residual || rule.kind == Kind::shift)
    fail_node(node, "multiplier_neg goes neither with a residual nor with kind 'shift'");
  if (rule.kind == Kind::fixed) {
    fixed_neg_ = integers("multiplier_neg", channels);
    exponent_neg_ = integers("exponent_neg", channels);
    check_exponents(node, exponent_neg_);
  } else {
    multiplier_neg_ = floats("multiplier_neg", channels);
  }
}

Epilogue Epilogue::mean(const NodeDef& node, Isa isa, const Requantize& rule, const AffineInfo& input, int64_t n,
                        const TensorDesc& output) {
  Epilogue epilogue(select_elementwise(isa));
  epilogue.rule_ = rule;
  epilogue.output_ = output.affine;
  const auto s = static_cast<double>(input.scale);
  const auto count = static_cast<double>(n);
  const bool to_float = rule.kind == Kind::dequantize;
  const double m = s / (to_float ? count : count * static_cast<double>(output.affine.scale));
  if (to_float || rule.kind == Kind::float_) {
    if (!(m < 0x1p96)) fail_node(node, "multiplier ", m, " is not below 2^96");
    epilogue.multiplier_.assign(kUniform, static_cast<float>(m));
    return epilogue;
  }
  // Under 'shift' too: a mean is rarely over a power of two, and where it is, the result is the same.
  epilogue.rule_->kind = Kind::fixed;
  const Fixed fixed = fixed_of(node, m);
  epilogue.fixed_.assign(kUniform, fixed.multiplier);
  epilogue.exponent_.assign(kUniform, fixed.exponent);
  return epilogue;
}

void Epilogue::run(const Tile& tile) const {
  if (is_float()) {
    kernels_->finish_float({.acc = static_cast<const float*>(tile.acc),
                            .acc_stride = tile.acc_stride,
                            .rows = tile.rows,
                            .cols = tile.cols,
                            .bias = at(bias_float_, tile.first),
                            .slope = at(slope_, tile.first),
                            .residual = static_cast<const float*>(tile.residual),
                            .residual_stride = tile.residual_stride,
                            .clamp_lo = clamp_.lo,
                            .clamp_hi = clamp_.hi,
                            .out = static_cast<float*>(tile.out),
                            .out_stride = tile.out_stride});
  } else if (rule_->kind == Kind::dequantize) {
    run_floats(tile);
  } else {
    run_levels(tile);
  }
}

void Epilogue::run_floats(const Tile& tile) const {
  kernels_->dequantize_tile({.acc = static_cast<const int32_t*>(tile.acc),
                             .acc_stride = tile.acc_stride,
                             .rows = tile.rows,
                             .cols = tile.cols,
                             .bias = tile.bias,
                             .m = at(multiplier_, tile.first),
                             .m_neg = at(multiplier_neg_, tile.first),
                             .residual = static_cast<const float*>(tile.residual),
                             .residual_stride = tile.residual_stride,
                             .clamp_lo = clamp_.lo,
                             .clamp_hi = clamp_.hi,
                             .out = static_cast<float*>(tile.out),
                             .out_stride = tile.out_stride});
}

StoreU8 Epilogue::store() const {
  const int32_t z = output_.zero_point;
  return {.clamp_lo = rule_->lo - z, .clamp_hi = rule_->hi - z, .out_offset = z - output_.lo};
}

std::optional<Epilogue::FloatRule> Epilogue::float_rule() const {
  if (!rule_ || rule_->kind != Kind::float_ || has_residual_ || !multiplier_neg_.empty()) return std::nullopt;
  return FloatRule{multiplier_, store()};
}

void Epilogue::run_levels(const Tile& tile) const {
  const RequantizeTask task{.acc = static_cast<const int32_t*>(tile.acc),
                            .acc_stride = tile.acc_stride,
                            .rows = tile.rows,
                            .cols = tile.cols,
                            .bias = tile.bias,
                            .m = at(multiplier_, tile.first),
                            .m_neg = at(multiplier_neg_, tile.first),
                            .fixed_m = at(fixed_, tile.first),
                            .fixed_e = at(exponent_, tile.first),
                            .fixed_m_neg = at(fixed_neg_, tile.first),
                            .fixed_e_neg = at(exponent_neg_, tile.first),
                            .shift = at(shift_, tile.first),
                            .residual = static_cast<const uint8_t*>(tile.residual),
                            .residual_stride = tile.residual_stride,
                            .residual_offset = residual_offset_,
                            .residual_m = residual_multiplier_,
                            .residual_fixed_m = at(fixed_residual_, tile.first),
                            .residual_shift = residual_shift_,
                            .residual_negate = rule_->negate_residual,
                            .store = store(),
                            .out = static_cast<uint8_t*>(tile.out),
                            .out_stride = tile.out_stride};
  switch (rule_->kind) {
    case Kind::float_:
      return kernels_->requantize_float(task);
    case Kind::fixed:
      return kernels_->requantize_fixed(task);
    default:
      return kernels_->requantize_shift(task);
  }
}

void Epilogue::add(const uint8_t* a, int32_t a_offset, const uint8_t* b, int64_t count, uint8_t* out) const {
  AddTask task{.a = a,
               .b = b,
               .count = static_cast<size_t>(count),
               .a_offset = a_offset,
               .b_offset = residual_offset_,
               .store = store(),
               .out = out};
  switch (rule_->kind) {
    case Kind::float_:
      task.a_m = multiplier_[0];
      task.b_m = residual_multiplier_;
      return kernels_->add_float(task);
    case Kind::fixed:
      task.a_fixed_m = fixed_[0];
      task.b_fixed_m = fixed_residual_[0];
      task.fixed_e = exponent_[0];
      return kernels_->add_fixed(task);
    default:
      task.a_shift = shift_[0];
      task.b_shift = residual_shift_;
      task.b_negate = rule_->negate_residual;
      return kernels_->add_shift(task);
  }
}

void Epilogue::apply(const int32_t* acc, int64_t count, void* out, const void* residual) const {
  const auto columns = static_cast<size_t>(kUniform);
  const auto whole = static_cast<size_t>(count) / columns;
  const size_t rest = static_cast<size_t>(count) % columns;
  const auto part = [&](size_t rows, size_t cols, size_t start) {
    if (rows == 0 || cols == 0) return;
    const size_t bytes = output_bytes();
    const auto* other = static_cast<const std::byte*>(residual);
    run({.acc = acc + start,
         .acc_stride = columns,
         .rows = rows,
         .cols = cols,
         .residual = other == nullptr ? nullptr : other + start * bytes,
         .residual_stride = columns,
         .out = static_cast<std::byte*>(out) + start * bytes,
         .out_stride = columns});
  };
  part(whole, columns, 0);
  part(1, rest, whole * columns);
}

}  // namespace fewbins
