// SPDX-License-Identifier: Apache-2.0
// Every elementwise operation in vectors, written once. A file per instruction set includes one header of simd/,
// defines FB_NAME(op) as the name of its row in kernels.inc, and then includes this. Results are bit-equal to
// scalar.cpp.
//
// A tile is walked in pairs of vectors (16 or 32 columns: a tile of that set's GEMM kernels), all rows of a pair before
// the next pair, so that a column's constants are loaded once; what is left goes by single, partly filled vectors.
#include "kernels/elementwise/rules.h"

namespace fewbins {
namespace {

using simd::kLanes;
using Float = simd::Float;
using Int = simd::Int;

/// A whole vector, or the first n elements.
template <bool kWhole, class T>
inline auto take(const T* p, size_t n) {
  if constexpr (kWhole) {
    return simd::load(p);
  } else {
    return simd::load_part(p, n);
  }
}

template <bool kWhole>
inline Int take_u8(const uint8_t* p, size_t n) {
  if constexpr (kWhole) {
    return simd::load_u8(p);
  } else {
    return simd::load_u8_part(p, n);
  }
}

/// Runs step<true, count>(j, n) over all columns: `count` whole vectors at a time, or one vector of n columns.
template <class Step>
inline void for_columns(size_t cols, Step step) {
  size_t j = 0;
  for (; j + 2 * kLanes <= cols; j += 2 * kLanes) step.template operator()<true>(j, kLanes);
  for (; j < cols; j += kLanes) step.template operator()<false>(j, cols - j < kLanes ? cols - j : kLanes);
}

/// The table of StoreU8, on what was stored.
inline void look_up_rows(const StoreU8& store, uint8_t* out, size_t rows, size_t cols, size_t stride) {
  if (store.table == nullptr) return;
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < cols; ++j) out[i * stride + j] = store.table[out[i * stride + j]];
  }
}

/// Clamps, rounds and offsets; the clamp comes first, so that the conversion cannot overflow. NaN becomes clamp_lo.
struct Closing {
  Float lo;
  Float hi;
  Int offset;
  explicit Closing(const StoreU8& store)
      : lo(simd::set(static_cast<float>(store.clamp_lo))),
        hi(simd::set(static_cast<float>(store.clamp_hi))),
        offset(simd::set(store.out_offset)) {}
  [[nodiscard]] Int operator()(Float v) const { return simd::round_to_int(simd::min(simd::max(v, lo), hi)) + offset; }
};

template <bool kWhole, class Value>
inline void put_u8(uint8_t* out, size_t n, Value value) {
  if constexpr (kWhole) {
    simd::store_u8_pair(out, value(size_t{0}), value(size_t{1}));
  } else {
    simd::store_u8_part(out, value(size_t{0}), n);
  }
}

// ---- tiles of sums --------------------------------------------------------------------------------------------------

template <bool kResidual, bool kNegative>
void requantize_float_tile(const RequantizeTask& task) {
  const Closing close(task.store);
  const Float residual_m = simd::set(task.residual_m);
  const Int residual_offset = simd::set(task.residual_offset);
  for_columns(task.cols, [&]<bool kWhole>(size_t j, size_t n) {
    Int bias[2];
    Float m[2];
    Float m_neg[2];
    for (size_t k = 0; k < (kWhole ? 2 : 1); ++k) {
      const size_t column = j + k * kLanes;
      bias[k] = task.bias != nullptr ? take<kWhole>(task.bias + column, n) : simd::set(0);
      m[k] = take<kWhole>(task.m + column, n);
      if constexpr (kNegative) m_neg[k] = take<kWhole>(task.m_neg + column, n);
    }
    for (size_t i = 0; i < task.rows; ++i) {
      const int32_t* acc_row = task.acc + i * task.acc_stride + j;
      put_u8<kWhole>(task.out + i * task.out_stride + j, n, [&](size_t k) {
        const Int acc = take<kWhole>(acc_row + k * kLanes, n) + bias[k];
        Float v = simd::to_float(acc);
        if constexpr (kNegative) {
          v = v * simd::where_negative(acc, m_neg[k], m[k]);
        } else {
          v = v * m[k];
        }
        if constexpr (kResidual) {
          const uint8_t* r = task.residual + i * task.residual_stride + j + k * kLanes;
          v = v + simd::to_float(take_u8<kWhole>(r, n) + residual_offset) * residual_m;
        }
        return close(v);
      });
    }
  });
  look_up_rows(task.store, task.out, task.rows, task.cols, task.out_stride);
}

