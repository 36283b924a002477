// SPDX-License-Identifier: Apache-2.0
// Depthwise u8 x s8 on AVX2, exact: two taps of 16 channels are widened to 16 bits and interleaved, so that vpmaddwd
// adds the products of both taps of a channel. Per pair of taps and 16 channels (32 MACs): 2 vpmovzxbw, 2 unpacks, 2
// vpmaddwd, 2 vpaddd; bound by four shuffles in two ports. See README.md for the order of channels inside the unpacks.
#include <immintrin.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

constexpr size_t kChannels = 16;

inline __m256i widen(const void* row, size_t c) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(static_cast<const uint8_t*>(row) + c)));
}

/// Adds the products of two taps of 16 channels. `low` has channels 0-3 and 8-11, `high` 4-7 and 12-15.
inline void add_pair(__m256i& low, __m256i& high, __m256i a, __m256i b, const __m256i* w) {
  low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), _mm256_load_si256(w)));
  high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), _mm256_load_si256(w + 1)));
}

/// The 16 channels from `c` on, `count` of them stored, of all pixels. `w` holds 64 bytes per pair of taps. kTaps is
/// the number of taps where it is known, so that the loop over them is unrolled, or 0.
template <size_t kTaps>
void sum_channels(const DepthwiseTask& task, const __m256i* w, size_t c, size_t count) {
  const size_t taps = kTaps != 0 ? kTaps : task.taps;
  for (size_t p = 0; p < task.pixels; ++p) {
    const void* const* rows = task.rows + p * taps;
    __m256i low = _mm256_setzero_si256();
    __m256i high = _mm256_setzero_si256();
#pragma GCC unroll 13
    for (size_t t = 0; t + 2 <= taps; t += 2) add_pair(low, high, widen(rows[t], c), widen(rows[t + 1], c), w + t);
    if (taps % 2 != 0) {  // the missing partner's weight is 0
      const __m256i last = widen(rows[taps - 1], c);
      add_pair(low, high, last, last, w + taps - 1);
    }
    const __m256i first = _mm256_permute2x128_si256(low, high, 0x20);
    const __m256i last = _mm256_permute2x128_si256(low, high, 0x31);
    int32_t* out = static_cast<int32_t*>(task.out) + p * task.out_stride + c;
    if (count == kChannels) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), first);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 8), last);
    } else {
      alignas(32) int32_t rest[kChannels];
      _mm256_store_si256(reinterpret_cast<__m256i*>(rest), first);
      _mm256_store_si256(reinterpret_cast<__m256i*>(rest + 8), last);
      for (size_t k = 0; k < count; ++k) out[k] = rest[k];
    }
  }
}

}  // namespace

void depthwise_dot32__avx2(const DepthwiseTask& task) {
  auto sum = sum_channels<0>;
  if (task.taps == 9) sum = sum_channels<9>;
  if (task.taps == 25) sum = sum_channels<25>;
  const size_t pairs = (task.taps + 1) / 2;
  const __m256i* w = static_cast<const __m256i*>(task.weights);
  for (size_t c = 0; c < task.channels; c += kChannels, w += 2 * pairs) {
    sum(task, w, c, task.channels - c < kChannels ? task.channels - c : kChannels);
  }
}

}  // namespace fewbins
