// SPDX-License-Identifier: Apache-2.0
#include "ops/gather.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/thread_pool.h"

namespace fewbins {

namespace {

// Logical axes, outermost in memory first.
std::vector<size_t> memory_order(int rank) {
  if (rank == 4) return {0, 2, 3, 1};
  std::vector<size_t> order(static_cast<size_t>(rank));
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  return order;
}

bool is_identity(const std::vector<int64_t>& table, int64_t size) {
  if (static_cast<int64_t>(table.size()) != size) return false;
  for (size_t i = 0; i < table.size(); ++i)
    if (table[i] != static_cast<int64_t>(i)) return false;
  return true;
}

}  // namespace

Size AxisGather::bytes_of(const Dims& out) {
  Size entries = 0;
  for (const int64_t size : out.span()) entries += size;
  // Vectors that grow may have twice the room that they need.
  return entries * 2 * (sizeof(int64_t) + std::max(sizeof(int64_t), sizeof(Run)));
}

AxisGather::AxisGather(const Dims& in, const Dims& out, const std::vector<std::vector<int64_t>>& tables) {
  const Strides to = memory_strides(out);
  const Strides from = memory_strides(in);
  std::vector<size_t> order = memory_order(out.rank);
  Size whole = 1;  // elements of the inner axes that move together
  while (!order.empty() && is_identity(tables[order.back()], in.d[order.back()])) {
    whole *= in.d[order.back()];
    order.pop_back();
  }
  if (order.empty()) {
    runs_.push_back({0, 0, whole});
    return;
  }
  const size_t inner = order.back();
  order.pop_back();
  for (size_t i = 0; i < tables[inner].size(); ++i) {
    const int64_t index = tables[inner][i];
    const int64_t source = index < 0 ? int64_t{-1} : int64_t{index * from[inner]};
    if (!runs_.empty()) {
      Run& last = runs_.back();
      const bool joins = source < 0 ? last.from < 0 : last.from >= 0 && source == last.from + last.count;
      if (joins) {
        last.count += whole;
        continue;
      }
    }
    runs_.push_back({static_cast<int64_t>(i) * to[inner], source, whole});
  }
  for (const size_t axis : order) {
    Level level{{}, to[axis]};
    for (const int64_t index : tables[axis])
      level.from.push_back(index < 0 ? int64_t{-1} : int64_t{index * from[axis]});
    levels_.push_back(std::move(level));
  }
}

template <typename T>
void AxisGather::walk(const T* in, T* out, T fill, size_t level) const {
  if (level == levels_.size()) {
    for (const Run& run : runs_) {
      if (in == nullptr || run.from < 0)
        std::fill_n(out + run.to, int64_t{run.count}, fill);
      else if (run.count == 1)
        out[run.to] = in[run.from];
      else
        std::memcpy(out + run.to, in + run.from, static_cast<size_t>(run.count) * sizeof(T));
    }
    return;
  }
  const Level& here = levels_[level];
  for (size_t i = 0; i < here.from.size(); ++i) {
    const T* source = in == nullptr || here.from[i] < 0 ? nullptr : in + here.from[i];
    walk(source, out + static_cast<int64_t>(i) * here.step, fill, level + 1);
  }
}

template <typename T>
void AxisGather::run_typed(const T* in, T* out, T fill, ThreadPool& pool) const {
  if (levels_.size() < 2) return walk(in, out, fill, 0);
  // The two outer axes of the output (images and rows) are shared out.
  const Level& first = levels_[0];
  const Level& second = levels_[1];
  const auto inner = static_cast<int64_t>(second.from.size());
  pool.parallel_for(static_cast<int64_t>(first.from.size()) * inner, 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t a = first.from[static_cast<size_t>(i / inner)];
      const int64_t b = second.from[static_cast<size_t>(i % inner)];
      const T* source = a < 0 || b < 0 ? nullptr : in + a + b;
      walk(source, out + i / inner * first.step + i % inner * second.step, fill, 2);
    }
  });
}

void AxisGather::run(const void* in, void* out, size_t element_bytes, const void* fill, ThreadPool& pool) const {
  if (element_bytes == 1) {
    run_typed(static_cast<const uint8_t*>(in), static_cast<uint8_t*>(out), *static_cast<const uint8_t*>(fill), pool);
  } else {
    run_typed(static_cast<const float*>(in), static_cast<float*>(out), *static_cast<const float*>(fill), pool);
  }
}

}  // namespace fewbins
