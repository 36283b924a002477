// SPDX-License-Identifier: Apache-2.0
// Depthwise u8 x s8 on AVX2, exact. Per pair of taps and 16 channels (32 MACs): 2 vpmovzxbw, 2 unpacks, 2 vpmaddwd, 2
// vpaddd; bound by four shuffles in two ports.
#include <immintrin.h>

#include "kernels/depthwise_dot32/pairs.h"

namespace fewbins {
namespace {

struct Pairs {
  using Vector = __m256i;
  static constexpr size_t kChannels = 16;
  static Vector zero() { return _mm256_setzero_si256(); }
  static Vector widen(const uint8_t* p) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Vector low(Vector a, Vector b) { return _mm256_unpacklo_epi16(a, b); }
  static Vector high(Vector a, Vector b) { return _mm256_unpackhi_epi16(a, b); }
  static Vector madd_add(Vector sum, Vector pairs, const char* w) {
    const Vector weights = _mm256_load_si256(reinterpret_cast<const __m256i*>(w));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, weights));
  }
  /// `low` has channels 0-3 and 8-11, `high` 4-7 and 12-15.
  static void store(int32_t* out, Vector low, Vector high, size_t count) {
    const Vector first = _mm256_permute2x128_si256(low, high, 0x20);
    const Vector last = _mm256_permute2x128_si256(low, high, 0x31);
    if (count == kChannels) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), first);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 8), last);
      return;
    }
    alignas(32) int32_t rest[kChannels];
    _mm256_store_si256(reinterpret_cast<__m256i*>(rest), first);
    _mm256_store_si256(reinterpret_cast<__m256i*>(rest + 8), last);
    for (size_t k = 0; k < count; ++k) out[k] = rest[k];
  }
};

}  // namespace

void depthwise_dot32__avx2(const DepthwiseTask& task) { sum_all_pairs<Pairs>(task); }

}  // namespace fewbins