/// (acc * m + r * r_m + 2^(e-1)) >> e with constants per column; e = 0 means no rounding and no shift.
template <bool kResidual, bool kNegative>
void requantize_fixed_tile(const RequantizeTask& task) {
  const Int residual_offset = simd::set(task.residual_offset);
  const Int offset = simd::set(task.store.out_offset);
  for_columns(task.cols, [&]<bool kWhole>(size_t j, size_t n) {
    for (size_t i = 0; i < task.rows; ++i) {
      put_u8<kWhole>(task.out + i * task.out_stride + j, n, [&](size_t k) {
        const size_t column = j + k * kLanes;
        Int acc = take<kWhole>(task.acc + i * task.acc_stride + column, n);
        if (task.bias != nullptr) acc = acc + take<kWhole>(task.bias + column, n);
        Int m = take<kWhole>(task.fixed_m + column, n);
        Int e = take<kWhole>(task.fixed_e + column, n);
        if constexpr (kNegative) {
          m = simd::where_negative(acc, take<kWhole>(task.fixed_m_neg + column, n), m);
          e = simd::where_negative(acc, take<kWhole>(task.fixed_e_neg + column, n), e);
        }
        simd::Wide sum = simd::multiply(acc, m);
        if constexpr (kResidual) {
          const uint8_t* r = task.residual + i * task.residual_stride + column;
          sum = sum + simd::multiply(take_u8<kWhole>(r, n) + residual_offset,
                                     take<kWhole>(task.residual_fixed_m + column, n));
        }
        return simd::clamp(simd::round_shift(sum, e), task.store.clamp_lo, task.store.clamp_hi) + offset;
      });
    }
  });
  look_up_rows(task.store, task.out, task.rows, task.cols, task.out_stride);
}

/// The shift rule as a fixed one: acc << a is acc * 2^a.
struct ShiftAsFixed {
  int32_t m = 1;
  int32_t residual_m = 0;
  int32_t e = 0;
};

/// Shifts past 30 to the left end beyond every clamp whatever their size; those past 31 to the right give 0.
inline ShiftAsFixed shift_as_fixed(int32_t n) {
  if (n < 0) return {int32_t{1} << (n < -30 ? 30 : -n), 0, 0};
  return {1, 0, n > 62 ? 62 : n};
}

/// False where a factor does not fit int32; then the scalar rule does it.
inline bool shifts_as_fixed(int32_t n, int32_t n_r, bool negate, ShiftAsFixed& out) {
  int32_t most = n > n_r ? n : n_r;
  if (most < 1) most = 1;
  if (most - n > 30 || most - n_r > 30) return false;
  const int32_t residual_m = int32_t{1} << (most - n_r);
  out = {int32_t{1} << (most - n), negate ? -residual_m : residual_m, most};
  return true;
}

}  // namespace

void FB_NAME(requantize_float)(const RequantizeTask& task) {
  if (task.residual != nullptr) {
    requantize_float_tile<true, false>(task);
  } else if (task.m_neg != nullptr) {
    requantize_float_tile<false, true>(task);
  } else {
    requantize_float_tile<false, false>(task);
  }
}

void FB_NAME(requantize_fixed)(const RequantizeTask& task) {
  if (task.residual != nullptr) {
    requantize_fixed_tile<true, false>(task);
  } else if (task.fixed_m_neg != nullptr) {
    requantize_fixed_tile<false, true>(task);
  } else {
    requantize_fixed_tile<false, false>(task);
  }
}

void FB_NAME(requantize_shift)(const RequantizeTask& task) {
  constexpr size_t kColumns = 64;
  const bool two = task.residual != nullptr;
  int32_t m[kColumns];
  int32_t residual_m[kColumns];
  int32_t e[kColumns];
  for (size_t j = 0; j < task.cols; j += kColumns) {
    RequantizeTask part = task;
    part.cols = task.cols - j < kColumns ? task.cols - j : kColumns;
    part.acc += j;
    if (two) part.residual += j;
    if (task.bias != nullptr) part.bias += j;
    part.shift += j;
    part.out += j;
    bool fits = true;
    for (size_t k = 0; k < part.cols && fits; ++k) {
      ShiftAsFixed fixed = shift_as_fixed(part.shift[k]);
      if (two) fits = shifts_as_fixed(part.shift[k], task.residual_shift, task.residual_negate, fixed);
      m[k] = fixed.m;
      residual_m[k] = fixed.residual_m;
      e[k] = fixed.e;
    }
    if (!fits) {
      requantize_shift_rows(part);
      continue;
    }
    part.fixed_m = m;
    part.residual_fixed_m = residual_m;
    part.fixed_e = e;
    if (two) {
      requantize_fixed_tile<true, false>(part);
    } else {
      requantize_fixed_tile<false, false>(part);
    }
  }
}

