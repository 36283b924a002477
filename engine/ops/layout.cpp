// SPDX-License-Identifier: Apache-2.0
#include "ops/layout.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/thread_pool.h"

namespace fewbins {

Strides logical_strides(const Dims& dims) {
  Strides strides{};
  Size step = 1;
  for (int axis = dims.rank - 1; axis >= 0; --axis) {
    const auto i = static_cast<size_t>(axis);
    strides[i] = step;
    step *= dims.d[i];
  }
  return strides;
}

Strides memory_strides(const Dims& dims) {
  if (dims.rank != 4) return logical_strides(dims);
  const Size c = dims.d[1];
  const Size h = dims.d[2];
  const Size w = dims.d[3];
  return {h * w * c, 1, w * c, c};
}

bool same_order(const Dims& dims) { return dims.rank != 4 || dims.d[1] == 1 || dims.d[2] * dims.d[3] == 1; }

namespace {

// One axis of a copy loop.
struct Axis {
  int64_t size;
  int64_t dst;
  int64_t src;
};

struct Loops {
  std::array<Axis, 8> axes{};
  size_t count = 0;
};

// Outermost first in the destination's order, without axes of size 1, neighbours that step alike merged.
Loops normalise(const CopyBox& box) {
  Loops sorted;
  for (int axis = 0; axis < box.dims.rank; ++axis) {
    const auto i = static_cast<size_t>(axis);
    if (box.dims.d[i] != 1) sorted.axes[sorted.count++] = {box.dims.d[i], box.dst_strides[i], box.src_strides[i]};
  }
  std::stable_sort(sorted.axes.begin(), sorted.axes.begin() + static_cast<std::ptrdiff_t>(sorted.count),
                   [](const Axis& a, const Axis& b) { return std::abs(a.dst) > std::abs(b.dst); });
  Loops merged;
  for (size_t i = 0; i < sorted.count; ++i) {
    const Axis& axis = sorted.axes[i];
    if (merged.count > 0) {
      Axis& last = merged.axes[merged.count - 1];
      if (last.dst == Size(axis.dst) * axis.size && last.src == Size(axis.src) * axis.size) {
        last = {Size(last.size) * axis.size, axis.dst, axis.src};
        continue;
      }
    }
    merged.axes[merged.count++] = axis;
  }
  if (merged.count == 0) merged.axes[merged.count++] = {1, 1, 1};
  return merged;
}

template <typename T>
void copy_line(T* dst, const T* src, const Axis& axis) {
  if (axis.dst == 1 && axis.src == 1) {
    std::memcpy(dst, src, static_cast<size_t>(axis.size) * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < axis.size; ++i) dst[i * axis.dst] = src[i * axis.src];
}

// Two innermost axes; in squares where the source's fast axis is the outer one, so that both sides stay in cache.
template <typename T>
void copy_plane(T* dst, const T* src, const Axis& outer, const Axis& inner) {
  constexpr int64_t kSquare = 32;
  if (std::abs(outer.src) >= std::abs(inner.src)) {
    for (int64_t i = 0; i < outer.size; ++i) copy_line(dst + i * outer.dst, src + i * outer.src, inner);
    return;
  }
  for (int64_t i0 = 0; i0 < outer.size; i0 += kSquare) {
    const int64_t i1 = std::min(i0 + kSquare, outer.size);
    for (int64_t j0 = 0; j0 < inner.size; j0 += kSquare) {
      const int64_t j1 = std::min(j0 + kSquare, inner.size);
      for (int64_t i = i0; i < i1; ++i)
        for (int64_t j = j0; j < j1; ++j) dst[i * outer.dst + j * inner.dst] = src[i * outer.src + j * inner.src];
    }
  }
}

template <typename T>
void copy_loops(T* dst, const T* src, const Loops& loops, size_t depth) {
  const Axis& axis = loops.axes[depth];
  if (depth + 1 == loops.count) return copy_line(dst, src, axis);
  if (depth + 2 == loops.count) return copy_plane(dst, src, axis, loops.axes[depth + 1]);
  for (int64_t i = 0; i < axis.size; ++i) copy_loops(dst + i * axis.dst, src + i * axis.src, loops, depth + 1);
}

template <typename T>
void copy_typed(const Loops& loops, T* dst, const T* src, ThreadPool& pool) {
  constexpr int64_t kSmall = 16384;
  Size total = 1;
  for (size_t i = 0; i < loops.count; ++i) total *= loops.axes[i].size;
  const Axis outer = loops.axes[0];
  if (total < kSmall) return copy_loops(dst, src, loops, 0);
  const int64_t grain = std::max<int64_t>(1, Size(kSmall) * outer.size / total);
  pool.parallel_for(outer.size, grain, [&](int64_t begin, int64_t end, int) {
    Loops part = loops;
    part.axes[0].size = end - begin;
    copy_loops(dst + begin * outer.dst, src + begin * outer.src, part, 0);
  });
}

}  // namespace

void copy_box(const CopyBox& box, void* dst, const void* src, size_t element_bytes, ThreadPool& pool) {
  if (box.dims.count() == 0) return;
  const Loops loops = normalise(box);
  if (element_bytes == 1)
    copy_typed(loops, static_cast<uint8_t*>(dst), static_cast<const uint8_t*>(src), pool);
  else if (element_bytes == 8)
    copy_typed(loops, static_cast<uint64_t*>(dst), static_cast<const uint64_t*>(src), pool);
  else
    copy_typed(loops, static_cast<uint32_t*>(dst), static_cast<const uint32_t*>(src), pool);
}

}  // namespace fewbins
