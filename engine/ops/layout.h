// SPDX-License-Identifier: Apache-2.0
// How logical (ONNX-ordered) tensors lie in memory, and copies between such layouts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/shape.h"

namespace fewbins {

class ThreadPool;

using Strides = std::array<Size, kMaxRank>;

// Strides of the logical axes, in elements. Rank-4 activations are NHWC: (N, C, H, W) steps by (HWC, 1, WC, C).
// All other ranks are row-major.
Strides memory_strides(const Dims& dims);

// Row-major strides for every rank: the order in which files, users and Reshape see elements.
Strides logical_strides(const Dims& dims);

// True where both layouts put the elements of `dims` in the same order (at most one of C and H*W above 1).
bool same_order(const Dims& dims);

// A box of elements to move: dst[sum(i * dst_strides)] = src[sum(i * src_strides)] for all index vectors i below
// `dims`. Strides count elements and may be negative or, in the source, zero.
struct CopyBox {
  Dims dims;
  Strides dst_strides{};
  Strides src_strides{};
};

// Moves elements of 1, 4 or 8 bytes (levels, float32, int64). The destination's elements are distinct, and source and
// destination do not overlap.
void copy_box(const CopyBox& box, void* dst, const void* src, size_t element_bytes, ThreadPool& pool);

}  // namespace fewbins
