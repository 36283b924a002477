// SPDX-License-Identifier: Apache-2.0
// What few_rows.h needs on AVX2.
#pragma once

#include <immintrin.h>
#include <string.h>

#include "kernels/few_rows.h"

namespace fewbins {
namespace {

/// 8 columns a part. Pairs of products to 16 bits, then to 32.
struct Avx2 {
  using Vector = __m256i;
  using Row = CentredRow;
  static constexpr size_t kColumns = 8;
  static constexpr size_t kMostRows = 1;
  static Vector load(const void* p) { return _mm256_load_si256(static_cast<const Vector*>(p)); }
  static void store(int32_t* p, Vector x) { _mm256_store_si256(reinterpret_cast<Vector*>(p), x); }
  static Vector set8(int8_t x) { return _mm256_set1_epi8(x); }
  static Vector set32(int32_t x) { return _mm256_set1_epi32(x); }
  static Vector add32(Vector a, Vector b) { return _mm256_add_epi32(a, b); }
  static Vector both(Vector a, Vector b) { return _mm256_and_si256(a, b); }
  static Vector shift_right4(Vector x) { return _mm256_srli_epi16(x, 4); }
  static Vector look_up(Vector table, Vector index) { return _mm256_shuffle_epi8(table, index); }
  static Vector quad(const void* p) {
    int32_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return _mm256_set1_epi32(bytes);
  }
  /// 8-bit q, as |q| and the sign, of a vector of u; adds the |q| of negative ones to 64-bit `sums`.
  static Vector centre(const uint8_t* u, uint8_t* size, uint8_t* flip, Vector sums) {
    const Vector q = _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const Vector*>(u)), set8(-128));
    const Vector below = _mm256_cmpgt_epi8(_mm256_setzero_si256(), q);
    const Vector magnitude = _mm256_abs_epi8(q);
    _mm256_store_si256(reinterpret_cast<Vector*>(size), magnitude);
    _mm256_store_si256(reinterpret_cast<Vector*>(flip), below);
    return _mm256_add_epi64(sums, _mm256_sad_epu8(both(magnitude, below), _mm256_setzero_si256()));
  }
  static Vector dot(Vector sum, const Row& row, size_t d, Vector w) {
    const Vector pairs = _mm256_maddubs_epi16(quad(row.size + d), _mm256_xor_si256(w, quad(row.flip + d)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
};

}  // namespace
}  // namespace fewbins
