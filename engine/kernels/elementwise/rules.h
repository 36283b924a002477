// SPDX-License-Identifier: Apache-2.0
// The rules of docs/numerics.md section 4 for one value, plainly. The scalar kernels are loops over these; the vector
// kernels use them where a rule is not worth vectors. Everything is in an anonymous namespace: each file that includes
// this has its own copy, compiled with its own flags.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

/// a + b modulo 2^32.
[[maybe_unused]] inline int32_t wrapping_add(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}

/// Nearest integer, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves no room for a fraction, and the addition
/// rounds as rint does. Volatile-free because -ffast-math is never used here.
[[maybe_unused]] inline float round_small(float x) {
  const float shift = 12582912.0f;
  return (x + shift) - shift;
}

/// NaN becomes lo, as maxps(x, lo) makes it.
[[maybe_unused]] inline float clamp_no_nan(float x, float lo, float hi) {
  const float low = x > lo ? x : lo;
  return low < hi ? low : hi;
}

/// NaN stays NaN.
[[maybe_unused]] inline float clamp_keep_nan(float x, float lo, float hi) {
  const float low = x < lo ? lo : x;
  return low > hi ? hi : low;
}

/// clamp(v) + offset as the stored byte, then the table.
[[maybe_unused]] inline uint8_t store_value(int32_t v, const StoreU8& store) {
  const uint8_t u = static_cast<uint8_t>(v + store.out_offset);
  return store.table != nullptr ? store.table[u] : u;
}

[[maybe_unused]] inline uint8_t store_float(float v, const StoreU8& store) {
  const float clamped = clamp_no_nan(v, static_cast<float>(store.clamp_lo), static_cast<float>(store.clamp_hi));
  return store_value(static_cast<int32_t>(round_small(clamped)), store);
}

[[maybe_unused]] inline uint8_t store_int64(int64_t v, const StoreU8& store) {
  const int64_t low = v < store.clamp_lo ? store.clamp_lo : v;
  return store_value(static_cast<int32_t>(low > store.clamp_hi ? store.clamp_hi : low), store);
}

/// (a * a_m + b * b_m + 2^(e-1)) >> e.
[[maybe_unused]] inline int64_t fixed_rule(int32_t a, int32_t a_m, int32_t b, int32_t b_m, int32_t e) {
  const int64_t sum = static_cast<int64_t>(a) * a_m + static_cast<int64_t>(b) * b_m;
  return (sum + (int64_t{1} << (e - 1))) >> e;
}

/// One operand: n >= 1: (acc + 2^(n-1)) >> n; n <= 0: acc << -n. Shifts past what an int32 holds give what the exact
/// arithmetic gives: 0 to the right, and to the left something beyond every clamp.
[[maybe_unused]] inline int64_t shift_rule(int32_t acc, int32_t n) {
  if (n > 31) return 0;
  if (n >= 1) return (static_cast<int64_t>(acc) + (int64_t{1} << (n - 1))) >> n;
  return static_cast<int64_t>(acc) * (int64_t{1} << (n < -31 ? 31 : -n));
}

/// Two operands: N = max(n, n_r, 1); ((acc << (N - n)) + (r << (N - n_r)) + 2^(N-1)) >> N.
[[maybe_unused]] inline int64_t shift_rule_two(int32_t acc, int32_t n, int32_t r, int32_t n_r) {
  int32_t most = n > n_r ? n : n_r;
  if (most < 1) most = 1;
  const int64_t sum =
      static_cast<int64_t>(acc) * (int64_t{1} << (most - n)) + static_cast<int64_t>(r) * (int64_t{1} << (most - n_r));
  return (sum + (int64_t{1} << (most - 1))) >> most;
}

/// clamp(rint(x / scale) + z, lo, hi) - lo with z - lo as `offset` and the ends less z; NaN gives z.
[[maybe_unused]] inline uint8_t quantize_value(float x, float scale, float low, float high, int32_t offset) {
  const float v = x / scale;
  const float clamped = v == v ? clamp_no_nan(v, low, high) : 0.0f;
  return static_cast<uint8_t>(static_cast<int32_t>(round_small(clamped)) + offset);
}

/// Requantization by the fixed rule: the same loop on every instruction set.
[[maybe_unused]] inline void requantize_fixed_rows(const RequantizeTask& task) {
  for (size_t i = 0; i < task.rows; ++i) {
    const int32_t* acc_row = task.acc + i * task.acc_stride;
    const uint8_t* residual = task.residual != nullptr ? task.residual + i * task.residual_stride : nullptr;
    uint8_t* out = task.out + i * task.out_stride;
    for (size_t j = 0; j < task.cols; ++j) {
      const int32_t acc = task.bias != nullptr ? wrapping_add(acc_row[j], task.bias[j]) : acc_row[j];
      const bool negative = task.fixed_m_neg != nullptr && acc < 0;
      const int32_t m = negative ? task.fixed_m_neg[j] : task.fixed_m[j];
      const int32_t e = negative ? task.fixed_e_neg[j] : task.fixed_e[j];
      const int32_t r = residual != nullptr ? residual[j] + task.residual_offset : 0;
      const int32_t r_m = residual != nullptr ? task.residual_fixed_m[j] : 0;
      out[j] = store_int64(fixed_rule(acc, m, r, r_m, e), task.store);
    }
  }
}

