// SPDX-License-Identifier: Apache-2.0
// Winograd transforms in the compilers' vectors, written once. A file per instruction set defines FB_VECTOR_BYTES and
// FB_NAME(op), and then includes this. All arithmetic is modulo 2^8, 2^16 or 2^32, where the forms prove that results
// fit (forms.h). README.md counts instructions.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/tasks.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__clang__)
#define FB_UNROLL _Pragma("unroll")
#define FB_NO_UNROLL _Pragma("nounroll")
#else
#define FB_UNROLL _Pragma("GCC unroll 8")
#define FB_NO_UNROLL _Pragma("GCC unroll 1")
#endif
#define FB_INLINE inline __attribute__((always_inline))

namespace fewbins {
namespace {

constexpr size_t kBytes = FB_VECTOR_BYTES;

template <class T, size_t kSize>
struct VectorOf {
  typedef T Type __attribute__((vector_size(kSize)));
};
using Bytes = VectorOf<uint8_t, kBytes>::Type;
using HalfBytes = VectorOf<uint8_t, kBytes / 2>::Type;
using Words = VectorOf<uint16_t, kBytes>::Type;

template <class X>
FB_INLINE X load(const void* from) {
  X x;
  memcpy(&x, from, sizeof x);
  return x;
}

template <class X>
FB_INLINE void store(void* to, const X& x) {
  memcpy(to, &x, sizeof x);
}

/// kBytes / 2 bytes to words. GCC 12 makes halves and shuffles of __builtin_convertvector().
FB_INLINE Words load_words(const uint8_t* from) {
#if defined(__AVX512BW__)
  return reinterpret_cast<Words>(_mm512_cvtepu8_epi16(load<__m256i>(from)));
#elif defined(__AVX2__)
  return reinterpret_cast<Words>(_mm256_cvtepu8_epi16(load<__m128i>(from)));
#elif defined(__SSE2__)
  return reinterpret_cast<Words>(_mm_unpacklo_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)), __m128i{}));
#else
  return __builtin_convertvector(load<HalfBytes>(from), Words);
#endif
}

/// `pointer` as a value of its own from here on: what follows is addressed from it by multiples of a few strides.
/// Left alone, compilers keep a pointer per access, for which there are not registers enough.
template <class T>
FB_INLINE T* in_register(T* pointer) {
  asm("" : "+r"(pointer));
  return pointer;
}

// ---- one axis -------------------------------------------------------------------------------------------------------

// Only row 1 of B^T has factors that do not add up to 0: kSum. So a level's `lo` reaches V through that row alone.
struct F2 {
  static constexpr size_t kTile = 2;
  static constexpr size_t kPoints = 4;
  static constexpr int kSum = 2;

  template <class X>
  static FB_INLINE void input(const X* d, X* v) {
    v[0] = d[0] - d[2];
    v[1] = d[1] + d[2];
    v[2] = d[2] - d[1];
    v[3] = d[1] - d[3];
  }
};

/// A of small G: factors 2 at the ends.
struct F2Bytes : F2 {
  template <class X>
  static FB_INLINE void output(const X* s, X* y) {
    y[0] = s[0] + s[0] + (s[1] + s[2]);
    y[1] = s[1] - s[2] - (s[3] + s[3]);
  }
  template <class X>
  static FB_INLINE void add_thirds(const X*, X*) {}  ///< output() has it all
};

struct F2Words : F2 {
  template <class X>
  static FB_INLINE void output(const X* s, X* y) {
    y[0] = s[0] + (s[1] + s[2]);
    y[1] = s[1] - s[2] - s[3];
  }
};

struct F4 {
  static constexpr size_t kTile = 4;
  static constexpr size_t kPoints = 6;
  static constexpr int kSum = 6;

  template <class X>
  static FB_INLINE X twice(X x) {
    return x + x;
  }
  /// One shift, but two additions of bytes: x86 has no shift of bytes.
  template <class X>
  static FB_INLINE X times_4(X x) {
    if constexpr (sizeof(x[0]) == 1) {
      return twice(twice(x));
    } else {
      return x << 2;
    }
  }
  template <class X>
  static FB_INLINE void input(const X* d, X* v) {
    const X even = times_4(d[2]) - d[4];
    const X odd = times_4(d[1]) - d[3];
    const X even_1 = d[4] - d[2];
    const X odd_2 = twice(d[3] - d[1]);
    v[0] = times_4(d[0] - d[2]) + even_1;
    v[1] = odd + even;
    v[2] = odd - even;
    v[3] = even_1 + odd_2;
    v[4] = even_1 - odd_2;
    v[5] = (d[5] - d[3]) - twice(odd_2);
  }
};

