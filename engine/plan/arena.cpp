// SPDX-License-Identifier: Apache-2.0
#include "plan/arena.h"

#include <algorithm>
#include <numeric>

#include "base/aligned.h"
#include "base/error.h"

namespace fewbins {
namespace {

size_t padded(size_t bytes) { return memory_size(round_up(bytes, kAlignment)); }

}  // namespace

size_t plan_arena(std::vector<Lifetime>& pieces, uint64_t limit) {
  std::vector<size_t> order(pieces.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return pieces[a].bytes > pieces[b].bytes; });

  std::vector<size_t> placed;  // by offset
  placed.reserve(pieces.size());
  size_t total = 0;
  for (const size_t index : order) {
    Lifetime& piece = pieces[index];
    if (piece.bytes == 0) break;  // nothing to place, here and after
    if (piece.bytes > limit)
      fail(ErrorCode::out_of_memory, "a tensor of ", piece.bytes, " bytes is over the limit of ", limit);
    const size_t need = padded(piece.bytes);
    size_t end = 0;  // of the occupied memory so far
    size_t best = SIZE_MAX;
    size_t best_gap = SIZE_MAX;
    for (const size_t other : placed) {
      const Lifetime& taken = pieces[other];
      if (taken.last < piece.first || piece.last < taken.first) continue;
      if (taken.offset >= end + need && taken.offset - end < best_gap) {
        best = end;
        best_gap = taken.offset - end;
      }
      end = std::max(end, taken.offset + padded(taken.bytes));
    }
    piece.offset = best == SIZE_MAX ? end : best;
    total = std::max(total, piece.offset + need);
    if (total > limit)
      fail(ErrorCode::out_of_memory, "the activations need more than the limit of ", limit,
           " bytes; use a smaller batch or image");
    const auto at = std::ranges::upper_bound(placed, piece.offset, {}, [&](size_t i) { return pieces[i].offset; });
    placed.insert(at, index);
  }
  return total + kReadPadding;
}

}  // namespace fewbins
