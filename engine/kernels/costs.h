// SPDX-License-Identifier: Apache-2.0
// What kernels cost on this CPU: the numbers by which rows, blocks and forms are chosen. A choice never changes an
// integer, only the time that it takes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/kernels.h"

namespace fewbins {

/// Picoseconds. Tile kernels: a call takes `call`, a step of `m` rows `step + m * row`, the end of a block `m * block`;
/// a step is one quad, pair or float of depth (GemmTask::depth counts them). Winograd transforms: `step` per channel of
/// a tile for the input, `row` per column of a tile for the output. "weights_l3" and "weights_dram": `step` per byte of
/// weights that comes from there instead of a nearer cache.
struct KernelCost {
  double step = 0;
  double row = 0;
  double block = 0;
  double call = 0;
};

struct NamedCost {
  std::string name;
  KernelCost cost;
};

/// The cost of a row of kernels.inc: measured on this CPU (`fewbins doctor --calibrate-cost`), else the default that
/// came with the engine, else nothing. Read once per process.
std::optional<KernelCost> find_cost(std::string_view name);

/// All of them, by name.
std::vector<NamedCost> known_costs();

/// Where a table measured on this CPU is kept: FEWBINS_CACHE_DIR, else fewbins in the user's cache folder. Empty where
/// there is neither.
std::string cost_file();
/// That file if the process uses it, else "defaults".
std::string cost_source();

/// A table as text, one `COST(name, step, row, block, call)` a line: costs.inc and the measured file have this form.
std::string costs_to_text(const std::vector<NamedCost>& costs);
/// Reads it back; lines that are no COST line of four finite numbers >= 0 are left out.
std::vector<NamedCost> costs_from_text(std::string_view text);

/// Predicted picoseconds of a product on one core, weights in cache; nothing where the row has no cost.
/// `problem.m` = 0: per row, in full tiles.
std::optional<double> predict_gemm(const GemmKernel& kernel, const GemmProblem& problem);

/// Predicted picoseconds of both transforms of a form; nothing where the row has no cost.
std::optional<double> predict_transforms(const WinogradKernel& kernel, std::size_t tiles, std::size_t channels,
                                         std::size_t columns);

/// Predicted picoseconds for bringing a layer's weights into the near caches, as at every inference of batch 1.
/// `model_bytes`: what all layers of the model have, which decides from where they come.
double predict_cold_weights(std::size_t bytes, std::size_t model_bytes);

}  // namespace fewbins
