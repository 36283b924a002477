// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit sums on AMX: tdpbusd multiplies 16 rows by 16 columns over 64 depths (16,384 MACs in 16 cycles), sums
// modulo 2^32. Two tiles of rows and two of columns share four tiles of sums, so a step (64 depths x 32 columns x 32
// rows) is 4 tile loads and 4 tdpbusd; loads take half the time of the products, which bound it. Tested by emulation
// only (amx_tiles.h): no CPU with tiles was at hand.
//
// A tile load wants rows at a constant distance. Rows of a tap usually have one; where they do not, or where a step
// reaches past a tap, they are copied to a buffer first. The panel's quads follow each other over all taps, so steps do
// so too; the last step ends at the last quad and has zeros in place of rows where it overlaps the one before.
//
// Tiles: 0..3 the sums, 4 and 5 the rows, 6 and 7 the columns.
#include <string.h>

#include "kernels/dot32/amx_tiles.h"
#include "kernels/tasks.h"

namespace fewbins {
namespace {

constexpr size_t kMr = 32;
constexpr size_t kGroup = 16;                        // rows of one tile
constexpr size_t kStepQuads = 16;                    // of one tile
constexpr size_t kRunSteps = 8;                      // steps that are copied at once
constexpr size_t kCopyStride = 64 * kRunSteps + 64;  // not a power of two, which would crowd few sets of the cache

/// Rows as a tile load reads them.
struct TileRowsAt {
  const uint8_t* base;
  ptrdiff_t stride;
};

/// Rows `first` .. + count of tap `tap` from quad `quad` on, if their distance is constant.
bool find_stride(const GemmTask& task, size_t tap, size_t quad, size_t first, size_t count, TileRowsAt* at) {
  const void* const* rows = task.rows + tap * kMr + first;
  const auto distance = [&](size_t i) {
    return reinterpret_cast<intptr_t>(rows[i]) - reinterpret_cast<intptr_t>(rows[i - 1]);
  };
  const ptrdiff_t stride = count > 1 ? distance(1) : 0;
  for (size_t i = 2; i < count; ++i) {
    if (distance(i) != stride) return false;
  }
  *at = {static_cast<const uint8_t*>(rows[0]) + quad * 4, stride};
  return true;
}

/// Copies `quads` quads of one row, from flat quad `at` on, over as many taps as they reach.
void copy_row(const GemmTask& task, size_t row, size_t at, size_t quads, uint8_t* to) {
  size_t tap = at / task.depth;
  size_t quad = at % task.depth;
  while (quads > 0) {
    const size_t part = task.depth - quad < quads ? task.depth - quad : quads;
    const uint8_t* from = static_cast<const uint8_t*>(task.rows[tap * kMr + row]) + quad * 4;
    memcpy(to, from, part * 4);
    to += part * 4;
    quads -= part;
    quad = 0;
    ++tap;
  }
}

/// `steps` steps of all sums. `a` has the groups of rows. A function of its own, so that the loop has all registers.
template <size_t kNr, bool kTwoGroups>
[[gnu::noinline]] void run_steps(const TileRowsAt* a, const uint8_t* panel, size_t steps) {
  constexpr ptrdiff_t kPanelStride = kNr * 4;
  const uint8_t* a0 = a[0].base;
  const uint8_t* a1 = a[1].base;
  const ptrdiff_t stride0 = a[0].stride;
  const ptrdiff_t stride1 = a[1].stride;
  for (; steps > 0; --steps, panel += kStepQuads * kNr * 4) {
    FB_TILE_LOAD(4, a0, 0, stride0);
    FB_TILE_LOAD(6, panel, 0, kPanelStride);
    FB_TILE_DOT(0, 4, 6);
    if constexpr (kNr == 32) {
      FB_TILE_LOAD(7, panel, 64, kPanelStride);
      FB_TILE_DOT(1, 4, 7);
    }
    if constexpr (kTwoGroups) {
      FB_TILE_LOAD(5, a1, 0, stride1);
      FB_TILE_DOT(2, 5, 6);
      if constexpr (kNr == 32) FB_TILE_DOT(3, 5, 7);
    }
    a0 += 64;
    a1 += 64;
  }
}

template <size_t kNr, bool kTwoGroups>
void run_tile(const GemmTask& task, size_t m) {
  constexpr size_t kGroups = kTwoGroups ? 2 : 1;
  const size_t total = task.taps * task.depth;
  const size_t quads = total < kStepQuads ? total : kStepQuads;
  const size_t counts[2] = {kTwoGroups ? kGroup : m, kTwoGroups ? m - kGroup : 0};

  TileConfig config;
  for (size_t g = 0; g < kGroups; ++g) {
    for (size_t n = 0; n < kNr / 16; ++n) {
      config.rows[2 * g + n] = static_cast<uint8_t>(counts[g]);
      config.bytes[2 * g + n] = 64;
    }
    config.rows[4 + g] = static_cast<uint8_t>(counts[g]);
    config.bytes[4 + g] = static_cast<uint16_t>(quads * 4);
  }
  for (size_t n = 0; n < kNr / 16; ++n) {
    config.rows[6 + n] = static_cast<uint8_t>(quads);
    config.bytes[6 + n] = 64;
  }
  FB_TILE_CONFIG(config);  // zeroes the sums

  alignas(64) uint8_t copies[kGroups][kGroup * kCopyStride];
  const uint8_t* panel = static_cast<const uint8_t*>(task.panel);
  for (size_t at = 0; at < total;) {
    const size_t tap = at / task.depth;
    const size_t quad = at % task.depth;
    size_t steps = (task.depth - quad) / quads;  // that lie inside the tap
    const bool inside = steps > 0;
    if (!inside) steps = 1;
    TileRowsAt a[2] = {};
    bool copy[2] = {};
    for (size_t g = 0; g < kGroups; ++g) {
      copy[g] = !inside || !find_stride(task, tap, quad, g * kGroup, counts[g], &a[g]);
      if (copy[g] && steps > kRunSteps) steps = kRunSteps;
    }
    // Quads of the last step that the step before has done.
    const size_t done = at + quads > total ? at + quads - total : 0;
    for (size_t g = 0; g < kGroups; ++g) {
      if (!copy[g]) continue;
      for (size_t i = 0; i < counts[g]; ++i) {
        uint8_t* to = copies[g] + i * kCopyStride;
        memset(to, 0, done * 4);
        copy_row(task, g * kGroup + i, at, steps * quads - done, to + done * 4);
      }
      a[g] = {copies[g], kCopyStride};
    }
    run_steps<kNr, kTwoGroups>(a, panel + (at - done) * kNr * 4, steps);
    at += steps * quads - done;
  }

  int32_t* tile = static_cast<int32_t*>(task.tile);
  constexpr ptrdiff_t kTileStride = kNr * 4;
  FB_TILE_STORE(0, tile, kTileStride);
  if constexpr (kNr == 32) FB_TILE_STORE(1, tile + 16, kTileStride);
  if constexpr (kTwoGroups) {
    FB_TILE_STORE(2, tile + kGroup * kNr, kTileStride);
    if constexpr (kNr == 32) FB_TILE_STORE(3, tile + kGroup * kNr + 16, kTileStride);
  }
  FB_TILE_RELEASE();
}

template <size_t kNr>
void run_any(const GemmTask& task) {
  const size_t m = task.m != 0 ? task.m : kMr;
  if (m > kGroup) {
    run_tile<kNr, true>(task, m);
  } else {
    run_tile<kNr, false>(task, m);
  }
}

}  // namespace

void dot32_32x32k64__amx(const GemmTask& task) { run_any<32>(task); }
void dot32_32x16k64__amx(const GemmTask& task) { run_any<16>(task); }

}  // namespace fewbins
