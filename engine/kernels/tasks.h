// SPDX-License-Identifier: Apache-2.0
// What a kernel is told to do: plain structs, shared by the engine and by the files compiled per instruction set.
// Only C headers here: an inline function of the C++ library compiled with AVX flags could be the copy that the linker
// keeps for everybody.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace fewbins {

// ---- matrix product over taps (indirect convolution; 1x1 convolution and Gemm are taps = 1) -------------------------

/// tile[i * nr + j] = sum over taps t, depths k of a(t, i)[k] * w[j][t][k], written, not added. Integer sums are modulo
/// 2^32. What the sum of each family lacks to be the accumulator of docs/numerics.md is folded_bias() in kernels.h.
struct GemmTask {
  /// rows[t * mr + i]: where tap t of tile row i starts. A caller with fewer than mr rows repeats the last one.
  /// u8 families read whole quads: up to 3 bytes past the channels, which only has to be readable memory. dot32_i16
  /// reads whole pairs: up to one int16 past the channels.
  const void* const* rows;
  size_t taps;
  size_t depth;       ///< per tap, rounded up: quads of channels for u8 families, pairs for dot32_i16; floats for f32
  const void* panel;  ///< one panel of nr columns as pack() lays it out, 64-byte aligned
  void* tile;         ///< mr x nr int32 or float, row-major, 64-byte aligned; overwritten
  size_t block;       ///< dot16: quads per block, from block_for(); ignored by the others
  size_t m = 0;       ///< rows that matter, 1..mr, 0 for all; rows of the tile past m are unspecified
};

// ---- depthwise: every channel has its own filter --------------------------------------------------------------------

/// out[p * out_stride + c] = sum over taps t of a(p, t)[c] * w[t][c]: u8 x s8 to exact int32, or float.
struct DepthwiseTask {
  const void* const*
      rows;  ///< rows[p * taps + t]: channel 0 of tap t of output pixel p; 64 bytes past the end readable
  size_t pixels;
  size_t taps;
  size_t channels;
  const void* weights;  ///< as pack_depthwise() lays it out, 64-byte aligned
  void* out;            ///< int32 or float, out_stride elements from pixel to pixel
  size_t out_stride;    ///< at least channels
};

// ---- exact Winograd: docs/numerics.md section 6; the forms are in winograd/forms.h
// --------------------------------------

/// V[position] of a run of tiles, B^T d B over u8 levels: every channel of every tile. Two-dimensional forms read tile
/// + 2 lines of pixels, row forms one.
struct WinogradInputTask {
  /// pixels[line * columns + x]: channel 0 of a pixel, 64 bytes past its channels readable. Tile t reads the tile + 2
  /// columns from t * tile on.
  const uint8_t* const* pixels;
  size_t columns;
  size_t tiles;
  size_t channels;
  int32_t lo;              ///< int16 forms: the level of u = 0
  const uint8_t* offsets;  ///< byte forms, per position: V = B^T u B + offset modulo 256
  /// position_bytes from position to position, tile_bytes (room for whole vectors of 64 bytes) from tile to tile.
  void* v;
  size_t tile_bytes;
  size_t position_bytes;
};

/// acc = (A^T M A + constant) / (odd * 2^shift) modulo 2^32, for a run of tiles.
struct WinogradOutputTask {
  const int32_t* sums;  ///< M: [position][tile][column], position_stride elements from position to position
  size_t position_stride;
  size_t tiles;
  size_t columns;            ///< a multiple of 4
  const int32_t* constants;  ///< [output of a tile][column]
  int32_t* acc;              ///< [line of the tile][output pixel][column]
  size_t line_stride;        ///< elements from line to line
};

// ---- from accumulators to the next tensor ---------------------------------------------------------------------------

