// SPDX-License-Identifier: Apache-2.0
// Every elementwise operation as a plain loop: the reference. See README.md.
#include "kernels/elementwise/rules.h"

namespace fewbins {

void requantize_float__scalar(const RequantizeTask& task) {
  for (size_t i = 0; i < task.rows; ++i) {
    const int32_t* acc_row = task.acc + i * task.acc_stride;
    const uint8_t* residual = task.residual != nullptr ? task.residual + i * task.residual_stride : nullptr;
    uint8_t* out = task.out + i * task.out_stride;
    for (size_t j = 0; j < task.cols; ++j) {
      const int32_t acc = task.bias != nullptr ? wrapping_add(acc_row[j], task.bias[j]) : acc_row[j];
      const float m = task.m_neg != nullptr && acc < 0 ? task.m_neg[j] : task.m[j];
      float v = static_cast<float>(acc) * m;
      if (residual != nullptr) v += static_cast<float>(residual[j] + task.residual_offset) * task.residual_m;
      out[j] = store_float(v, task.store);
    }
  }
}

void requantize_fixed__scalar(const RequantizeTask& task) { requantize_fixed_rows(task); }

void requantize_shift__scalar(const RequantizeTask& task) { requantize_shift_rows(task); }

void dequantize_tile__scalar(const DequantizeTileTask& task) {
  for (size_t i = 0; i < task.rows; ++i) {
    for (size_t j = 0; j < task.cols; ++j) {
      const int32_t raw = task.acc[i * task.acc_stride + j];
      const int32_t acc = task.bias != nullptr ? wrapping_add(raw, task.bias[j]) : raw;
      float y = static_cast<float>(acc) * (task.m_neg != nullptr && acc < 0 ? task.m_neg[j] : task.m[j]);
      if (task.residual != nullptr) y += task.residual[i * task.residual_stride + j];
      task.out[i * task.out_stride + j] = clamp_keep_nan(y, task.clamp_lo, task.clamp_hi);
    }
  }
}

void finish_float__scalar(const FinishFloatTask& task) {
  for (size_t i = 0; i < task.rows; ++i) {
    for (size_t j = 0; j < task.cols; ++j) {
      float y = task.acc[i * task.acc_stride + j];
      if (task.bias != nullptr) y += task.bias[j];
      if (task.slope != nullptr && y < 0.0f) y *= task.slope[j];
      if (task.residual != nullptr) y += task.residual[i * task.residual_stride + j];
      task.out[i * task.out_stride + j] = clamp_keep_nan(y, task.clamp_lo, task.clamp_hi);
    }
  }
}

void quantize__scalar(const QuantizeTask& task) {
  const float low = static_cast<float>(task.lo - task.z);
  const float high = static_cast<float>(task.hi - task.z);
  for (size_t i = 0; i < task.count; ++i) {
    task.out[i] = quantize_value(task.x[i], task.scale, low, high, task.z - task.lo);
  }
}

void quantize_planes__scalar(const QuantizePlanesTask& task) {
  const float low = static_cast<float>(task.lo - task.z);
  const float high = static_cast<float>(task.hi - task.z);
  const int32_t offset = task.z - task.lo;
  for (size_t p = 0; p < task.pixels; ++p) {
    uint8_t* out = task.out + p * task.out_channels;
    for (size_t c = 0; c < task.channels; ++c) {
      out[c] = quantize_value(task.x[c * task.plane_stride + p], task.scale, low, high, offset);
    }
    for (size_t c = task.channels; c < task.out_channels; ++c) out[c] = static_cast<uint8_t>(offset);
  }
}

void dequantize__scalar(const DequantizeTask& task) {
  for (size_t i = 0; i < task.count; ++i) task.out[i] = task.scale * static_cast<float>(task.u[i] + task.offset);
}

void add_float__scalar(const AddTask& task) {
  for (size_t i = 0; i < task.count; ++i) {
    float v = static_cast<float>(task.a[i] + task.a_offset) * task.a_m;
    if (task.b != nullptr) v += static_cast<float>(task.b[i] + task.b_offset) * task.b_m;
    task.out[i] = store_float(v, task.store);
  }
}

void add_fixed__scalar(const AddTask& task) { add_fixed_values(task); }

void add_shift__scalar(const AddTask& task) { add_shift_values(task); }

void max_rows__scalar(const MaxRowsTask& task) {
  for (size_t c = 0; c < task.channels; ++c) {
    uint8_t best = task.rows[0][c];
    for (size_t r = 1; r < task.row_count; ++r) best = task.rows[r][c] > best ? task.rows[r][c] : best;
    task.out[c] = best;
  }
}

void sum_rows__scalar(const SumRowsTask& task) {
  for (size_t c = 0; c < task.channels; ++c) {
    int32_t sum = 0;
    for (size_t r = 0; r < task.row_count; ++r) sum += task.rows[r][c];
    task.out[c] = sum;
  }
}

void lookup__scalar(const LookupTask& task) { lookup_values(task); }

void sum_lanes__scalar(const SumLanesTask& task) { sum_lanes_values(task); }

void sum_row__scalar(const SumRowTask& task) { sum_row_values(task); }

void normalize__scalar(const NormalizeTask& task) { normalize_values(task); }

void product_f64__scalar(const ProductF64Task& task) { product_f64_values(task); }

}  // namespace fewbins