struct F4Words : F4 {
  template <class X>
  static FB_INLINE void output(const X* s, X* y) {
    const X sum_1 = s[1] + s[2];
    const X sum_2 = s[3] + s[4];
    const X odd_1 = s[1] - s[2];
    const X odd_2 = twice(s[3] - s[4]);
    y[0] = s[0] + sum_1 + sum_2;
    y[1] = odd_1 + odd_2;
    y[2] = sum_1 + times_4(sum_2);
    y[3] = odd_1 + twice(twice(odd_2) + s[5]);
  }
};

/// A of small G: factors 6, 4, 4, 1, 1, 24.
struct F4Bytes : F4 {
  /// Without 6 s[0] and 24 s[5]: add_thirds() adds their thirds, which cost less, after the division by 3.
  template <class X>
  static FB_INLINE void output(const X* s, X* y) {
    const X sum_1 = times_4(s[1] + s[2]);
    const X sum_2 = s[3] + s[4];
    const X odd_1 = times_4(s[1] - s[2]);
    const X odd_2 = twice(s[3] - s[4]);
    y[0] = sum_1 + sum_2;
    y[1] = odd_1 + odd_2;
    y[2] = sum_1 + times_4(sum_2);
    y[3] = odd_1 + times_4(odd_2);
  }
  template <class X>
  static FB_INLINE void add_thirds(const X* s, X* y) {
    y[0] += twice(s[0]);
    y[3] += s[5] << 3;
  }
};

// ---- input ----------------------------------------------------------------------------------------------------------

/// Levels to V in bytes: an offset per position brings it to 0..255.
struct ToBytes {
  using Vector = Bytes;
  static constexpr size_t kStep = kBytes;  // channels of a vector
  static FB_INLINE Vector bytes(const uint8_t* from) { return load<Bytes>(from); }
  static FB_INLINE Vector level_offset(const WinogradInputTask&, int) { return Vector{}; }
  static FB_INLINE Vector offset(const WinogradInputTask& task, size_t position) {
    return Bytes{} + task.offsets[position];
  }
};

/// Levels to V in int16.
struct ToWords {
  using Vector = Words;
  static constexpr size_t kStep = kBytes / 2;
  static FB_INLINE Vector bytes(const uint8_t* from) { return load_words(from); }
  /// What q = u + lo adds to row 1 of the first pass.
  static FB_INLINE Vector level_offset(const WinogradInputTask& task, int sum) {
    return Words{} + static_cast<uint16_t>(task.lo * sum);
  }
  static FB_INLINE Vector offset(const WinogradInputTask&, size_t) { return Words{}; }
};

// Tiles of a piece have this many columns: what a piece keeps and writes stays in the first-level cache.
constexpr size_t kPieceColumns = 34;

/// B^T d B: down the columns into a buffer, then along its lines.
template <class F, class To>
FB_INLINE void input_2d(const WinogradInputTask& by_reference) {
  const WinogradInputTask task = by_reference;  // a copy cannot alias V
  using X = typename To::Vector;
  constexpr size_t kPiece = (kPieceColumns - 2) / F::kTile;
  X lines[F::kPoints][kPieceColumns];
  const X level_offset = To::level_offset(task, F::kSum);
  for (size_t first = 0; first < task.tiles; first += kPiece) {
    const size_t tiles = task.tiles - first < kPiece ? task.tiles - first : kPiece;
    const uint8_t* const* pixels = task.pixels + first * F::kTile;
    uint8_t* out = static_cast<uint8_t*>(task.v) + first * task.tile_bytes;
    for (size_t channel = 0; channel < task.channels; channel += To::kStep, out += sizeof(X)) {
      for (size_t x = 0; x < tiles * F::kTile + 2; ++x) {
        const uint8_t* const* column = in_register(pixels + x);
        X d[F::kPoints];
        X t[F::kPoints];
        FB_UNROLL
        for (size_t r = 0; r < F::kPoints; ++r) d[r] = To::bytes(column[r * task.columns] + channel);
        F::input(d, t);
        t[1] += level_offset;
        FB_UNROLL
        for (size_t r = 0; r < F::kPoints; ++r) lines[r][x] = t[r];
      }
      FB_UNROLL  // addresses in `lines` are constants then
          for (size_t r = 0; r < F::kPoints; ++r) {
        uint8_t* to = out + r * F::kPoints * task.position_bytes;
        X offsets[F::kPoints];
        FB_UNROLL
        for (size_t c = 0; c < F::kPoints; ++c) offsets[c] = To::offset(task, r * F::kPoints + c);
        FB_NO_UNROLL
        for (size_t tile = 0; tile < tiles; ++tile, to += task.tile_bytes) {
          to = in_register(to);
          X v[F::kPoints];
          F::input(&lines[r][tile * F::kTile], v);
          FB_UNROLL
          for (size_t c = 0; c < F::kPoints; ++c) store(to + c * task.position_bytes, v[c] + offsets[c]);
        }
      }
    }
  }
}

