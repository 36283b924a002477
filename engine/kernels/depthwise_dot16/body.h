// SPDX-License-Identifier: Apache-2.0
// 16-bit depthwise sums on x86, written once over vectors of bytes. A file per instruction set defines a type per width
// (see avx2.cpp) and instantiates this. README.md has the layout, the proof and the counts.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

/// A block of V::kChannels channels as pack_depthwise() lays it out.
template <class V>
struct PackedBlock {
  const char* at;
  [[nodiscard]] typename V::Bytes start(size_t half) const { return V::load_aligned(at + half * V::kChannels); }
  [[nodiscard]] const char* pair(size_t i, size_t half) const { return at + (2 + 2 * i + half) * V::kChannels; }
  [[nodiscard]] static size_t bytes(size_t taps) { return (2 + 2 * ((taps + 1) / 2)) * V::kChannels; }
};

/// Hides from the compiler where a pointer came from, so that loads through it stay inside the loop, as operands of
/// their instructions: hoisted, they would not fit the registers and be spilled.
template <class T>
inline const T* keep_in_loop(const T* p) {
  __asm__("" : "+r"(p));
  return p;
}

/// 16-bit sums of a block: channels 0-7 of every 16 in `low`, 8-15 in `high`; each holds its sum + 2^15, unsigned.
template <class V>
struct Sums {
  typename V::Bytes low;
  typename V::Bytes high;
  void add(typename V::Bytes a_low, typename V::Bytes a_high, const PackedBlock<V>& block, size_t pair) {
    low = V::add16(low, V::multiply(a_low, block.pair(pair, 0)));
    high = V::add16(high, V::multiply(a_high, block.pair(pair, 1)));
    __asm__("" : "+x"(low), "+x"(high));  // in this order: all products first would not fit the registers
  }
};

template <class V>
inline void store_int32(const Sums<V>& sums, int32_t* out, size_t count) {
  const typename V::Bytes zero = V::zero();
  const typename V::Bytes bias = V::set32(32768);
  const typename V::Bytes parts[4] = {
      V::subtract32(V::unpack_low16(sums.low, zero), bias), V::subtract32(V::unpack_high16(sums.low, zero), bias),
      V::subtract32(V::unpack_low16(sums.high, zero), bias), V::subtract32(V::unpack_high16(sums.high, zero), bias)};
  alignas(64) int32_t whole[V::kChannels];
  int32_t* to = count == V::kChannels ? out : whole;
  V::store_sums(to, parts);
  if (to == out) return;
  for (size_t k = 0; k < count; ++k) out[k] = whole[k];
}

/// Which taps meet in pair i: 3x3 windows pair rows 0 and 1, then the first tap of row 2 alone, then its other two. The
/// missing partner of an odd tap has weight 0.
inline void taps_of_pair(size_t taps, size_t i, size_t& first, size_t& second) {
  if (taps == 9) {
    constexpr uint8_t kFirst[5] = {0, 1, 2, 6, 7};
    constexpr uint8_t kSecond[5] = {3, 4, 5, 6, 8};
    first = kFirst[i];
    second = kSecond[i];
  } else {
    first = 2 * i;
    second = 2 * i + 1 < taps ? 2 * i + 1 : 2 * i;
  }
}

/// Any window: a pointer per pixel and tap.
template <class V>
void sum_block(const DepthwiseTask& task, PackedBlock<V> block, size_t c, size_t count) {
  const size_t pairs = (task.taps + 1) / 2;
  for (size_t p = 0; p < task.pixels; ++p) {
    const void* const* rows = task.rows + p * task.taps;
    Sums<V> sums{block.start(0), block.start(1)};
    for (size_t i = 0; i < pairs; ++i) {
      size_t first;
      size_t second;
      taps_of_pair(task.taps, i, first, second);
      const typename V::Bytes a = V::load(static_cast<const uint8_t*>(rows[first]) + c);
      const typename V::Bytes b = V::load(static_cast<const uint8_t*>(rows[second]) + c);
      sums.add(V::unpack_low8(a, b), V::unpack_high8(a, b), block, i);
    }
    store_int32<V>(sums, static_cast<int32_t*>(task.out) + p * task.out_stride + c, count);
  }
}

/// Requantizes a block by the float rule: constants as pack_depthwise_scales() lays them out. A 16-bit sum under the
/// exponent of 2^23 is the float 2^23 + 2^15 + sum, and the packed bias takes both powers off again: exact, as
/// depthwise_fits_direct() proves, so that this is f32(acc). Ends that packing saturates need no other clamp.
template <class V>
struct Requantizer {
  typename V::Bytes exponent = V::set16(0x4b00);
  typename V::Bytes ends[3];  ///< offset, lowest and highest level; read from memory, registers are few
  const float* scales;        ///< biases, then multipliers

