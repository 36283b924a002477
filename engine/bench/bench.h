// SPDX-License-Identifier: Apache-2.0
// Loops whose time is measured: one core's peaks, matrix products, convolutions. Each is built once and then called in
// short turns, so that a caller can interleave many of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernels.h"

namespace fewbins::bench {

/// Something to time. What it did and how much of it is known before the first call.
class Subject {
 public:
  Subject() = default;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  virtual ~Subject() = default;

  virtual void call() = 0;
  /// Empties the caches of weights, as other layers do at batch 1; not timed.
  virtual void cool() {}

  double macs = 0.0;      ///< multiply-adds of one call
  double bytes = 0.0;     ///< of memory that one call has to read: weights, or the buffer of a read
  std::string kernel;     ///< row of kernels.inc
  std::string form;       ///< what the operator did with it
  std::string mix;        ///< the instruction mix that bounds the kernel, see peaks.cpp; empty: none is known
  std::string mix_isa;    ///< and its instruction set
  std::size_t block = 0;  ///< quads per block of 16-bit sums, 0 for other sums
};

/// Milliseconds per call for about `seconds`, at least `least` values. Calls too short for the clock are timed in
/// groups of about 20 microseconds; cold ones each on its own, with cool() before it.
std::vector<double> time_calls(Subject& subject, double seconds, std::size_t least, bool cold = false);

/// How weights are drawn: Gaussian columns, each quantized by its own largest magnitude, as trained layers look; or
/// every weight at an end, which makes the blocks of 16-bit sums as short as they get.
enum class WeightShape : std::uint8_t { natural, worst };

/// Levels of both operands. Weights are in -weight..weight.
struct Bins {
  ActivationLevels levels;
  std::int32_t weight;
};

/// columns x depth weights, row after row.
std::vector<std::int8_t> draw_weights(std::size_t columns, std::size_t depth, std::int32_t magnitude,
                                      WeightShape shape);

// ---- peaks.cpp ------------------------------------------------------------------------------------------------------

/// An instruction mix that one core runs in registers, 64-bit x86 only.
struct Mix {
  const char* name;  ///< "fma", "madd16", ...
  Isa isa;
  const char* text;  ///< its instructions
};
std::vector<Mix> mixes();

/// A loop of the mix; `block`: quads between widenings for mix "dot16", 0: none. Throws Error(unsupported) for a mix
/// that there is none of, or that this machine does not run.
std::unique_ptr<Subject> make_peak(std::string_view mix, Isa isa, std::size_t block);

/// Fills in `mix` and `mix_isa` for a tile kernel.
void name_mix(const GemmKernel& kernel, Subject& subject);

/// Reads `bytes` of memory once per call, as four streams.
std::unique_ptr<Subject> make_read(std::size_t bytes);

// ---- gemm.cpp -------------------------------------------------------------------------------------------------------

struct GemmSetup {
  std::string kernel;  ///< a row by name, or empty: what the engine selects for `family` under `cap`
  Family family = Family::dot32;
  Isa cap = Isa::scalar;
  std::size_t m = 1;
  std::size_t n = 1;
  std::size_t k = 1;
  Bins bins{{-128, 127}, 127};
  WeightShape weights = WeightShape::natural;
  std::size_t block = 0;    ///< 0: what block_for() proves
  bool requantize = false;  ///< u8 levels instead of int32 sums
};
/// A product of row-major activations with packed weights. Throws Error(unsupported) where the kernel cannot do it.
std::unique_ptr<Subject> make_gemm(const GemmSetup& setup);

// ---- conv.cpp -------------------------------------------------------------------------------------------------------

struct ConvSetup {
  std::string kernel;  ///< a row to force, or empty
  Isa cap = Isa::scalar;
  std::int64_t height = 1;
  std::int64_t width = 1;
  std::int64_t channels = 1;
  std::int64_t columns = 1;
  std::int64_t window = 3;  ///< with half of it as padding, stride 1
  bool depthwise = false;
  bool is_float = false;
  Bins bins{{-128, 127}, 127};
  WeightShape weights = WeightShape::natural;
  std::size_t other_bytes = 0;  ///< weights of other layers, which the choice of a form looks at
};
/// The engine's operator Conv with requantization, batch 1, one thread.
std::unique_ptr<Subject> make_conv(const ConvSetup& setup);

}  // namespace fewbins::bench
