// SPDX-License-Identifier: Apache-2.0
// What few_rows.h needs on AVX-512 BW.
#pragma once

#include "kernels/few_rows_avx512.h"

namespace fewbins {
namespace {

struct Avx512Bw : Avx512 {
  using Row = CentredRow;
  /// 8-bit q, as |q| and the sign, of a vector of u; adds the |q| of negative ones to 64-bit `sums`.
  static Vector centre(const uint8_t* u, uint8_t* size, uint8_t* flip, Vector sums) {
    const Vector q = _mm512_xor_si512(_mm512_loadu_si512(u), set8(-128));
    const Vector below = _mm512_movm_epi8(_mm512_movepi8_mask(q));
    const Vector magnitude = _mm512_abs_epi8(q);
    _mm512_store_si512(size, magnitude);
    _mm512_store_si512(flip, below);
    return _mm512_add_epi64(sums, _mm512_sad_epu8(both(magnitude, below), _mm512_setzero_si512()));
  }
  static Vector dot(Vector sum, const Row& row, size_t d, Vector w) {
    const Vector pairs = _mm512_maddubs_epi16(quad(row.size + d), _mm512_xor_si512(w, quad(row.flip + d)));
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
};

}  // namespace
}  // namespace fewbins
