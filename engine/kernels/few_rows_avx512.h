// SPDX-License-Identifier: Apache-2.0
// What few_rows.h needs of a vector of 64 bytes, but for the product.
#pragma once

// GCC 12 takes the deliberately undefined operands inside its own intrinsics for a mistake (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#include <string.h>

#include "kernels/few_rows.h"

namespace fewbins {
namespace {

/// 16 columns a part.
struct Avx512 {
  using Vector = __m512i;
  static constexpr size_t kColumns = 16;
  static constexpr size_t kMostRows = 2;
  static Vector load(const void* p) { return _mm512_load_si512(p); }
  static void store(int32_t* p, Vector x) { _mm512_store_si512(p, x); }
  static Vector set8(int8_t x) { return _mm512_set1_epi8(x); }
  static Vector set32(int32_t x) { return _mm512_set1_epi32(x); }
  static Vector add32(Vector a, Vector b) { return _mm512_add_epi32(a, b); }
  static Vector both(Vector a, Vector b) { return _mm512_and_si512(a, b); }
  static Vector shift_right4(Vector x) { return _mm512_srli_epi16(x, 4); }
  static Vector look_up(Vector table, Vector index) { return _mm512_shuffle_epi8(table, index); }
  static Vector quad(const void* p) {
    int32_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    return _mm512_set1_epi32(bytes);
  }
};

}  // namespace
}  // namespace fewbins
