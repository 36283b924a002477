// SPDX-License-Identifier: Apache-2.0
// 16-bit depthwise sums on AVX-512 BW, 64 channels at a time, the last ones in vectors of 16 or 32. Per output of a 3x3
// line (576 MACs): 10 vpmaddubsw, 10 vpaddw, 4 unpacks; README.md counts the rest.
// GCC 12 takes the deliberately undefined operands inside its own intrinsics for a mistake (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/depthwise_dot16/block16.h"
#include "kernels/depthwise_dot16/block32.h"
#include "kernels/depthwise_dot16/body.h"

namespace fewbins {
namespace {

struct Block64 {
  static constexpr size_t kChannels = 64;
  using Bytes = __m512i;
  static Bytes zero() { return _mm512_setzero_si512(); }
  static Bytes set8(int8_t x) { return _mm512_set1_epi8(x); }
  static Bytes set16(int16_t x) { return _mm512_set1_epi16(x); }
  static Bytes set32(int32_t x) { return _mm512_set1_epi32(x); }
  static Bytes load(const void* p) { return _mm512_loadu_si512(p); }
  static Bytes load_aligned(const void* p) { return _mm512_load_si512(p); }
  static void store(void* p, Bytes x) { _mm512_storeu_si512(p, x); }
  static Bytes unpack_low8(Bytes a, Bytes b) { return _mm512_unpacklo_epi8(a, b); }
  static Bytes unpack_high8(Bytes a, Bytes b) { return _mm512_unpackhi_epi8(a, b); }
  static Bytes unpack_low16(Bytes a, Bytes b) { return _mm512_unpacklo_epi16(a, b); }
  static Bytes unpack_high16(Bytes a, Bytes b) { return _mm512_unpackhi_epi16(a, b); }
  static Bytes multiply(Bytes u, const void* w) { return _mm512_maddubs_epi16(u, load_aligned(w)); }
  static Bytes add16(Bytes a, Bytes b) { return _mm512_add_epi16(a, b); }
  static Bytes add_saturated16(Bytes a, Bytes b) { return _mm512_adds_epi16(a, b); }
  static Bytes subtract32(Bytes a, Bytes b) { return _mm512_sub_epi32(a, b); }
  static Bytes pack32(Bytes a, Bytes b) { return _mm512_packs_epi32(a, b); }
  static Bytes pack16(Bytes a, Bytes b) { return _mm512_packus_epi16(a, b); }
  static Bytes min8(Bytes a, Bytes b) { return _mm512_min_epu8(a, b); }
  static Bytes max8(Bytes a, Bytes b) { return _mm512_max_epu8(a, b); }
  static Bytes scale(Bytes x, const float* bias, const float* m) {
    const __m512 acc = _mm512_add_ps(_mm512_castsi512_ps(x), _mm512_load_ps(bias));
    return _mm512_cvtps_epi32(_mm512_mul_ps(acc, _mm512_load_ps(m)));
  }
  /// Transposes lanes and vectors.
  static void store_sums(int32_t* out, const Bytes* parts) {
    const Bytes low01 = _mm512_shuffle_i32x4(parts[0], parts[1], 0x44);
    const Bytes high01 = _mm512_shuffle_i32x4(parts[0], parts[1], 0xee);
    const Bytes low23 = _mm512_shuffle_i32x4(parts[2], parts[3], 0x44);
    const Bytes high23 = _mm512_shuffle_i32x4(parts[2], parts[3], 0xee);
    store(out, _mm512_shuffle_i32x4(low01, low23, 0x88));
    store(out + 16, _mm512_shuffle_i32x4(low01, low23, 0xdd));
    store(out + 32, _mm512_shuffle_i32x4(high01, high23, 0x88));
    store(out + 48, _mm512_shuffle_i32x4(high01, high23, 0xdd));
  }
};

}  // namespace

void depthwise_dot16__avx512bw(const DepthwiseTask& task) { sum_pixels<Block64, Block32, Block16>(task); }
void depthwise_dot16_line__avx512bw(const DepthwiseLineTask& task) { sum_lines<Block64, Block32, Block16>(task); }

}  // namespace fewbins
