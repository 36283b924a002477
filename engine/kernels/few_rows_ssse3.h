// SPDX-License-Identifier: Apache-2.0
// What few_rows.h needs on SSSE3.
#pragma once

#include <string.h>
#include <tmmintrin.h>

#include "kernels/few_rows.h"

namespace fewbins {
namespace {

/// 4 columns a part.
struct Ssse3 {
  using Vector = __m128i;
  using Row = CentredRow;
  static constexpr size_t kColumns = 4;
  static constexpr size_t kMostRows = 1;
  static constexpr bool kTableInMemory = true;
  static Vector load(const void* p) { return _mm_load_si128(static_cast<const Vector*>(p)); }
  static void store(int32_t* p, Vector x) { _mm_store_si128(reinterpret_cast<Vector*>(p), x); }
  static Vector set8(int8_t x) { return _mm_set1_epi8(x); }
  static Vector set32(int32_t x) { return _mm_set1_epi32(x); }
  static Vector add32(Vector a, Vector b) { return _mm_add_epi32(a, b); }
  static Vector both(Vector a, Vector b) { return _mm_and_si128(a, b); }
  static Vector shift_right4(Vector x) { return _mm_srli_epi16(x, 4); }
  static Vector look_up(Vector table, Vector index) { return _mm_shuffle_epi8(table, index); }
  static Vector quad(const void* p) {
    int32_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return _mm_shuffle_epi32(_mm_cvtsi32_si128(bytes), 0);
  }
  /// 8-bit q, as |q| and the sign, of a vector of u; adds the |q| of negative ones to 64-bit `sums`.
  static Vector centre(const uint8_t* u, uint8_t* size, uint8_t* flip, Vector sums) {
    const Vector q = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const Vector*>(u)), set8(-128));
    const Vector below = _mm_cmpgt_epi8(_mm_setzero_si128(), q);
    const Vector magnitude = _mm_abs_epi8(q);
    _mm_store_si128(reinterpret_cast<Vector*>(size), magnitude);
    _mm_store_si128(reinterpret_cast<Vector*>(flip), below);
    return _mm_add_epi64(sums, _mm_sad_epu8(both(magnitude, below), _mm_setzero_si128()));
  }
  static Vector dot(Vector sum, const Row& row, size_t d, Vector w) {
    const Vector pairs = _mm_maddubs_epi16(quad(row.size + d), _mm_xor_si128(w, quad(row.flip + d)));
    return _mm_add_epi32(sum, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
  }
};

}  // namespace
}  // namespace fewbins