void FB_NAME(dequantize_tile)(const DequantizeTileTask& task) {
  const Float lo = simd::set(task.clamp_lo);
  const Float hi = simd::set(task.clamp_hi);
  for (size_t i = 0; i < task.rows; ++i) {
    for (size_t j = 0; j < task.cols; j += kLanes) {
      const size_t n = task.cols - j < kLanes ? task.cols - j : kLanes;
      Int acc = take<false>(task.acc + i * task.acc_stride + j, n);
      if (task.bias != nullptr) acc = acc + take<false>(task.bias + j, n);
      Float m = take<false>(task.m + j, n);
      if (task.m_neg != nullptr) m = simd::where_negative(acc, take<false>(task.m_neg + j, n), m);
      Float y = simd::to_float(acc) * m;
      if (task.residual != nullptr) y = y + take<false>(task.residual + i * task.residual_stride + j, n);
      y = simd::min(hi, simd::max(lo, y));  // in this order NaN stays
      simd::store_part(task.out + i * task.out_stride + j, y, n);
    }
  }
}

namespace {

template <bool kWhole>
inline void finish_vector(const FinishFloatTask& task, size_t i, size_t j, size_t n, Float lo, Float hi) {
  Float y = take<kWhole>(task.acc + i * task.acc_stride + j, n);
  if (task.bias != nullptr) y = y + take<kWhole>(task.bias + j, n);
  if (task.slope != nullptr) y = simd::where_below_zero(y, y * take<kWhole>(task.slope + j, n), y);
  if (task.residual != nullptr) y = y + take<kWhole>(task.residual + i * task.residual_stride + j, n);
  y = simd::min(hi, simd::max(lo, y));
  float* out = task.out + i * task.out_stride + j;
  if constexpr (kWhole) {
    simd::store(out, y);
  } else {
    simd::store_part(out, y, n);
  }
}

}  // namespace

void FB_NAME(finish_float)(const FinishFloatTask& task) {
  const Float lo = simd::set(task.clamp_lo);
  const Float hi = simd::set(task.clamp_hi);
  for (size_t i = 0; i < task.rows; ++i) {
    size_t j = 0;
    for (; j + kLanes <= task.cols; j += kLanes) finish_vector<true>(task, i, j, kLanes, lo, hi);
    if (j < task.cols) finish_vector<false>(task, i, j, task.cols - j, lo, hi);
  }
}

// ---- float to levels and back ---------------------------------------------------------------------------------------

namespace {

void quantize_run(const float* x, size_t count, float scale, int32_t z, int32_t lo, int32_t hi, uint8_t* out) {
  const StoreU8 store{lo - z, hi - z, z - lo};
  const Closing close(store);
  const Float divisor = simd::set(scale);
  for_columns(count, [&]<bool kWhole>(size_t j, size_t n) {
    put_u8<kWhole>(out + j, n,
                   [&](size_t k) { return close(simd::zero_nan(take<kWhole>(x + j + k * kLanes, n) / divisor)); });
  });
}

}  // namespace

void FB_NAME(quantize)(const QuantizeTask& task) {
  quantize_run(task.x, task.count, task.scale, task.z, task.lo, task.hi, task.out);
}

void FB_NAME(quantize_planes)(const QuantizePlanesTask& task) {
  constexpr size_t kPixels = 512;
  uint8_t plane[kPixels];
  for (size_t p = 0; p < task.pixels; p += kPixels) {
    const size_t count = task.pixels - p < kPixels ? task.pixels - p : kPixels;
    uint8_t* out = task.out + p * task.out_channels;
    for (size_t c = 0; c < task.out_channels; ++c) {
      if (c < task.channels) {
        quantize_run(task.x + c * task.plane_stride + p, count, task.scale, task.z, task.lo, task.hi, plane);
        for (size_t i = 0; i < count; ++i) out[i * task.out_channels + c] = plane[i];
      } else {
        for (size_t i = 0; i < count; ++i) out[i * task.out_channels + c] = static_cast<uint8_t>(task.z - task.lo);
      }
    }
  }
}

void FB_NAME(dequantize)(const DequantizeTask& task) {
  const Float scale = simd::set(task.scale);
  const Int offset = simd::set(task.offset);
  size_t i = 0;
  for (; i + kLanes <= task.count; i += kLanes) {
    simd::store(task.out + i, scale * simd::to_float(simd::load_u8(task.u + i) + offset));
  }
  if (i < task.count) {
    const size_t n = task.count - i;
    simd::store_part(task.out + i, scale * simd::to_float(simd::load_u8_part(task.u + i, n) + offset), n);
  }
}

// ---- levels to levels -----------------------------------------------------------------------------------------------

