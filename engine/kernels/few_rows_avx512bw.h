// SPDX-License-Identifier: Apache-2.0
// What few_rows.h needs on AVX-512 BW.
#pragma once

#include "kernels/few_rows_avx512.h"

namespace fewbins {
namespace {

struct Avx512Bw : Avx512 {
  using Row = CentredRow;
  static Vector dot(Vector sum, const Row& row, size_t d, Vector w) {
    const Vector pairs = _mm512_maddubs_epi16(quad(row.size + d), _mm512_xor_si512(w, quad(row.flip + d)));
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
};

}  // namespace
}  // namespace fewbins
