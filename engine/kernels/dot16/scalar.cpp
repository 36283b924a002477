// SPDX-License-Identifier: Apache-2.0
// Sums in 16-bit lanes that start at lo * sum(w) and are widened once per block, exactly as the fast rows do it: pairs
// saturate as pmaddubsw saturates them and lanes wrap as paddw wraps them, so a wrong proof shows here too. See
// README.md.
#include "kernels/tasks.h"

namespace fewbins {
namespace {

int32_t saturate16(int32_t x) {
  if (x > 32767) return 32767;
  return x < -32768 ? -32768 : x;
}

}  // namespace

void dot16_1x8k4__scalar(const GemmTask& task) {
  constexpr size_t kNr = 8;
  int32_t* tile = static_cast<int32_t*>(task.tile);
  const int8_t* panel = static_cast<const int8_t*>(task.panel);
  const size_t quads = task.taps * task.depth;
  uint32_t sums[kNr] = {};
  for (size_t first = 0; first < quads;) {
    // A block lies inside one tap, or is a whole number of taps.
    const size_t in_tap = first % task.depth;
    size_t end = first + task.block;
    if (task.block < task.depth && end > first - in_tap + task.depth) end = first - in_tap + task.depth;
    if (end > quads) end = quads;

    int16_t lanes[kNr][2];
    const int16_t* starts = reinterpret_cast<const int16_t*>(panel);
    for (size_t j = 0; j < kNr; ++j) {
      lanes[j][0] = starts[2 * j];
      lanes[j][1] = starts[2 * j + 1];
    }
    panel += kNr * 2 * sizeof(int16_t);
    for (; first < end; ++first) {
      const uint8_t* a = static_cast<const uint8_t*>(task.rows[first / task.depth]) + first % task.depth * 4;
      for (size_t j = 0; j < kNr; ++j, panel += 4) {
        for (size_t lane = 0; lane < 2; ++lane) {
          const int32_t pair = saturate16(a[2 * lane] * panel[2 * lane] + a[2 * lane + 1] * panel[2 * lane + 1]);
          lanes[j][lane] = static_cast<int16_t>(static_cast<uint16_t>(lanes[j][lane] + pair));
        }
      }
    }
    for (size_t j = 0; j < kNr; ++j) sums[j] += static_cast<uint32_t>(lanes[j][0] + lanes[j][1]);
  }
  for (size_t j = 0; j < kNr; ++j) tile[j] = static_cast<int32_t>(sums[j]);
}

}  // namespace fewbins