/// B^T d along one line.
template <class F, class To>
FB_INLINE void input_1d(const WinogradInputTask& by_reference) {
  const WinogradInputTask task = by_reference;  // a copy cannot alias V
  using X = typename To::Vector;
  uint8_t* out = static_cast<uint8_t*>(task.v);
  for (size_t channel = 0; channel < task.channels; channel += To::kStep, out += sizeof(X)) {
    X offsets[F::kPoints];
    FB_UNROLL
    for (size_t c = 0; c < F::kPoints; ++c) offsets[c] = To::offset(task, c);
    uint8_t* to = out;
    const uint8_t* const* pixels = task.pixels;
    for (size_t tile = 0; tile < task.tiles; ++tile, to += task.tile_bytes, pixels += F::kTile) {
      pixels = in_register(pixels);
      to = in_register(to);
      X d[F::kPoints];
      X v[F::kPoints];
      FB_UNROLL
      for (size_t c = 0; c < F::kPoints; ++c) d[c] = To::bytes(pixels[c] + channel);
      F::input(d, v);
      FB_UNROLL
      for (size_t c = 0; c < F::kPoints; ++c) store(to + c * task.position_bytes, v[c] + offsets[c]);
    }
  }
}

// ---- output ---------------------------------------------------------------------------------------------------------

/// x * kFactor modulo 2^32. SSSE3 has no instruction for it, and GCC 12 takes shifts and additions, slower than two
/// products of every other number.
template <uint32_t kFactor, class X>
FB_INLINE X multiply(X x) {
#if defined(__SSE2__) && !defined(__SSE4_1__)
  const __m128i factor = _mm_set1_epi32(static_cast<int>(kFactor));
  const __m128i even = reinterpret_cast<__m128i>(x);
  const __m128i odd = _mm_srli_epi64(even, 32);
  const __m128i low = _mm_castps_si128(_mm_shuffle_ps(_mm_castsi128_ps(_mm_mul_epu32(even, factor)),
                                                      _mm_castsi128_ps(_mm_mul_epu32(odd, factor)), 0x88));
  return reinterpret_cast<X>(_mm_shuffle_epi32(low, 0xd8));
#else
  return x * kFactor;
#endif
}

/// The exact division: by the inverse of the odd part modulo 2^32, then by an arithmetic shift.
template <uint32_t kInverse, class X>
FB_INLINE X divide_odd(X x) {
  if constexpr (kInverse == 1) {
    return x;
  } else {
    return multiply<kInverse>(x);
  }
}

template <int kShift, size_t kSize, class X>
FB_INLINE X divide_even(X x) {
  using Signed = typename VectorOf<int32_t, kSize>::Type;
  return reinterpret_cast<X>(reinterpret_cast<Signed>(x) >> kShift);
}

/// A^T M A of columns from..to, kSize / 4 at a time.
template <class F, uint32_t kInverse, int kShift, size_t kSize>
FB_INLINE void output_2d_columns(const WinogradOutputTask& task, size_t from, size_t to) {
  using X = typename VectorOf<uint32_t, kSize>::Type;
  const size_t stride = task.position_stride;
  const size_t columns = task.columns;
  const size_t line_stride = task.line_stride;
  const size_t line = F::kPoints * stride;
  for (size_t tile = 0; tile < task.tiles; ++tile) {
    for (size_t column = from; column < to; column += kSize / 4) {
      const int32_t* sums = in_register(task.sums + tile * columns + column);
      X t[F::kTile][F::kPoints];
      FB_UNROLL
      for (size_t c = 0; c < F::kPoints; ++c, sums = in_register(sums + stride)) {
        X s[F::kPoints];
        X y[F::kTile];
        FB_UNROLL
        for (size_t r = 0; r < F::kPoints; ++r) s[r] = load<X>(sums + r * line);
        F::output(s, y);
        FB_UNROLL
        for (size_t r = 0; r < F::kTile; ++r) t[r][c] = y[r];
      }
      int32_t* acc = task.acc + tile * F::kTile * columns + column;
      const int32_t* constants = task.constants + column;
      FB_UNROLL
      for (size_t r = 0; r < F::kTile; ++r) {
        acc = in_register(acc);
        constants = in_register(constants);
        X y[F::kTile];
        F::output(t[r], y);
        FB_UNROLL
        for (size_t c = 0; c < F::kTile; ++c) {
          const X sum = y[c] + load<X>(constants + c * columns);
          store(acc + c * columns, divide_even<kShift, kSize>(divide_odd<kInverse>(sum)));
        }
        acc += line_stride;
        constants += F::kTile * columns;
      }
    }
  }
}

