// SPDX-License-Identifier: Apache-2.0
// Products of few rows, where the weights stream from memory once and bound everything: written once over vectors
// and over the form of the weights, bytes or nibbles. lut4/README.md has the layout and the counts.
//
// A panel is read from end to end, and the next one behind it, with what comes 8 KiB later asked for: from memory that
// is a quarter faster than four streams side by side, each of which starts anew in every panel. A step takes 8 depths,
// an octet, of four vectors of columns; rows are copied a chunk at a time, so that what lies behind their channels
// counts as zero.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/tasks.h"

namespace fewbins {
namespace {

constexpr size_t kMr = 4;
constexpr size_t kParts = 4;     // of a panel: vectors of columns
constexpr size_t kChunk = 1024;  // depths
constexpr size_t kAhead = 8192;  // bytes that are asked for ahead of their use

/// Bytes of a row as they are: for products of u8 x s8 that add to 32 bits at once.
struct PlainRow {
  alignas(64) uint8_t u[kChunk];
  /// Copies `count` depths, up to a whole octet with zeros. What it returns is missing in the sum of every column.
  template <class V>
  uint32_t fill(const uint8_t* from, size_t count) {
    for (size_t k = 0; k < count; ++k) u[k] = from[k];
    for (; count % 8 != 0; ++count) u[count] = 0;
    return 0;
  }
};

/// q = u - 128 as |q| and, where q < 0, all ones: |q| * (w ^ ones) = -|q| * (w + 1) is q * w but for |q|. Products of
/// such a pair never leave 16 bits: 2 * 128 * -128 and 2 * 128 * 127 fit, whatever the weights.
struct CentredRow {
  alignas(64) uint8_t size[kChunk];
  alignas(64) uint8_t flip[kChunk];
  template <class V>
  uint32_t fill(const uint8_t* from, size_t count) {
    constexpr size_t kBytes = sizeof(typename V::Vector);
    typename V::Vector sums = V::set8(0);
    size_t k = 0;
    for (; k + kBytes <= count; k += kBytes) sums = V::centre(from + k, size + k, flip + k, sums);
    alignas(64) uint64_t parts[kBytes / sizeof(uint64_t)];
    V::store(reinterpret_cast<int32_t*>(parts), sums);
    uint32_t missing = 0;
    for (const uint64_t part : parts) missing += static_cast<uint32_t>(part);
    for (; k < count; ++k) {
      const bool below = from[k] < 128;
      flip[k] = below ? 255 : 0;
      size[k] = static_cast<uint8_t>(below ? 128 - from[k] : from[k] - 128);
      if (below) missing += size[k];
    }
    for (; count % 8 != 0; ++count) size[count] = flip[count] = 0;
    return missing;
  }
};

/// Weights as bytes: the columns' depths 0-3 of an octet, then 4-7.
template <class V>
struct Whole {
  using Vector = typename V::Vector;
  static constexpr size_t kStep = 2 * sizeof(Vector);
  explicit Whole(const void*) {}
  void load(const char* at, Vector& low, Vector& high) const {
    low = V::load(at);
    high = V::load(at + sizeof(Vector));
  }
};

/// Weights as indices into a table of 16 bytes: depths 0-3 in the low nibbles, 4-7 in the high ones.
template <class V>
struct Nibbles {
  using Vector = typename V::Vector;
  static constexpr size_t kStep = sizeof(Vector);
  const void* entries;
  Vector table = V::load(entries);
  Vector mask = V::set8(15);
  explicit Nibbles(const void* panel) : entries(panel) {}
  void load(const char* at, Vector& low, Vector& high) const {
    const Vector both = V::load(at);
    low = look_up(V::both(both, mask));
    high = look_up(V::both(V::shift_right4(both), mask));
  }
  [[nodiscard]] Vector look_up(Vector index) const {
    if constexpr (requires { V::kTableInMemory; }) {  // a look-up destroys its copy: no register for the original
      const void* again = entries;
      __asm__("" : "+r"(again));
      return V::look_up(V::load(again), index);
    } else {
      return V::look_up(table, index);
    }
  }
};

/// The sums of kRows rows from `first` on.
template <class V, class W, size_t kRows>
void sum_rows(const GemmTask& task, const W& weights, const char* panel, size_t first) {
  using Vector = typename V::Vector;
  constexpr size_t kNr = kParts * V::kColumns;
  const char* start = panel;  // nr int32
  const char* at = panel + kNr * sizeof(int32_t);
  Vector sums[kRows][kParts];
  for (size_t i = 0; i < kRows; ++i) {
    for (size_t s = 0; s < kParts; ++s) sums[i][s] = V::load(start + s * sizeof(Vector));
  }
  typename V::Row rows[kRows];
  uint32_t missing[kRows] = {};
  const typename V::Row* row = rows;
  for (size_t t = 0; t < task.taps; ++t) {
    for (size_t k = 0; k < task.depth; k += kChunk) {
      const size_t depths = task.depth - k < kChunk ? task.depth - k : kChunk;
      for (size_t i = 0; i < kRows; ++i) {
        missing[i] += rows[i].template fill<V>(static_cast<const uint8_t*>(task.rows[t * kMr + first + i]) + k, depths);
      }
      __asm__ volatile("" : "+r"(row) : : "memory");  // hides that rows lie on the stack: a test looks for spills
      for (size_t d = 0; d < depths; d += 8) {
#pragma GCC unroll 4
        for (size_t s = 0; s < kParts; ++s, at += W::kStep) {
          Vector low;
          Vector high;
          __builtin_prefetch(at + kAhead);
          weights.load(at, low, high);
#pragma GCC unroll 4
          for (size_t i = 0; i < kRows; ++i) {
            sums[i][s] = V::dot(sums[i][s], row[i], d, low);
            sums[i][s] = V::dot(sums[i][s], row[i], d + 4, high);
          }
        }
      }
    }
  }
  int32_t* tile = static_cast<int32_t*>(task.tile) + first * kNr;
  for (size_t i = 0; i < kRows; ++i) {
    const Vector rest = V::set32(static_cast<int32_t>(missing[i]));
    for (size_t s = 0; s < kParts; ++s) V::store(tile + i * kNr + s * V::kColumns, V::add32(sums[i][s], rest));
  }
}

/// All rows of a tile. More rows than registers hold sums for go in passes: the panel is in cache by then.
template <class V, template <class> class W>
void run_few_rows(const GemmTask& task) {
  constexpr size_t kTable = W<V>::kStep == sizeof(typename V::Vector) ? 64 : 0;
  const char* panel = static_cast<const char*>(task.panel);
  const W<V> weights(panel);
  const size_t m = task.m != 0 ? task.m : kMr;
  size_t first = 0;
  if constexpr (V::kMostRows == 2) {
    for (; first + 2 <= m; first += 2) sum_rows<V, W<V>, 2>(task, weights, panel + kTable, first);
  }
  for (; first < m; ++first) sum_rows<V, W<V>, 1>(task, weights, panel + kTable, first);
}

}  // namespace
}  // namespace fewbins
