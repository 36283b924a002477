// SPDX-License-Identifier: Apache-2.0
// What few_rows.h needs on AVX-VNNI.
#pragma once

#include "kernels/few_rows_avx2.h"

namespace fewbins {
namespace {

struct AvxVnni : Avx2 {
  using Row = PlainRow;
  static Vector dot(Vector sum, const Row& row, size_t d, Vector w) {
    return _mm256_dpbusd_avx_epi32(sum, quad(row.u + d), w);
  }
};

}  // namespace
}  // namespace fewbins
