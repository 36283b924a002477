// SPDX-License-Identifier: Apache-2.0
#include "plan/self_test_elementwise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/aligned.h"
#include "kernels/kernels.h"

namespace fewbins {
namespace {

constexpr size_t kCols = 67;  // whole vectors of every width, and a tail
constexpr size_t kRows = 3;
constexpr size_t kCount = kCols * kRows;

// One set of operands for all operations; each writes to `out`.
struct Operands {
  AlignedBytes acc{kCount * 4}, bias{kCols * 4}, m{kCols * 4}, m_neg{kCols * 4}, fixed_m{kCols * 4}, fixed_e{kCols * 4},
      shift{kCols * 4}, x{kCount * 4}, u{kCount}, v{kCount}, table{256};
  std::array<const uint8_t*, kRows> rows{};

  Operands() {
    std::minstd_rand random(4);
    for (size_t i = 0; i < kCount; ++i) {
      acc.as<int32_t>()[i] = static_cast<int32_t>(random() * 2U) >> static_cast<int>(random() % 31U);
      x.as<float>()[i] = (static_cast<float>(random() % 20001U) - 10000.0F) / 64.0F;
      u.as<uint8_t>()[i] = static_cast<uint8_t>(random() % 256U);
      v.as<uint8_t>()[i] = static_cast<uint8_t>(random() % 256U);
    }
    x.as<float>()[0] = std::numeric_limits<float>::quiet_NaN();
    x.as<float>()[1] = std::numeric_limits<float>::infinity();
    x.as<float>()[2] = -std::numeric_limits<float>::infinity();
    acc.as<int32_t>()[0] = std::numeric_limits<int32_t>::max();
    acc.as<int32_t>()[1] = std::numeric_limits<int32_t>::min();
    for (size_t c = 0; c < kCols; ++c) {
      bias.as<int32_t>()[c] = static_cast<int32_t>(random() % 2001U) - 1000;
      m.as<float>()[c] = std::ldexp(static_cast<float>(random() % 1024U + 1U), -18);
      m_neg.as<float>()[c] = -m.as<float>()[c] / 4.0F;
      fixed_m.as<int32_t>()[c] = static_cast<int32_t>((1U << 30) + random() % (1U << 30));
      fixed_e.as<int32_t>()[c] = 31 + static_cast<int32_t>(random() % 20U);
      shift.as<int32_t>()[c] = static_cast<int32_t>(random() % 40U) - 4;
    }
    for (size_t i = 0; i < 256; ++i) table.as<uint8_t>()[i] = static_cast<uint8_t>(255 - i);
    for (size_t r = 0; r < kRows; ++r) rows[r] = u.as<uint8_t>() + r * kCols;
  }