/// A^T M of columns from..to. These sums stay in the first-level cache from one group of columns to the next.
template <class F, uint32_t kInverse, int kShift, size_t kSize>
FB_INLINE void output_1d_columns(const WinogradOutputTask& task, size_t from, size_t to) {
  using X = typename VectorOf<uint32_t, kSize>::Type;
  const size_t stride = task.position_stride;
  const size_t columns = task.columns;
  for (size_t column = from; column < to; column += kSize / 4) {
    X constants[F::kTile];
    FB_UNROLL
    for (size_t c = 0; c < F::kTile; ++c) constants[c] = load<X>(task.constants + c * columns + column);
    const int32_t* sums = task.sums + column;
    int32_t* acc = task.acc + column;
    for (size_t tile = 0; tile < task.tiles; ++tile, sums += columns, acc += F::kTile * columns) {
      sums = in_register(sums);
      acc = in_register(acc);
      X s[F::kPoints];
      X y[F::kTile];
      FB_UNROLL
      for (size_t c = 0; c < F::kPoints; ++c) s[c] = load<X>(sums + c * stride);
      F::output(s, y);
      FB_UNROLL
      for (size_t c = 0; c < F::kTile; ++c) y[c] = divide_odd<kInverse>(y[c] + constants[c]);
      F::add_thirds(s, y);
      FB_UNROLL
      for (size_t c = 0; c < F::kTile; ++c) store(acc + c * columns, divide_even<kShift, kSize>(y[c]));
    }
  }
}

/// Whole vectors, then what is left in vectors of 4.
template <class F, bool kTwo, uint32_t kInverse, int kShift>
FB_INLINE void output(const WinogradOutputTask& by_reference) {
  const WinogradOutputTask task = by_reference;  // a copy cannot alias the accumulators
  const size_t whole = task.columns / (kBytes / 4) * (kBytes / 4);
  if constexpr (kTwo) {
    output_2d_columns<F, kInverse, kShift, kBytes>(task, 0, whole);
    if (whole < task.columns) output_2d_columns<F, kInverse, kShift, 16>(task, whole, task.columns);
  } else {
    output_1d_columns<F, kInverse, kShift, kBytes>(task, 0, whole);
    if (whole < task.columns) output_1d_columns<F, kInverse, kShift, 16>(task, whole, task.columns);
  }
}

}  // namespace

void FB_NAME(input_f2x2_i8)(const WinogradInputTask& task) { input_2d<F2, ToBytes>(task); }
void FB_NAME(input_f2x2_i16)(const WinogradInputTask& task) { input_2d<F2, ToWords>(task); }
void FB_NAME(input_f4x4_i16)(const WinogradInputTask& task) { input_2d<F4, ToWords>(task); }
void FB_NAME(input_f2_i8)(const WinogradInputTask& task) { input_1d<F2, ToBytes>(task); }
void FB_NAME(input_f4_i8)(const WinogradInputTask& task) { input_1d<F4, ToBytes>(task); }

void FB_NAME(output_f2x2_i8)(const WinogradOutputTask& task) { output<F2Bytes, true, 1, 2>(task); }
void FB_NAME(output_f2x2_i16)(const WinogradOutputTask& task) { output<F2Words, true, 1, 2>(task); }
void FB_NAME(output_f4x4_i16)(const WinogradOutputTask& task) { output<F4Words, true, 954437177, 6>(task); }
void FB_NAME(output_f2_i8)(const WinogradOutputTask& task) { output<F2Bytes, false, 1, 1>(task); }
void FB_NAME(output_f4_i8)(const WinogradOutputTask& task) { output<F4Bytes, false, 2863311531, 3>(task); }

}  // namespace fewbins