/// What all rules share: v = rule(acc), u = clamp(v, clamp_lo, clamp_hi) + out_offset, stored as uint8, then looked up.
struct StoreU8 {
  int32_t clamp_lo;                ///< lo' - z
  int32_t clamp_hi;                ///< hi' - z
  int32_t out_offset;              ///< z - lo: u = q - lo
  const uint8_t* table = nullptr;  ///< 256 entries u -> u', or null
};

/// A line of outputs of a depthwise 3x3 convolution: output p and row r of the window read the pixels
/// first + stride * p to first + stride * p + 2 of lines[r]. Sums are those of DepthwiseTask; they are stored, or
/// requantized on the spot by the float rule.
struct DepthwiseLineTask {
  const uint8_t* lines[3];  ///< pixel 0 of each input line; 64 bytes past the end readable
  size_t steps[3];          ///< bytes from pixel to pixel; 0 where a line is padding
  const uint8_t* padding;   ///< a pixel of zero points, for pixels outside 0..width - 1
  size_t width;
  ptrdiff_t first;
  size_t stride;  ///< 1 or 2
  size_t pixels;
  size_t channels;
  const void* weights;  ///< as pack_depthwise() lays it out, 64-byte aligned
  int32_t* sums;        ///< [pixels][channels], where `out` is null
  uint8_t* out;         ///< [pixels][channels] levels
  const float* scales;  ///< with `out`: as pack_depthwise_scales() lays it out, 64-byte aligned
  StoreU8 store;        ///< with `out`; no table
};

/// A tile of int32 sums to u8 levels: docs/numerics.md section 4. Arrays per column have `cols` entries.
struct RequantizeTask {
  const int32_t* acc;
  size_t acc_stride;  ///< elements from row to row
  size_t rows;
  size_t cols;
  const int32_t* bias;  ///< added to acc modulo 2^32; null: nothing
  // float rule
  const float* m = nullptr;
  const float* m_neg = nullptr;  ///< used where acc + bias < 0; null: m everywhere
  // fixed rule: multiplier and exponent, (acc * fixed_m + 2^(e-1)) >> e, 1 <= e <= 62
  const int32_t* fixed_m = nullptr;
  const int32_t* fixed_e = nullptr;
  const int32_t* fixed_m_neg = nullptr;  ///< null: fixed_m and fixed_e everywhere
  const int32_t* fixed_e_neg = nullptr;
  // shift rule
  const int32_t* shift = nullptr;
  // second input, u8 rows; not together with m_neg
  const uint8_t* residual = nullptr;
  size_t residual_stride = 0;
  int32_t residual_offset = 0;                ///< lo_r - z_r, so that q_r - z_r = u_r + offset
  float residual_m = 0.0f;                    ///< float rule
  const int32_t* residual_fixed_m = nullptr;  ///< fixed rule, per column, at the exponent fixed_e
  int32_t residual_shift = 0;                 ///< shift rule; needs N - shift <= 31, N - residual_shift <= 52, N <= 62
  bool residual_negate = false;               ///< shift rule: subtract instead (the others have a sign in m)
  StoreU8 store;
  uint8_t* out;
  size_t out_stride;  ///< bytes from row to row
};

/// y = f32(f32(acc + bias) * m), then + residual, then clamp; to float32.
struct DequantizeTileTask {
  const int32_t* acc;
  size_t acc_stride;
  size_t rows;
  size_t cols;
  const int32_t* bias;  ///< null: nothing
  const float* m;
  const float* m_neg = nullptr;
  const float* residual = nullptr;
  size_t residual_stride = 0;
  float clamp_lo;  ///< -infinity: none. NaN stays NaN.
  float clamp_hi;
  float* out;
  size_t out_stride;
};

/// The end of a float product: y = acc + bias, then y * slope where y < 0, + residual, clamp.
struct FinishFloatTask {
  const float* acc;
  size_t acc_stride;
  size_t rows;
  size_t cols;
  const float* bias;             ///< null: nothing
  const float* slope = nullptr;  ///< per column; null: none
  const float* residual = nullptr;
  size_t residual_stride = 0;
  float clamp_lo;
  float clamp_hi;
  float* out;
  size_t out_stride;
};