  [[nodiscard]] RequantizeTask requantize(std::byte* out, bool residual) const {
    RequantizeTask task{};
    task.acc = acc.as<int32_t>();
    task.acc_stride = kCols;
    task.rows = kRows;
    task.cols = kCols;
    task.bias = bias.as<int32_t>();
    task.m = m.as<float>();
    task.fixed_m = fixed_m.as<int32_t>();
    task.fixed_e = fixed_e.as<int32_t>();
    task.shift = shift.as<int32_t>();
    if (residual) {
      task.residual = v.as<uint8_t>();
      task.residual_stride = kCols;
      task.residual_offset = -100;
      task.residual_m = 0.37F;
      task.residual_fixed_m = fixed_m.as<int32_t>();
      task.residual_shift = 3;
      task.store.table = table.as<uint8_t>();
    } else {
      task.m_neg = m_neg.as<float>();
      task.fixed_m_neg = fixed_m.as<int32_t>();
      task.fixed_e_neg = fixed_e.as<int32_t>();
    }
    task.store.clamp_lo = -90;
    task.store.clamp_hi = 100;
    task.store.out_offset = 110;
    task.out = reinterpret_cast<uint8_t*>(out);
    task.out_stride = kCols;
    return task;
  }
};

struct Case {
  const char* name;
  void (*run)(const ElementwiseKernels& kernels, const Operands& o, std::byte* out);
};

DequantizeTileTask dequantize_tile(const Operands& o, std::byte* out) {
  DequantizeTileTask task{};
  task.acc = o.acc.as<int32_t>();
  task.acc_stride = kCols;
  task.rows = kRows;
  task.cols = kCols;
  task.bias = o.bias.as<int32_t>();
  task.m = o.m.as<float>();
  task.clamp_lo = -5.0F;
  task.clamp_hi = 900.0F;
  task.out = reinterpret_cast<float*>(out);
  task.out_stride = kCols;
  return task;
}

FinishFloatTask finish_float(const Operands& o, std::byte* out) {
  FinishFloatTask task{};
  task.acc = o.x.as<float>();
  task.acc_stride = kCols;
  task.rows = kRows;
  task.cols = kCols;
  task.bias = o.m.as<float>();
  task.slope = o.m_neg.as<float>();
  task.residual = o.x.as<float>();
  task.residual_stride = kCols;
  task.clamp_lo = -20.0F;
  task.clamp_hi = 50.0F;
  task.out = reinterpret_cast<float*>(out);
  task.out_stride = kCols;
  return task;
}

AddTask add(const Operands& o, std::byte* out) {
  AddTask task{};
  task.a = o.u.as<uint8_t>();
  task.b = o.v.as<uint8_t>();
  task.count = kCount;
  task.a_offset = -120;
  task.b_offset = -7;
  task.a_m = 0.61F;
  task.b_m = -0.43F;
  task.a_fixed_m = 1 << 30;
  task.b_fixed_m = -(1 << 29);
  task.fixed_e = 31;
  task.a_shift = 1;
  task.b_shift = 2;
  task.store.clamp_lo = -100;
  task.store.clamp_hi = 100;
  task.store.out_offset = 120;
  task.out = reinterpret_cast<uint8_t*>(out);
  return task;
}

uint8_t* bytes_at(std::byte* out) { return reinterpret_cast<uint8_t*>(out); }

constexpr std::array kCases = {
    Case{"requantize_float",
         [](const auto& k, const auto& o, auto* out) { k.requantize_float(o.requantize(out, false)); }},
    Case{"requantize_float with residual",
         [](const auto& k, const auto& o, auto* out) { k.requantize_float(o.requantize(out, true)); }},
    Case{"requantize_fixed",
         [](const auto& k, const auto& o, auto* out) { k.requantize_fixed(o.requantize(out, false)); }},
    Case{"requantize_fixed with residual",
         [](const auto& k, const auto& o, auto* out) { k.requantize_fixed(o.requantize(out, true)); }},
    Case{"requantize_shift with residual",
         [](const auto& k, const auto& o, auto* out) { k.requantize_shift(o.requantize(out, true)); }},
    Case{"requantize_shift",
         [](const auto& k, const auto& o, auto* out) {
           RequantizeTask task = o.requantize(out, true);
           task.residual = nullptr;
           k.requantize_shift(task);
         }},
    Case{"dequantize_tile",
         [](const auto& k, const auto& o, auto* out) { k.dequantize_tile(dequantize_tile(o, out)); }},
    Case{"finish_float", [](const auto& k, const auto& o, auto* out) { k.finish_float(finish_float(o, out)); }},
    Case{"quantize",
         [](const auto& k, const auto& o, auto* out) {
           k.quantize({o.x.template as<float>(), kCount, 0.7F, -3, -128, 127, bytes_at(out)});
         }},
    Case{"quantize_planes",
         [](const auto& k, const auto& o, auto* out) {
           k.quantize_planes({o.x.template as<float>(), kCols, kRows, kCols, 0.7F, -3, -128, 127, bytes_at(out), 4});
         }},
    Case{"dequantize",
         [](const auto& k, const auto& o, auto* out) {
           k.dequantize({o.u.template as<uint8_t>(), kCount, 0.3F, -77, reinterpret_cast<float*>(out)});
         }},
    Case{"add_float", [](const auto& k, const auto& o, auto* out) { k.add_float(add(o, out)); }},
    Case{"add_fixed", [](const auto& k, const auto& o, auto* out) { k.add_fixed(add(o, out)); }},
    Case{"add_shift", [](const auto& k, const auto& o, auto* out) { k.add_shift(add(o, out)); }},
    Case{"max_rows",
         [](const auto& k, const auto& o, auto* out) { k.max_rows({o.rows.data(), kRows, kCols, bytes_at(out)}); }},
    Case{"sum_rows", [](const auto& k, const auto& o,
                        auto* out) { k.sum_rows({o.rows.data(), kRows, kCols, reinterpret_cast<int32_t*>(out)}); }},
    Case{"lookup",
         [](const auto& k, const auto& o, auto* out) {
           k.lookup({o.u.template as<uint8_t>(), kCount, o.table.template as<uint8_t>(), bytes_at(out)});
         }},
};

}  // namespace

void test_elementwise_kernels(std::vector<std::string>& failures) {
  const Operands operands;
  const ElementwiseKernels& reference = select_elementwise(Isa::scalar);
  for (const ElementwiseKernels& kernels : elementwise_kernels()) {
    if (!runs_here(kernels.isa)) continue;
    for (const Case& one : kCases) {
      AlignedBytes expected(kCount * 4 + 64);
      AlignedBytes found(kCount * 4 + 64);
      one.run(reference, operands, expected.data());
      one.run(kernels, operands, found.data());
      if (std::memcmp(expected.data(), found.data(), expected.size()) != 0)
        failures.push_back(std::string(one.name) + " on " + isa_name(kernels.isa) + ": differs from the scalar kernel");
    }
  }
}

}  // namespace fewbins
