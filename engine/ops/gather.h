// SPDX-License-Identifier: Apache-2.0
// Moves elements by one index table per axis: what Pad and Resize nearest have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "base/checked.h"
#include "ops/layout.h"

namespace fewbins {

// out[i0, i1, ...] = in[table[0][i0], table[1][i1], ...], or a fill value where any index is -1. Built once per size;
// reading along the memory order, equal steps become runs of memcpy.
class AxisGather {
 public:
  // `tables` go by logical axis; their lengths are the output's sizes, their entries lie in -1..size of the input - 1.
  AxisGather(const Dims& in, const Dims& out, const std::vector<std::vector<int64_t>>& tables);

  // What the tables for such an output and the object take at most.
  [[nodiscard]] static Size bytes_of(const Dims& out);

  // `fill` is one element.
  void run(const void* in, void* out, size_t element_bytes, const void* fill, ThreadPool& pool) const;

 private:
  // `count` elements of the output at `to`, from `from` on (or filled where from < 0).
  struct Run {
    int64_t to;
    int64_t from;
    Size count;
  };
  struct Level {
    std::vector<int64_t> from;  // source offset of each index, or -1
    int64_t step = 0;           // the output's step
  };

  template <typename T>
  void walk(const T* in, T* out, T fill, size_t level) const;
  template <typename T>
  void run_typed(const T* in, T* out, T fill, ThreadPool& pool) const;

  std::vector<Level> levels_;  // outer axes, in memory order
  std::vector<Run> runs_;      // the innermost axis that is not moved whole
};

}  // namespace fewbins
