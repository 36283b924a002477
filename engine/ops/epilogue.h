// SPDX-License-Identifier: Apache-2.0
// From sums to the next tensor: section 4 of docs/numerics.md, with the constants of one node, through the elementwise
// kernels.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/kernels.h"
#include "ops/attrs.h"
#include "ops/op.h"

namespace fewbins {

// clamp(rint(f32(x / s)) + z, lo, hi) - lo: the memory form of the level of x. NaN gives z.
uint8_t quantize_one(float x, const AffineInfo& affine);

// Sums in rows, and where they go. Strides and offsets count elements.
struct Tile {
  const void* acc = nullptr;  // int32, or float for float arithmetic
  size_t acc_stride = 0;
  size_t rows = 0;
  size_t cols = 0;
  size_t first = 0;                // the output channel of column 0
  const int32_t* bias = nullptr;   // of column 0; added to int32 sums modulo 2^32
  const void* residual = nullptr;  // u8, or float32 where the output is float32
  size_t residual_stride = 0;
  void* out = nullptr;
  size_t out_stride = 0;
};

class Epilogue {
 public:
  // What a node with weights has at its end: the constants of its requantization; without one the arithmetic is float:
  // bias, slope, residual, clamp.
  Epilogue(const NodeDef& node, const OpContext& context, int64_t channels, bool has_residual);

  // The same with one set of constants for all columns and no bias: elementwise operators and pools.
  static Epilogue uniform(const NodeDef& node, const OpContext& context, const Requantize& rule, bool has_residual);

  // What the constants of a mean take, about.
  static constexpr int64_t kMeanBytes = 4096;

  // The constants of a mean over n elements (a sum: n = 1), which follow from the scales: m = s / (n * s_y) in double.
  static Epilogue mean(const NodeDef& node, Isa isa, const Requantize& rule, const AffineInfo& input, int64_t n,
                       const TensorDesc& output);

  [[nodiscard]] bool is_float() const { return !rule_.has_value(); }
  [[nodiscard]] bool makes_float() const { return !rule_ || rule_->kind == Requantize::Kind::dequantize; }
  [[nodiscard]] size_t output_bytes() const { return makes_float() ? 4 : 1; }

  // The constants of the plain float rule, no residual and no negative slope; nothing where the rule is another.
  struct FloatRule {
    std::span<const float> multiplier;
    StoreU8 store;
  };
  [[nodiscard]] std::optional<FloatRule> float_rule() const;

  // Stores a tile.
  void run(const Tile& tile) const;

  // out[i] = the rule of acc[i], for the uniform kind. `out` points at the first element.
  void apply(const int32_t* acc, int64_t count, void* out, const void* residual = nullptr) const;

  // Add and Sub of two u8 lines, for the uniform kind that makes levels: acc = u_a + a_offset, the residual is b.
  void add(const uint8_t* a, int32_t a_offset, const uint8_t* b, int64_t count, uint8_t* out) const;

 private:
  explicit Epilogue(const ElementwiseKernels& kernels) : kernels_(&kernels) {}

  void read(const NodeDef& node, const OpContext& context, const Requantize& rule, int64_t channels, bool has_residual);
  [[nodiscard]] StoreU8 store() const;
  void run_levels(const Tile& tile) const;
  void run_floats(const Tile& tile) const;

  const ElementwiseKernels* kernels_;
  std::optional<Requantize> rule_;
  AffineInfo output_;
  bool has_residual_ = false;
  int32_t residual_offset_ = 0;  // lo - z of the residual
  Clamp clamp_;

  // One entry per channel.
  std::vector<float> bias_float_;
  std::vector<float> slope_;
  std::vector<float> multiplier_;
  std::vector<float> multiplier_neg_;
  std::vector<int32_t> fixed_;
  std::vector<int32_t> exponent_;
  std::vector<int32_t> fixed_neg_;
  std::vector<int32_t> exponent_neg_;
  std::vector<int32_t> fixed_residual_;
  std::vector<int32_t> shift_;
  float residual_multiplier_ = 0.0F;
  int32_t residual_shift_ = 0;
};

// Fails unless the output is float32 (kind dequantize) or levels that hold lo'..hi'.
void check_requantized_output(const NodeDef& node, const Requantize& rule, const TensorDesc& output);

}  // namespace fewbins