  Requantizer(const DepthwiseLineTask& task, size_t c)
      : ends{V::set16(static_cast<int16_t>(task.store.out_offset)),
             V::set8(static_cast<int8_t>(task.store.clamp_lo + task.store.out_offset)),
             V::set8(static_cast<int8_t>(task.store.clamp_hi + task.store.out_offset))},
        scales(task.scales + 2 * c) {}

  [[nodiscard]] typename V::Bytes levels(typename V::Bytes sums, size_t r) const {
    constexpr size_t kStep = V::kChannels / 4;
    const float* own = keep_in_loop(scales) + r * kStep;
    const typename V::Bytes first = V::scale(V::unpack_low16(sums, exponent), own, own + V::kChannels);
    const typename V::Bytes second =
        V::scale(V::unpack_high16(sums, exponent), own + kStep, own + kStep + V::kChannels);
    return V::add_saturated16(V::pack32(first, second), *keep_in_loop(ends));
  }

  [[nodiscard]] typename V::Bytes operator()(const Sums<V>& sums) const {
    const typename V::Bytes u = V::pack16(levels(sums.low, 0), levels(sums.high, 2));
    const typename V::Bytes* own = keep_in_loop(ends);
    return V::min8(V::max8(u, own[1]), own[2]);
  }
};

template <class V, bool kDirect, bool kWhole>
struct LineOutput {
  const DepthwiseLineTask& task;
  size_t c;
  size_t count;
  Requantizer<V> requantize;

  LineOutput(const DepthwiseLineTask& t, size_t first, size_t n) : task(t), c(first), count(n), requantize(t, first) {}

  void store(const Sums<V>& sums, size_t pixel) const {
    if constexpr (!kDirect) {
      store_int32<V>(sums, task.sums + pixel * task.channels + c, kWhole ? V::kChannels : count);
    } else {
      const typename V::Bytes u = requantize(sums);
      uint8_t* out = task.out + pixel * task.channels + c;
      if constexpr (kWhole) {
        V::store(out, u);
      } else {
        alignas(64) uint8_t whole[V::kChannels];
        V::store(whole, u);
        for (size_t k = 0; k < count; ++k) out[k] = whole[k];
      }
    }
  }
};

/// The three pixels of an input column, from channel c on.
struct Column {
  const uint8_t* pixel[3];
  /// One that may lie outside the line.
  Column(const DepthwiseLineTask& task, ptrdiff_t x, size_t c) {
    const bool inside = static_cast<size_t>(x) < task.width;
    for (size_t r = 0; r < 3; ++r) {
      pixel[r] = (inside ? task.lines[r] + static_cast<size_t>(x) * task.steps[r] : task.padding) + c;
    }
  }
  void advance(const DepthwiseLineTask& task, size_t pixels) {
    for (size_t r = 0; r < 3; ++r) pixel[r] += pixels * task.steps[r];
  }
};

/// Two vectors interleaved, and what of them lies over the window: rows 0 and 1 of a column are interleaved once and
/// stay in registers for the outputs that need them; row 2 is interleaved with itself a pixel on: output x takes its
/// first tap from the pair at x, the other two from the pair at x + 1.
template <class V>
struct Pair {
  typename V::Bytes low;
  typename V::Bytes high;
  Pair(typename V::Bytes a, typename V::Bytes b) : low(V::unpack_low8(a, b)), high(V::unpack_high8(a, b)) {}
};

template <class V>
inline Pair<V> upper(const Column& column) {
  return {V::load(column.pixel[0]), V::load(column.pixel[1])};
}
template <class V>
inline typename V::Bytes lower(const Column& column) {
  return V::load(column.pixel[2]);
}

/// The first output whose column first + stride * p + offset is at `x` or beyond.
inline size_t output_at(const DepthwiseLineTask& task, ptrdiff_t x, ptrdiff_t offset) {
  const ptrdiff_t distance = x - task.first - offset;
  const auto stride = static_cast<ptrdiff_t>(task.stride);
  const size_t p = distance <= 0 ? 0 : static_cast<size_t>((distance + stride - 1) / stride);
  return p < task.pixels ? p : task.pixels;
}

template <class V, bool kDirect, bool kWhole>
void sum_line1(const DepthwiseLineTask& task, PackedBlock<V> block, size_t c, size_t count) {
  const LineOutput<V, kDirect, kWhole> output(task, c, count);
  const Column left(task, task.first, c);
  const Column middle(task, task.first + 1, c);
  Pair<V> v0 = upper<V>(left);
  Pair<V> v1 = upper<V>(middle);
  typename V::Bytes below = lower<V>(middle);
  Pair<V> h0(lower<V>(left), below);
  const auto step = [&](size_t p, const Column& right) __attribute__((always_inline)) {
    block.at = keep_in_loop(block.at);
    Sums<V> sums{block.start(0), block.start(1)};
    sums.add(v0.low, v0.high, block, 0);
    sums.add(h0.low, h0.high, block, 3);
    sums.add(v1.low, v1.high, block, 1);
    const Pair<V> v2 = upper<V>(right);
    sums.add(v2.low, v2.high, block, 2);
    const typename V::Bytes last = lower<V>(right);
    const Pair<V> h1(below, last);
    sums.add(h1.low, h1.high, block, 4);
    v0 = v1;
    v1 = v2;
    h0 = h1;
    below = last;
    output.store(sums, p);
  };
  const auto column = [&](size_t p) { return Column(task, task.first + static_cast<ptrdiff_t>(p) + 2, c); };
  const size_t inside = output_at(task, 0, 2);
  const size_t end = output_at(task, static_cast<ptrdiff_t>(task.width), 2);
  size_t p = 0;
  for (; p < inside; ++p) step(p, column(p));
  Column right = column(p);
  for (; p < end; ++p, right.advance(task, 1)) step(p, right);
  for (; p < task.pixels; ++p) step(p, column(p));
}