/// Requantization by the shift rule: the same loop on every instruction set.
[[maybe_unused]] inline void requantize_shift_rows(const RequantizeTask& task) {
  for (size_t i = 0; i < task.rows; ++i) {
    const int32_t* acc_row = task.acc + i * task.acc_stride;
    const uint8_t* residual = task.residual != nullptr ? task.residual + i * task.residual_stride : nullptr;
    uint8_t* out = task.out + i * task.out_stride;
    for (size_t j = 0; j < task.cols; ++j) {
      const int32_t acc = task.bias != nullptr ? wrapping_add(acc_row[j], task.bias[j]) : acc_row[j];
      if (residual == nullptr) {
        out[j] = store_int64(shift_rule(acc, task.shift[j]), task.store);
      } else {
        const int32_t r = residual[j] + task.residual_offset;
        const int64_t v = shift_rule_two(acc, task.shift[j], task.residual_negate ? -r : r, task.residual_shift);
        out[j] = store_int64(v, task.store);
      }
    }
  }
}

[[maybe_unused]] inline void add_fixed_values(const AddTask& task) {
  for (size_t i = 0; i < task.count; ++i) {
    const int32_t b = task.b != nullptr ? task.b[i] + task.b_offset : 0;
    const int64_t v = fixed_rule(task.a[i] + task.a_offset, task.a_fixed_m, b, task.b_fixed_m, task.fixed_e);
    task.out[i] = store_int64(v, task.store);
  }
}

[[maybe_unused]] inline void add_shift_values(const AddTask& task) {
  for (size_t i = 0; i < task.count; ++i) {
    const int32_t a = task.a[i] + task.a_offset;
    if (task.b == nullptr) {
      task.out[i] = store_int64(shift_rule(a, task.a_shift), task.store);
    } else {
      const int32_t b = task.b[i] + task.b_offset;
      task.out[i] = store_int64(shift_rule_two(a, task.a_shift, task.b_negate ? -b : b, task.b_shift), task.store);
    }
  }
}

[[maybe_unused]] inline void lookup_values(const LookupTask& task) {
  for (size_t i = 0; i < task.count; ++i) task.out[i] = task.table[task.u[i]];
}

// Normalization and products: plain loops of independent doubles, which the compiler turns into vectors of each
// instruction set.

[[maybe_unused]] inline double term_of(float x, const double* mean) {
  const double wide = static_cast<double>(x);
  if (mean == nullptr) return wide;
  return (wide - *mean) * (wide - *mean);
}

template <bool kSquares>
[[maybe_unused]] inline void sum_lanes_as(const SumLanesTask& task) {
  const double* mean = kSquares ? task.mean : nullptr;
  const double center = kSquares ? *task.mean : 0.0;
  size_t i = 0;
  for (; i < task.count && (task.first + i) % kSumLanes != 0; ++i)
    task.lanes[(task.first + i) % kSumLanes] += term_of(task.x[i], mean);
  double lanes[kSumLanes];
  for (size_t j = 0; j < kSumLanes; ++j) lanes[j] = task.lanes[j];
  for (; i + kSumLanes <= task.count; i += kSumLanes) {
    for (size_t j = 0; j < kSumLanes; ++j) {
      const double wide = static_cast<double>(task.x[i + j]) - center;
      lanes[j] += kSquares ? wide * wide : wide;
    }
  }
  for (size_t j = 0; j < kSumLanes; ++j) task.lanes[j] = lanes[j];
  for (size_t j = 0; i < task.count; ++i, ++j) task.lanes[j] += term_of(task.x[i], mean);
}

[[maybe_unused]] inline void sum_lanes_values(const SumLanesTask& task) {
  task.mean == nullptr ? sum_lanes_as<false>(task) : sum_lanes_as<true>(task);
}

[[maybe_unused]] inline void sum_row_values(const SumRowTask& task) {
  if (task.mean == nullptr) {
    for (size_t i = 0; i < task.count; ++i) task.sums[i] += static_cast<double>(task.x[i]);
  } else {
    for (size_t i = 0; i < task.count; ++i) task.sums[i] += term_of(task.x[i], task.mean + i);
  }
}

[[maybe_unused]] inline void normalize_values(const NormalizeTask& task) {
  for (size_t i = 0; i < task.count; ++i) {
    const double steps = (static_cast<double>(task.x[i]) - task.mean[i]) * task.factor[i];
    task.out[i] = static_cast<float>(steps * static_cast<double>(task.scale[i]) + static_cast<double>(task.bias[i]));
  }
}

[[maybe_unused]] inline void product_f64_values(const ProductF64Task& task) {
  double sums[kProductRows][kProductColumns] = {};
  for (size_t k = 0; k < task.depth; ++k) {
    const double* a = task.rows + k * kProductRows;
    const double* b = task.columns + k * kProductColumns;
    for (size_t i = 0; i < kProductRows; ++i)
      for (size_t j = 0; j < kProductColumns; ++j) sums[i][j] += a[i] * b[j];
  }
  for (size_t i = 0; i < kProductRows; ++i)
    for (size_t j = 0; j < kProductColumns; ++j) task.sums[i * kProductColumns + j] = sums[i][j];
}

}  // namespace
}  // namespace fewbins