/// u = clamp(rint(x / scale) + z, lo, hi) - lo; NaN gives z.
struct QuantizeTask {
  const float* x;
  size_t count;
  float scale;
  int32_t z;
  int32_t lo;
  int32_t hi;
  uint8_t* out;
};

/// The same from float planes (NCHW) to pixels (NHWC): out[p * out_channels + c] = quantize(x[c * plane_stride + p]).
/// Channels from `channels` to `out_channels` get the level zero point.
struct QuantizePlanesTask {
  const float* x;
  size_t plane_stride;  ///< floats from channel to channel
  size_t channels;
  size_t pixels;
  float scale;
  int32_t z;
  int32_t lo;
  int32_t hi;
  uint8_t* out;
  size_t out_channels;
};

/// y = f32(scale * f32(u + offset)), offset = lo - z.
struct DequantizeTask {
  const uint8_t* u;
  size_t count;
  float scale;
  int32_t offset;
  float* out;
};

/// Add, Sub and the lone requantization of u8 tensors: section 4 with acc = q_a - z_a and the residual b.
struct AddTask {
  const uint8_t* a;
  const uint8_t* b;  ///< null: no second input
  size_t count;
  int32_t a_offset;  ///< lo_a - z_a
  int32_t b_offset;
  float a_m = 0.0f;  ///< float rule
  float b_m = 0.0f;
  int32_t a_fixed_m = 0;  ///< fixed rule
  int32_t b_fixed_m = 0;
  int32_t fixed_e = 0;
  int32_t a_shift = 0;  ///< shift rule; the limits are those of RequantizeTask
  int32_t b_shift = 0;
  bool b_negate = false;  ///< shift rule: Sub
  StoreU8 store;
  uint8_t* out;
};

/// out[c] = max over rows r of rows[r][c]; count >= 1 rows.
struct MaxRowsTask {
  const uint8_t* const* rows;
  size_t row_count;
  size_t channels;
  uint8_t* out;
};

/// out[c] = sum over rows r of rows[r][c], exact below 2^31 / 255 rows; no rows give 0.
struct SumRowsTask {
  const uint8_t* const* rows;
  size_t row_count;
  size_t channels;
  int32_t* out;
};

/// Sums of doubles run in so many lanes: element k is added to lane k % 8 (docs/numerics.md, section 5).
inline constexpr size_t kSumLanes = 8;

/// lanes[(first + i) % 8] += x[i], or += (x[i] - mean[0])^2 where there is a mean; in double, i ascending.
struct SumLanesTask {
  const float* x;
  size_t count;
  size_t first;
  const double* mean;  ///< null: the sum itself
  double* lanes;
};

/// sums[i] += x[i], or += (x[i] - mean[i])^2 where there are means; in double.
struct SumRowTask {
  const float* x;
  size_t count;
  const double* mean;  ///< null: the sum itself
  double* sums;
};

/// out[i] = (x[i] - mean[i]) * factor[i] * scale[i] + bias[i] in double, rounded once; out may be x.
struct NormalizeTask {
  const float* x;
  size_t count;
  const double* mean;
  const double* factor;
  const float* scale;
  const float* bias;
  float* out;
};

/// sums[i][j] = sum over k < depth of rows[k][i] * columns[k][j] in double, k ascending, for a tile of 4 x 8.
inline constexpr size_t kProductRows = 4;
inline constexpr size_t kProductColumns = 8;
struct ProductF64Task {
  const double* rows;     ///< [depth][kProductRows]
  const double* columns;  ///< [depth][kProductColumns]
  size_t depth;
  double* sums;  ///< [kProductRows][kProductColumns]
};

/// out[i] = table[u[i]]; out may be u.
struct LookupTask {
  const uint8_t* u;
  size_t count;
  const uint8_t* table;
  uint8_t* out;
};

}  // namespace fewbins
