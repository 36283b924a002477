// SPDX-License-Identifier: Apache-2.0
#include "kernels/costs.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <unordered_map>

#include "base/cpu_cache.h"
#include "base/cpu_name.h"

namespace fewbins {
namespace {

const NamedCost kDefaults[] = {
#define COST(name, step, row, block, call) {#name, {step, row, block, call}},
#include "kernels/costs.inc"
#undef COST
};

struct Table {
  std::unordered_map<std::string_view, KernelCost> costs;
  std::vector<NamedCost> measured;  // owns the names
  std::string source = "defaults";
};

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Table make_table() {
  Table table;
  for (const NamedCost& row : kDefaults) table.costs.emplace(row.name, row.cost);
  const std::string path = cost_file();
  if (path.empty()) return table;
  table.measured = costs_from_text(read_text(path));
  for (const NamedCost& row : table.measured) table.costs.insert_or_assign(row.name, row.cost);
  if (!table.measured.empty()) table.source = path;
  return table;
}

const Table& table() {
  static const Table kept = make_table();
  return kept;
}

/// Takes "name, 1.5, 2, 3, 4" apart.
std::optional<NamedCost> parse_cost(std::string_view text) {
  NamedCost row;
  double* const numbers[] = {&row.cost.step, &row.cost.row, &row.cost.block, &row.cost.call};
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos) return std::nullopt;
  row.name = text.substr(0, comma);
  text.remove_prefix(comma + 1);
  for (double* number : numbers) {
    text.remove_prefix(std::min(text.find_first_not_of(" ,"), text.size()));
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
    if (error != std::errc{} || !std::isfinite(*number) || *number < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  return row;
}

std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

}  // namespace

std::optional<KernelCost> find_cost(std::string_view name) {
  const auto found = table().costs.find(name);
  if (found == table().costs.end()) return std::nullopt;
  return found->second;
}

std::vector<NamedCost> known_costs() {
  std::vector<NamedCost> costs;
  for (const auto& [name, cost] : table().costs) costs.push_back({std::string(name), cost});
  std::ranges::sort(costs, {}, &NamedCost::name);
  return costs;
}

std::string cost_file() {
  std::string folder;
  if (const char* own = std::getenv("FEWBINS_CACHE_DIR"); own != nullptr && *own != '\0') {
    folder = own;
  } else if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0') {
    folder = std::string(cache) + "/fewbins";
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    folder = std::string(home) + "/.cache/fewbins";
  } else {
    return {};
  }
  std::string cpu = cpu_name();
  std::ranges::replace_if(cpu, [](unsigned char c) { return std::isalnum(c) == 0; }, '-');
  return folder + "/costs-" + cpu + ".inc";
}

std::string cost_source() { return table().source; }

std::string costs_to_text(const std::vector<NamedCost>& costs) {
  std::string text;
  for (const NamedCost& row : costs) {
    char line[200];
    std::snprintf(line, sizeof line, "COST(%s, %.4g, %.4g, %.4g, %.4g)\n", row.name.c_str(), row.cost.step,
                  row.cost.row, row.cost.block, row.cost.call);
    text += line;
  }
  return text;
}

std::vector<NamedCost> costs_from_text(std::string_view text) {
  std::vector<NamedCost> costs;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with("COST(") || !line.ends_with(")")) continue;
    if (auto row = parse_cost(line.substr(5, line.size() - 6))) costs.push_back(std::move(*row));
  }
  return costs;
}

std::optional<double> predict_gemm(const GemmKernel& kernel, const GemmProblem& problem) {
  const std::optional<KernelCost> cost = find_cost(kernel.name);
  if (!cost) return std::nullopt;
  const std::size_t depth = depth_of(kernel, problem.channels);
  const auto steps = static_cast<double>(problem.taps * depth);
  double blocks = 0;
  if (kernel.family == Family::dot16 && problem.block > 0) {
    blocks = static_cast<double>(problem.block < depth ? problem.taps * ceil_div(depth, problem.block)
                                                       : ceil_div(problem.taps * depth, problem.block));
  }
  const auto tile = [&](std::size_t m) {
    const auto rows = static_cast<double>(m);
    return cost->call + steps * (cost->step + rows * cost->row) + blocks * rows * cost->block;
  };
  const auto panels = static_cast<double>(ceil_div(problem.n, kernel.nr));
  if (problem.m == 0) return panels * tile(kernel.mr) / static_cast<double>(kernel.mr);
  const std::size_t rest = problem.m % kernel.mr;
  return panels * (static_cast<double>(problem.m / kernel.mr) * tile(kernel.mr) + (rest != 0 ? tile(rest) : 0.0));
}

std::optional<double> predict_transforms(const WinogradKernel& kernel, std::size_t tiles, std::size_t channels,
                                         std::size_t columns) {
  const std::optional<KernelCost> cost = find_cost(kernel.name);
  if (!cost) return std::nullopt;
  return static_cast<double>(tiles) *
         (cost->step * static_cast<double>(channels) + cost->row * static_cast<double>(columns));
}

double predict_cold_weights(std::size_t bytes, std::size_t model_bytes) {
  static const std::size_t cache = last_cache_bytes();
  const std::optional<KernelCost> cost = find_cost(model_bytes <= cache ? "weights_l3" : "weights_dram");
  return cost ? cost->step * static_cast<double>(bytes) : 0.0;
}

}  // namespace fewbins