template <class V, bool kDirect, bool kWhole>
void sum_line2(const DepthwiseLineTask& task, PackedBlock<V> block, size_t c, size_t count) {
  const LineOutput<V, kDirect, kWhole> output(task, c, count);
  const Column left(task, task.first, c);
  Pair<V> v0 = upper<V>(left);
  typename V::Bytes below = lower<V>(left);
  const auto step = [&](size_t p, const Column& middle, const Column& right) __attribute__((always_inline)) {
    block.at = keep_in_loop(block.at);
    Sums<V> sums{block.start(0), block.start(1)};
    sums.add(v0.low, v0.high, block, 0);
    const Pair<V> v1 = upper<V>(middle);
    sums.add(v1.low, v1.high, block, 1);
    v0 = upper<V>(right);
    sums.add(v0.low, v0.high, block, 2);
    const typename V::Bytes next = lower<V>(middle);
    const Pair<V> h0(below, next);
    sums.add(h0.low, h0.high, block, 3);
    below = lower<V>(right);
    const Pair<V> h1(next, below);
    sums.add(h1.low, h1.high, block, 4);
    output.store(sums, p);
  };
  const auto column = [&](size_t p, ptrdiff_t k) {
    return Column(task, task.first + 2 * static_cast<ptrdiff_t>(p) + k, c);
  };
  const size_t inside = output_at(task, 0, 1);
  const size_t end = output_at(task, static_cast<ptrdiff_t>(task.width), 2);
  size_t p = 0;
  for (; p < inside; ++p) step(p, column(p, 1), column(p, 2));
  Column middle = column(p, 1);
  Column right = column(p, 2);
  for (; p < end; ++p, middle.advance(task, 2), right.advance(task, 2)) step(p, middle, right);
  for (; p < task.pixels; ++p) step(p, column(p, 1), column(p, 2));
}

template <class V, bool kDirect, bool kWhole>
void sum_line(const DepthwiseLineTask& task, PackedBlock<V> block, size_t c, size_t count) {
  if (task.stride == 1) {
    sum_line1<V, kDirect, kWhole>(task, block, c, count);
  } else {
    sum_line2<V, kDirect, kWhole>(task, block, c, count);
  }
}

template <class V>
void sum_line_block(const DepthwiseLineTask& task, const char* weights, size_t c, size_t count) {
  const PackedBlock<V> block{weights};
  if (task.out == nullptr) {
    sum_line<V, false, false>(task, block, c, count);
  } else if (count == V::kChannels) {
    sum_line<V, true, true>(task, block, c, count);
  } else {
    sum_line<V, true, false>(task, block, c, count);
  }
}

/// Walks the blocks: as wide as possible, what is left in the narrowest vector that holds it.
template <class Wide, class Half, class Quarter, class Do>
inline void for_blocks(size_t channels, size_t taps, const void* weights, Do run) {
  const char* w = static_cast<const char*>(weights);
  size_t c = 0;
  while (c < channels) {
    const size_t left = channels - c;
    const auto one = [&]<class V>(V) {
      run(V{}, w, c, left < V::kChannels ? left : V::kChannels);
      w += PackedBlock<V>::bytes(taps);
      c += V::kChannels;
    };
    if (left > Half::kChannels) {
      one(Wide{});
    } else if (left > Quarter::kChannels) {
      one(Half{});
    } else {
      one(Quarter{});
    }
  }
}

template <class Wide, class Half, class Quarter>
void sum_pixels(const DepthwiseTask& task) {
  for_blocks<Wide, Half, Quarter>(
      task.channels, task.taps, task.weights,
      [&]<class V>(V, const char* w, size_t c, size_t count) { sum_block<V>(task, PackedBlock<V>{w}, c, count); });
}

template <class Wide, class Half, class Quarter>
void sum_lines(const DepthwiseLineTask& task) {
  for_blocks<Wide, Half, Quarter>(
      task.channels, 9, task.weights,
      [&]<class V>(V, const char* w, size_t c, size_t count) { sum_line_block<V>(task, w, c, count); });
}

}  // namespace
}  // namespace fewbins
