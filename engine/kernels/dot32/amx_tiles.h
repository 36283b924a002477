// SPDX-License-Identifier: Apache-2.0
// The tile instructions that the AMX kernel uses, under names of our own. With FEWBINS_EMULATE_AMX they are plain code,
// strict about what the processor would refuse, so that the kernel is tested where no CPU has tiles. The real ones are
// assembly: the intrinsics of GCC 12 do not tell the compiler that a tile load reads memory.
//
// FB_TILE_CONFIG(config)                 shapes of the eight tiles; all of them become zero
// FB_TILE_LOAD(tile, base, at, stride)   row i from base + at + i * stride
// FB_TILE_STORE(tile, base, stride)
// FB_TILE_DOT(sums, a, b)                sums[m][n] += sum over k of u8 a[m][k] * s8 b[k / 4][4 n + k % 4], modulo 2^32
// FB_TILE_RELEASE()
// Tiles and `at` are written as numbers.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace fewbins {
namespace {

/// What ldtilecfg reads.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes[16] = {};  ///< of a row of each tile, at most 64; 0 and 0 rows: a tile that is not used
  uint8_t rows[16] = {};    ///< at most 16
};
static_assert(sizeof(TileConfig) == 64);

}  // namespace
}  // namespace fewbins

#if defined(FEWBINS_EMULATE_AMX)

#include <stdlib.h>
#include <string.h>

namespace fewbins {
namespace {

struct EmulatedTiles {
  bool configured = false;
  TileConfig shape;
  uint8_t data[8][16][64];

  /// Where the processor would raise a fault.
  static void require(bool holds) {
    if (!holds) abort();
  }
  void configure(const TileConfig& config) {
    require(config.palette == 1 && config.start_row == 0);
    for (size_t t = 0; t < 16; ++t) {
      require(config.rows[t] <= 16 && config.bytes[t] <= 64);
      require((config.rows[t] == 0) == (config.bytes[t] == 0) && (t < 8 || config.rows[t] == 0));
    }
    configured = true;
    shape = config;
    memset(data, 0, sizeof data);
  }
  void load(size_t tile, const void* base, ptrdiff_t stride) {
    require(configured && shape.rows[tile] != 0);
    memset(data[tile], 0, sizeof data[tile]);
    for (ptrdiff_t i = 0; i < shape.rows[tile]; ++i) {
      memcpy(data[tile][i], static_cast<const char*>(base) + i * stride, shape.bytes[tile]);
    }
  }
  void store(size_t tile, void* base, ptrdiff_t stride) const {
    require(configured && shape.rows[tile] != 0);
    for (ptrdiff_t i = 0; i < shape.rows[tile]; ++i) {
      memcpy(static_cast<char*>(base) + i * stride, data[tile][i], shape.bytes[tile]);
    }
  }
  void dot(size_t sums, size_t a, size_t b) {
    require(configured && sums != a && sums != b && a != b);
    require(shape.rows[sums] != 0 && shape.rows[sums] == shape.rows[a] && shape.bytes[sums] == shape.bytes[b]);
    require(shape.bytes[a] == 4 * shape.rows[b] && shape.bytes[b] % 4 == 0);
    for (size_t m = 0; m < shape.rows[sums]; ++m) {
      for (size_t n = 0; n < shape.bytes[b] / 4u; ++n) {
        uint32_t sum;
        memcpy(&sum, &data[sums][m][4 * n], sizeof sum);
        for (size_t k = 0; k < shape.bytes[a]; ++k) {
          sum += static_cast<uint32_t>(data[a][m][k] * static_cast<int8_t>(data[b][k / 4][4 * n + k % 4]));
        }
        memcpy(&data[sums][m][4 * n], &sum, sizeof sum);
      }
    }
  }
  void release() { configured = false; }
};

EmulatedTiles emulated_tiles;

}  // namespace
}  // namespace fewbins

#define FB_TILE_CONFIG(config) emulated_tiles.configure(config)
#define FB_TILE_LOAD(tile, base, at, stride) emulated_tiles.load(tile, (base) + (at), stride)
#define FB_TILE_STORE(tile, base, stride) emulated_tiles.store(tile, base, stride)
#define FB_TILE_DOT(sums, a, b) emulated_tiles.dot(sums, a, b)
#define FB_TILE_RELEASE() emulated_tiles.release()

#else

#define FB_TILE_CONFIG(config) __asm__ volatile("ldtilecfg %0" : : "m"(config))
#define FB_TILE_LOAD(tile, base, at, stride) \
  __asm__ volatile("tileloadd " #at "(%0,%1,1),%%tmm" #tile : : "r"(base), "r"(stride) : "memory")
#define FB_TILE_STORE(tile, base, stride) \
  __asm__ volatile("tilestored %%tmm" #tile ",(%0,%1,1)" : : "r"(base), "r"(stride) : "memory")
#define FB_TILE_DOT(sums, a, b) __asm__ volatile("tdpbusd %%tmm" #b ",%%tmm" #a ",%%tmm" #sums : : :)
#define FB_TILE_RELEASE() __asm__ volatile("tilerelease" : : : "memory")

#endif
