// SPDX-License-Identifier: Apache-2.0
// Depthwise u8 x s8 on AVX-512BW, exact. Per pair of taps and 32 channels (64 MACs): 2 vpmovzxbw, 2 unpacks, 2
// vpmaddwd, 2 vpaddd; bound by four shuffles in two ports. GCC 12 takes the deliberately undefined operands inside its
// own intrinsics for a mistake (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "kernels/depthwise_dot32/pairs.h"

namespace fewbins {
namespace {

struct Pairs {
  using Vector = __m512i;
  static constexpr size_t kChannels = 32;
  static Vector zero() { return _mm512_setzero_si512(); }
  static Vector widen(const uint8_t* p) {
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static Vector low(Vector a, Vector b) { return _mm512_unpacklo_epi16(a, b); }
  static Vector high(Vector a, Vector b) { return _mm512_unpackhi_epi16(a, b); }
  static Vector madd_add(Vector sum, Vector pairs, const char* w) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_load_si512(w)));
  }
  static void store_part(int32_t* out, Vector sums, size_t count) {
    if (count >= 16) {
      _mm512_storeu_si512(out, sums);
    } else {
      _mm512_mask_storeu_epi32(out, static_cast<__mmask16>((1u << count) - 1u), sums);
    }
  }
  /// `low` has channels 0-3 of every 8, `high` 4-7.
  static void store(int32_t* out, Vector low, Vector high, size_t count) {
    const Vector first = _mm512_shuffle_i32x4(low, high, 0x44);
    store_part(out, _mm512_shuffle_i32x4(first, first, 0xd8), count);
    if (count <= 16) return;
    const Vector last = _mm512_shuffle_i32x4(low, high, 0xee);
    store_part(out + 16, _mm512_shuffle_i32x4(last, last, 0xd8), count - 16);
  }
};

}  // namespace

void depthwise_dot32__avx512bw(const DepthwiseTask& task) { sum_all_pairs<Pairs>(task); }

}  // namespace fewbins
