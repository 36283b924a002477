// SPDX-License-Identifier: Apache-2.0
// Depthwise u8 x s8 on SSSE3, exact. Per pair of taps and 8 channels (16 MACs): 2 loads, 3 unpacks, 2 pmaddwd, 2 paddd;
// the bytes of both taps are interleaved before they are widened, which saves an unpack. Bound by the unpacks and
// multiplications, five in two ports.
#include <tmmintrin.h>

#include "kernels/depthwise_dot32/pairs.h"

namespace fewbins {
namespace {

struct Pairs {
  using Vector = __m128i;
  static constexpr size_t kChannels = 8;
  static Vector zero() { return _mm_setzero_si128(); }
  /// Still bytes: low() and high() widen.
  static Vector widen(const uint8_t* p) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)); }
  static Vector low(Vector a, Vector b) { return _mm_unpacklo_epi8(_mm_unpacklo_epi8(a, b), zero()); }
  static Vector high(Vector a, Vector b) { return _mm_unpackhi_epi8(_mm_unpacklo_epi8(a, b), zero()); }
  static Vector madd_add(Vector sum, Vector pairs, const char* w) {
    const Vector weights = _mm_load_si128(reinterpret_cast<const __m128i*>(w));
    return _mm_add_epi32(sum, _mm_madd_epi16(pairs, weights));
  }
  /// `low` has channels 0-3, `high` 4-7.
  static void store(int32_t* out, Vector low, Vector high, size_t count) {
    if (count == kChannels) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out), low);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 4), high);
      return;
    }
    alignas(16) int32_t rest[kChannels];
    _mm_store_si128(reinterpret_cast<__m128i*>(rest), low);
    _mm_store_si128(reinterpret_cast<__m128i*>(rest + 4), high);
    for (size_t k = 0; k < count; ++k) out[k] = rest[k];
  }
};

}  // namespace

void depthwise_dot32__ssse3(const DepthwiseTask& task) { sum_all_pairs<Pairs>(task); }

}  // namespace fewbins