namespace {

template <bool kTwo>
void add_float_run(const AddTask& task) {
  const Closing close(task.store);
  const Int a_offset = simd::set(task.a_offset);
  const Int b_offset = simd::set(task.b_offset);
  const Float a_m = simd::set(task.a_m);
  const Float b_m = simd::set(task.b_m);
  for_columns(task.count, [&]<bool kWhole>(size_t j, size_t n) {
    put_u8<kWhole>(task.out + j, n, [&](size_t k) {
      Float v = simd::to_float(take_u8<kWhole>(task.a + j + k * kLanes, n) + a_offset) * a_m;
      if constexpr (kTwo) v = v + simd::to_float(take_u8<kWhole>(task.b + j + k * kLanes, n) + b_offset) * b_m;
      return close(v);
    });
  });
  look_up_rows(task.store, task.out, 1, task.count, task.count);
}

template <bool kTwo>
void add_fixed_run(const AddTask& task, const ShiftAsFixed& rule) {
  const Int offset = simd::set(task.store.out_offset);
  for_columns(task.count, [&]<bool kWhole>(size_t j, size_t n) {
    put_u8<kWhole>(task.out + j, n, [&](size_t k) {
      const Int a = take_u8<kWhole>(task.a + j + k * kLanes, n) + simd::set(task.a_offset);
      simd::Wide sum = simd::multiply(a, simd::set(rule.m));
      if constexpr (kTwo) {
        const Int b = take_u8<kWhole>(task.b + j + k * kLanes, n) + simd::set(task.b_offset);
        sum = sum + simd::multiply(b, simd::set(rule.residual_m));
      }
      const simd::Wide v = simd::round_shift(sum, simd::set(rule.e));
      return simd::clamp(v, task.store.clamp_lo, task.store.clamp_hi) + offset;
    });
  });
  look_up_rows(task.store, task.out, 1, task.count, task.count);
}

void add_fixed_any(const AddTask& task, const ShiftAsFixed& rule) {
  if (task.b != nullptr) {
    add_fixed_run<true>(task, rule);
  } else {
    add_fixed_run<false>(task, rule);
  }
}

}  // namespace

void FB_NAME(add_float)(const AddTask& task) {
  if (task.b != nullptr) {
    add_float_run<true>(task);
  } else {
    add_float_run<false>(task);
  }
}

void FB_NAME(add_fixed)(const AddTask& task) { add_fixed_any(task, {task.a_fixed_m, task.b_fixed_m, task.fixed_e}); }

void FB_NAME(add_shift)(const AddTask& task) {
  ShiftAsFixed rule = shift_as_fixed(task.a_shift);
  const bool fits = task.b == nullptr || shifts_as_fixed(task.a_shift, task.b_shift, task.b_negate, rule);
  if (fits) {
    add_fixed_any(task, rule);
  } else {
    add_shift_values(task);
  }
}

void FB_NAME(max_rows)(const MaxRowsTask& task) {
  const size_t channels = task.channels;
  if (channels < simd::kByteLanes) {
    for (size_t c = 0; c < channels; ++c) {
      uint8_t best = task.rows[0][c];
      for (size_t r = 1; r < task.row_count; ++r) best = task.rows[r][c] > best ? task.rows[r][c] : best;
      task.out[c] = best;
    }
    return;
  }
  for (size_t c = 0;;) {
    simd::Bytes best = simd::load_bytes(task.rows[0] + c);
    for (size_t r = 1; r < task.row_count; ++r) best = simd::max(best, simd::load_bytes(task.rows[r] + c));
    simd::store_bytes(task.out + c, best);
    c += simd::kByteLanes;
    if (c == channels) return;
    if (c + simd::kByteLanes > channels) c = channels - simd::kByteLanes;  // the last vector overlaps the one before
  }
}

void FB_NAME(sum_rows)(const SumRowsTask& task) {
  for_columns(task.channels, [&]<bool kWhole>(size_t j, size_t n) {
    Int sums[2] = {simd::set(0), simd::set(0)};
    for (size_t r = 0; r < task.row_count; ++r) {
      for (size_t k = 0; k < (kWhole ? 2 : 1); ++k) {
        sums[k] = sums[k] + take_u8<kWhole>(task.rows[r] + j + k * kLanes, n);
      }
    }
    if constexpr (kWhole) {
      simd::store(task.out + j, sums[0]);
      simd::store(task.out + j + kLanes, sums[1]);
    } else {
      simd::store_part(task.out + j, sums[0], n);
    }
  });
}

void FB_NAME(lookup)(const LookupTask& task) { lookup_values(task); }

void FB_NAME(sum_lanes)(const SumLanesTask& task) { sum_lanes_values(task); }

void FB_NAME(sum_row)(const SumRowTask& task) { sum_row_values(task); }

void FB_NAME(normalize)(const NormalizeTask& task) { normalize_values(task); }

void FB_NAME(product_f64)(const ProductF64Task& task) { product_f64_values(task); }

}  // namespace fewbins
