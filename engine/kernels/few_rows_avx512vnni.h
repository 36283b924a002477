// SPDX-License-Identifier: Apache-2.0
// What few_rows.h needs on AVX-512 VNNI.
#pragma once

#include "kernels/few_rows_avx512.h"

namespace fewbins {
namespace {

struct Avx512Vnni : Avx512 {
  using Row = PlainRow;
  static Vector dot(Vector sum, const Row& row, size_t d, Vector w) {
    return _mm512_dpbusd_epi32(sum, quad(row.u + d), w);
  }
};

}  // namespace
}  // namespace fewbins
