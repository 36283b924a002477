// SPDX-License-Identifier: Apache-2.0
// What the engine sees of the kernels: rows, selection, packing and the proofs that a packing is exact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/cpu.h"
#include "kernels/tasks.h"

namespace fewbins {

enum class Family : std::uint8_t {
  f32,
  dot32,
  dot16,
  dot32_i16,  ///< int16 x int16, sums modulo 2^32: positions of Winograd forms that do not fit bytes
  u4,         ///< unsigned 4 bits, one 16-bit sum over the whole depth, which is 291 at most
  lut4,       ///< u8 x a 16-entry int8 table, weights stored as nibbles
  depthwise_f32,
  depthwise_dot32,
  depthwise_dot16,  ///< few bins: a whole window in 16 bits
  winograd,         ///< transforms
  elementwise,
};

const char* family_name(Family family);

/// exact: same bits as the reference on every CPU. reference: the plain code that the others are tested against.
/// short_blocks: the better tile of its family and set where blocks are short. The others explain themselves.
namespace kernel_flag {
inline constexpr unsigned exact = 1;
inline constexpr unsigned reference = 2;
inline constexpr unsigned short_blocks = 4;
inline constexpr unsigned few_rows = 8;  ///< for products of at most mr rows: weights stream from memory once
inline constexpr unsigned centred = 16;  ///< multiplies u - 128, starts of columns make up for it
}  // namespace kernel_flag

/// How weights lie in memory; panels of nr columns, each starting on 64 bytes, the last one padded with zero columns.
/// Q = ceil(channels / 4), depths past the channels have weight 0.
enum class Packer : std::uint8_t {
  columns,         ///< f32: [panel][tap][channel][nr] float
  quads,           ///< dot32: [panel][tap][Q][nr][4] int8
  quads16,         ///< dot32 on pmaddwd: [panel][tap][Q][2][nr][2] int16
  wide_quads,      ///< dot32 and dot32_i16 on SSSE3: [panel][tap][Q][nr][4] int16
  column_pairs,    ///< f32 on SSE: [panel][tap][ceil(channels / 2)][nr][2] float
  steps,           ///< dot16 on SSSE3: steps of ks depths, block lengths in the panel, see dot16/README.md
  pairs_i16,       ///< dot32_i16: [panel][tap][ceil(channels / 2)][nr][2] int16
  blocks,          ///< dot16: [panel][block]{ [nr][2] int16 lane starts, [quads of the block][nr][4] int8 }
  lanes16,         ///< dot32 on NEON: depths in lanes, see dot32/README.md
  started_quads,   ///< dot32 on SDOT: [panel]{ [nr] int32 starts, [tap][Q][nr][4] int8 }
  octets,          ///< dot32 on USMMLA: [panel][tap][ceil(channels / 8)][nr][8] int8
  lanes16_blocks,  ///< dot16 on NEON: depths in lanes, see dot16/README.md
  depth_pairs,   ///< dot16 on NEON, 24 x 8: [panel][block]{ [nr] int16 starts, [depths of the block / 2][nr][2] int8 }
  octet_parts,   ///< dot32, few rows: [panel]{ [nr] int32 starts, [tap][octet][4 parts][2][nr / 4][4] int8 }
  nibbles,       ///< lut4: [panel]{ 16-entry table 4 times, [nr] int32 starts, [tap][octet][nr][4] bytes of
                 ///< two indices: depth k of an octet low, depth k + 4 high }
  taps_f32,      ///< depthwise: [tap][channels padded to lanes] float
  taps_i8,       ///< depthwise: [tap][channels padded to lanes] int8
  tap_pairs,     ///< depthwise on pmaddwd: see depthwise_dot32/README.md
  tap_quads,     ///< depthwise on vpdpbusd: see depthwise_dot32/README.md
  taps_starts,   ///< depthwise_dot16: [channels] int16 starts, then [tap][channels] int8
  taps_centred,  ///< depthwise_dot16 on NEON: the same for products of u - 128, channels padded to lanes
  tap_bytes,     ///< depthwise_dot16 on pmaddubsw: see depthwise_dot16/README.md
};

// ---- tile kernels ---------------------------------------------------------------------------------------------------

struct GemmKernel {
  const char* name;
  Isa isa;
  Family family;
  std::size_t mr;
  std::size_t nr;
  std::size_t ks;
  Packer packer;
  std::int32_t max_product;
  unsigned flags;
  void (*run)(const GemmTask&);
};

/// What selection may look at. `block` is what block_for() gave for the weights (0: dot16 is not possible).
struct GemmProblem {
  std::size_t n = 1;
  std::size_t taps = 1;
  std::size_t channels = 1;
  std::size_t block = 0;
  std::size_t m = 0;  ///< rows of the whole product; 0: many, unknown
};

/// The lut4 row for a layer with weights of four bits, or null where bytes are better: where there are many rows, and
/// where decoding costs more than the memory that it saves.
const GemmKernel* select_lut4(Isa cap, const GemmProblem& problem, std::string_view forced = {});

/// The kernel for a problem: a pure function of its arguments and of the cost table. dot16 is a wish: where `block` is
/// 0, or the cap has an 8-bit dot product that is faster, the row returned is one of dot32, so look at its `family`.
/// `forced` names a row to take if it is in reach of `cap` and can do the problem; otherwise it is ignored. Throws
/// Error for a u4 problem deeper than u4 is (kernels/pack_u4.h).
const GemmKernel& select_gemm(Family family, Isa cap, const GemmProblem& problem, std::string_view forced = {});

/// Signed weights, row n is one output column: w[(n * taps + t) * channels + c].
struct WeightView {
  const std::int8_t* w;
  std::size_t n;
  std::size_t taps;
  std::size_t channels;
};

/// Levels of the activations as docs/numerics.md section 1 has them.
struct ActivationLevels {
  std::int32_t lo;
  std::int32_t hi;
};

/// Depth of one tap as GemmTask::depth counts it.
std::size_t depth_of(const GemmKernel& kernel, std::size_t channels);
/// Bytes of one panel of nr columns, a multiple of 64; panel p starts at p times this.
std::size_t panel_bytes(const GemmKernel& kernel, std::size_t taps, std::size_t channels, std::size_t block);
/// Bytes of all panels: ceil(n / nr) of them.
std::size_t packed_bytes(const GemmKernel& kernel, std::size_t n, std::size_t taps, std::size_t channels,
                         std::size_t block);
/// Packs int8 weights for a dot32, dot16 or u4 kernel; `out` has packed_bytes() bytes on a 64-byte border.
/// dot16: `block` is what block_for() gave. u4: throws Error for weights outside 0..15 and sums that may pass 16 bits.
void pack(const GemmKernel& kernel, const WeightView& weights, ActivationLevels levels, std::size_t block, void* out);
/// Packs float weights, w[(n * taps + t) * channels + c], for an f32 kernel.
void pack_f32(const GemmKernel& kernel, const float* w, std::size_t n, std::size_t taps, std::size_t channels,
              void* out);

/// Packs weights that are indices 0..15 into a table of 16 values -127..127, for a lut4 kernel:
/// indices[(n * taps + t) * channels + c].
void pack_lut4(const GemmKernel& kernel, const std::uint8_t* indices, const std::int8_t* table, std::size_t n,
               std::size_t taps, std::size_t channels, void* out);

/// Packs int16 weights, w[(n * taps + t) * channels + c], for a dot32_i16 kernel.
void pack_i16(const GemmKernel& kernel, const std::int16_t* w, std::size_t n, std::size_t taps, std::size_t channels,
              void* out);

/// Sum of the weights of every column, modulo 2^32.
void column_sums(const WeightView& weights, std::int32_t* sums);
/// The bias that turns a kernel's raw sum into the accumulator: acc = tile + folded_bias, all modulo 2^32.
/// dot32: tile = sum u*w, so b + (lo - z) * sum(w). dot16: tile = sum q*w, so b - z * sum(w).
std::int32_t folded_bias(Family family, std::int32_t bias, std::int32_t column_sum, std::int32_t lo, std::int32_t z);

/// The largest proven block, in quads, for these weights and activation levels; 0 if not even one quad fits, then use
/// dot32. A block up to one tap's quads divides the tap evenly where it can; a larger one is a whole number of taps.
std::size_t block_for(const WeightView& weights, ActivationLevels levels);

/// Proves the two conditions of docs/numerics.md section 3 for every block of every column of a packing with `block`:
/// each 16-bit lane has h_a * sum|w| <= 32767, each pair that pmaddubsw adds has
/// (bins_a - 1) * max(sum of positive w, -sum of negative w) <= 32767. False: that packing may overflow.
bool block_is_exact(const WeightView& weights, ActivationLevels levels, std::size_t block);

/// The same for the packer of a dot16 row: how products share lanes, and which instructions add them, is its own. The
/// two functions above are those of `Packer::blocks`.
std::size_t block_for(const GemmKernel& kernel, const WeightView& weights, ActivationLevels levels);
bool block_is_exact(const GemmKernel& kernel, const WeightView& weights, ActivationLevels levels, std::size_t block);

/// Family and block for a layer that asks for dot16: kernel and block together, block 0 for dot32.
struct GemmChoice {
  const GemmKernel* kernel;
  std::size_t block;
};
/// select_gemm() and block_for() in one call: `family` dot32 or dot16; `m` as in GemmProblem.
GemmChoice choose_gemm(Family family, Isa cap, const WeightView& weights, ActivationLevels levels,
                       std::string_view forced = {}, std::size_t m = 0);

// ---- depthwise kernels ----------------------------------------------------------------------------------------------

struct DepthwiseKernel {
  const char* name;
  Isa isa;
  Family family;
  std::size_t lanes;
  Packer packer;
  unsigned flags;
  void (*run)(const DepthwiseTask&);
};

struct DepthwiseLineKernel {
  const char* name;
  Isa isa;
  Family family;
  unsigned flags;
  void (*run)(const DepthwiseLineTask&);
};

/// The newest row of a family; dot32 sums are sum u*w, dot16 ones sum q*w: fold the bias as for those families.
const DepthwiseKernel& select_depthwise(Family family, Isa cap, std::string_view forced = {});
/// The row that computes whole lines of 3x3 windows from the weights packed for `kernel`, or null.
const DepthwiseLineKernel* find_line_kernel(const DepthwiseKernel& kernel);
/// Proves that a whole window fits 16 bits, for every channel from its actual weights: (hi or -lo) * sum|w| <= 32767,
/// and every pair of taps that pmaddubsw adds stays within 16 bits, as block_is_exact() has it.
bool depthwise_fits16(const std::int8_t* w, std::size_t taps, std::size_t channels, ActivationLevels levels);
std::size_t packed_depthwise_bytes(const DepthwiseKernel& kernel, std::size_t taps, std::size_t channels);
/// Weights w[c * taps + t], as ONNX stores (C, 1, kH, kW). `out` on a 64-byte border. dot16 alone looks at `levels`.
void pack_depthwise(const DepthwiseKernel& kernel, const std::int8_t* w, std::size_t taps, std::size_t channels,
                    void* out, ActivationLevels levels = {0, 0});
void pack_depthwise_f32(const DepthwiseKernel& kernel, const float* w, std::size_t taps, std::size_t channels,
                        void* out);

/// Whether line kernels may requantize sums of at most 2^15 in magnitude: acc = sum + bias is a float without rounding,
/// and acc * m an int32.
bool depthwise_is_direct(const std::int32_t* bias, const float* m, std::size_t channels);
std::size_t depthwise_scales_bytes(const DepthwiseKernel& kernel, std::size_t channels);
/// Folded biases and multipliers for DepthwiseLineTask::scales.
void pack_depthwise_scales(const DepthwiseKernel& kernel, const std::int32_t* bias, const float* m,
                           std::size_t channels, void* out);

// ---- Winograd transforms --------------------------------------------------------------------------------------------

/// Forms of stride-1 3x3 convolutions, in the order of kWinograd in winograd/forms.h: outputs per tile, then the lanes
/// that V and U fit. f2 and f4 transform along rows only.
enum class WinogradForm : std::uint8_t { f2x2_i8, f2x2_i16, f4x4_i16, f2_i8, f4_i8 };
inline constexpr std::size_t kWinogradForms = 5;

struct WinogradKernel {
  const char* name;
  Isa isa;
  WinogradForm form;
  unsigned flags;
  void (*input)(const WinogradInputTask&);
  void (*output)(const WinogradOutputTask&);
};
const WinogradKernel& select_winograd(WinogradForm form, Isa cap);

// ---- elementwise kernels --------------------------------------------------------------------------------------------

/// The elementwise kernels of one instruction set; each operation is bit-equal on all of them.
struct ElementwiseKernels {
  Isa isa;
  void (*requantize_float)(const RequantizeTask&);
  void (*requantize_fixed)(const RequantizeTask&);
  void (*requantize_shift)(const RequantizeTask&);
  void (*dequantize_tile)(const DequantizeTileTask&);
  void (*finish_float)(const FinishFloatTask&);
  void (*quantize)(const QuantizeTask&);
  void (*quantize_planes)(const QuantizePlanesTask&);
  void (*dequantize)(const DequantizeTask&);
  void (*add_float)(const AddTask&);
  void (*add_fixed)(const AddTask&);
  void (*add_shift)(const AddTask&);
  void (*max_rows)(const MaxRowsTask&);
  void (*sum_rows)(const SumRowsTask&);
  void (*lookup)(const LookupTask&);
  void (*sum_lanes)(const SumLanesTask&);
  void (*sum_row)(const SumRowTask&);
  void (*normalize)(const NormalizeTask&);
  void (*product_f64)(const ProductF64Task&);
};
const ElementwiseKernels& select_elementwise(Isa cap);

// ---- the registry ---------------------------------------------------------------------------------------------------

struct KernelRow {
  const char* name;
  Family family;
  Isa isa;
  unsigned flags;
};
/// Every row of kernels.inc, whatever this CPU can run.
std::span<const KernelRow> kernel_rows();
std::span<const GemmKernel> gemm_kernels();
std::span<const DepthwiseKernel> depthwise_kernels();
std::span<const DepthwiseLineKernel> depthwise_line_kernels();
std::span<const WinogradKernel> winograd_kernels();
std::span<const ElementwiseKernels> elementwise_kernels();
/// The row of that name, or null: how a caller checks FEWBINS_KERNEL before it forces it.
const KernelRow* find_kernel(std::string_view name);

}  // namespace fewbins
