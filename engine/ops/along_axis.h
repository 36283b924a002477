// SPDX-License-Identifier: Apache-2.0
// The walk over all rows of a tensor along one axis: for operators that look at a row as a whole.
#pragma once

#include <cstdint>
#include <vector>

#include "base/thread_pool.h"
#include "ops/layout.h"
#include "ops/op.h"

namespace fewbins {

struct AlongAxisState final : OpState {
  struct Kept {
    int64_t size = 1;
    int64_t in = 0;  // steps, in elements
    int64_t out = 0;
  };
  std::vector<Kept> kept;  // all axes but the one
  Size rows = 1;
  int64_t length = 1;    // of a row
  int64_t in_step = 1;   // between neighbours of a row
  int64_t out_step = 1;  // the same in the output, where the axis is still there
};

// `keepdims`: the output has the axis too, of whatever size.
inline std::unique_ptr<AlongAxisState> prepare_along_axis(const Dims& from, const Dims& to, int axis, bool keepdims) {
  auto state = std::make_unique<AlongAxisState>();
  const Strides in = memory_strides(from);
  const Strides out = memory_strides(to);
  size_t place = 0;
  for (int i = 0; i < from.rank; ++i) {
    const auto at = static_cast<size_t>(i);
    if (i == axis) {
      state->length = from[i];
      state->in_step = in[at];
      if (keepdims) state->out_step = out[place++];
      continue;
    }
    state->kept.push_back({from[i], in[at], out[place++]});
    state->rows *= state->kept.back().size;
  }
  return state;
}

// Calls body(in, out, slot) with the places of the first elements of each row.
template <class Body>
void for_each_row(const AlongAxisState& state, ThreadPool& pool, const Body& body) {
  const int64_t grain = std::max<int64_t>(1, 8192 / state.length);
  pool.parallel_for(state.rows, grain, [&](int64_t begin, int64_t end, int slot) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t rest = row;
      int64_t in = 0;
      int64_t out = 0;
      for (size_t i = state.kept.size(); i-- > 0;) {
        const AlongAxisState::Kept& axis = state.kept[i];
        in += rest % axis.size * axis.in;
        out += rest % axis.size * axis.out;
        rest /= axis.size;
      }
      body(in, out, slot);
    }
  });
}

}  // namespace fewbins
