// SPDX-License-Identifier: Apache-2.0
// NumPy's broadcasting of two or three operands: the walk over the output in its memory order.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {

inline constexpr size_t kMaxBroadcast = 3;
inline constexpr int64_t kBroadcastBlock = 512;  // elements of a line that are worked on together

// Steps of the operands along one axis of the output; 0 where an operand is broadcast.
struct BroadcastAxis {
  int64_t size = 1;
  std::array<int64_t, kMaxBroadcast> step{};
};

struct BroadcastState final : OpState {
  std::vector<BroadcastAxis> outer;  // in the output's memory order
  BroadcastAxis line;                // the innermost axis, contiguous in the output
  Size lines = 1;
};

// The shape that the operands broadcast to. Throws Error(shape) where they do not.
[[nodiscard]] Dims broadcast_dims(const NodeDef& node, std::span<const TensorDesc> in);

[[nodiscard]] std::unique_ptr<BroadcastState> prepare_broadcast(const PrepareArgs& args);

// Calls body(at, out, count) for runs of the output: `out` is the place of the first element, `at` those of the
// operands', which step by state.line.step.
template <class Body>
void for_each_run(const BroadcastState& state, ThreadPool& pool, const Body& body) {
  const int64_t blocks = ceil_div(state.line.size, kBroadcastBlock);
  const int64_t grain = std::max<int64_t>(1, 8192 / std::min(state.line.size, kBroadcastBlock));
  pool.parallel_for(state.lines * blocks, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t task = begin; task < end; ++task) {
      int64_t line = task / blocks;
      const int64_t first = task % blocks * kBroadcastBlock;
      const int64_t out = line * state.line.size + first;
      std::array<int64_t, kMaxBroadcast> at{};
      for (size_t i = 0; i < kMaxBroadcast; ++i) at[i] = first * state.line.step[i];
      for (size_t axis = state.outer.size(); axis-- > 0;) {
        const int64_t index = line % state.outer[axis].size;
        for (size_t i = 0; i < kMaxBroadcast; ++i) at[i] += index * state.outer[axis].step[i];
        line /= state.outer[axis].size;
      }
      body(at, out, std::min(kBroadcastBlock, state.line.size - first));
    }
  });
}

}  // namespace fewbins
