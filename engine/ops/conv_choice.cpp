// SPDX-License-Identifier: Apache-2.0
#include "ops/conv_choice.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "kernels/costs.h"
#include "kernels/winograd/forms.h"

namespace fewbins {
namespace {

constexpr std::size_t kFreeSize = 28;

std::size_t size_or_guess(std::int64_t size) { return size > 0 ? static_cast<std::size_t>(size) : kFreeSize; }

std::size_t tiles_of(const WinogradMatrices& form, const ConvSize& size) {
  const std::size_t across = (size.width + form.tile - 1) / form.tile;
  return across * (form.two_d ? (size.height + form.tile - 1) / form.tile : size.height);
}

// A form has to be predicted this much faster than the direct product: the prediction is no better (7x7x512 on VNNI is
// predicted 7 % faster and is 10 % slower).
constexpr double kMargin = 0.9;

std::optional<WinogradWeights> weights_for(const WinogradKernel& transforms, const OpContext& context,
                                           const ConvParts& parts) {
  return WinogradWeights::make(transforms.form, context.isa,
                               {parts.weights.integers.data(), static_cast<std::size_t>(parts.shape.columns),
                                static_cast<std::size_t>(parts.shape.channels)},
                               {parts.input.lo, parts.input.hi}, context.budget);
}

std::optional<double> predict_winograd(const WinogradKernel& transforms, const std::vector<WinogradPosition>& positions,
                                       const ConvSize& size) {
  const WinogradMatrices& form = matrices_of(transforms.form);
  const std::size_t tiles = tiles_of(form, size);
  std::optional<double> total = predict_transforms(transforms, tiles, size.channels, size.columns);
  std::size_t bytes = 0;
  for (const WinogradPosition& position : positions) {
    const std::optional<double> product =
        predict_gemm(*position.kernel, {size.columns, form.taps(), size.channels, position.block, tiles});
    if (!total || !product) return std::nullopt;
    *total += *product;
    bytes += packed_bytes(*position.kernel, size.columns, form.taps(), size.channels, position.block);
  }
  if (!total) return std::nullopt;
  const std::size_t growth = bytes / (size.columns * 9 * size.channels) + 1;
  return *total + predict_cold_weights(bytes, growth * size.model_bytes);
}

// Before the weights have been transformed: byte forms in blocks as long as the depth.
std::optional<double> predict_at_best(const WinogradKernel& transforms, Isa isa, const ConvSize& size) {
  const WinogradMatrices& form = matrices_of(transforms.form);
  const std::size_t quads = form.taps() * ((size.channels + 3) / 4);
  const GemmProblem problem{size.columns, form.taps(), size.channels, form.bytes ? quads : 0, tiles_of(form, size)};
  const GemmKernel& kernel = select_gemm(form.bytes ? Family::dot16 : Family::dot32_i16, isa, problem);
  const WinogradPosition position{.kernel = &kernel, .block = kernel.family == Family::dot16 ? quads : 0};
  return predict_winograd(transforms, std::vector<WinogradPosition>(form.positions(), position), size);
}

struct Fastest {
  std::optional<WinogradChoice> form;  // nothing: the direct product
  double cost;
};

// Transforming weights for a form takes time at load, so forms are tried in the order of what they could reach at best.
std::optional<Fastest> fastest(const OpContext& context, const ConvParts& parts, const ConvSize& size) {
  const std::optional<double> direct = predict_direct(context, parts, size);
  if (!direct) return std::nullopt;
  Fastest best{std::nullopt, *direct};
  if (!has_winograd_window(parts)) return best;
  std::vector<std::pair<double, const WinogradKernel*>> forms;
  for (std::size_t form = 0; form < kWinogradForms; ++form) {
    const WinogradKernel& transforms = select_winograd(static_cast<WinogradForm>(form), context.isa);
    if (const auto cost = predict_at_best(transforms, context.isa, size)) forms.emplace_back(*cost, &transforms);
  }
  std::ranges::sort(forms);
  double least = kMargin * *direct;
  for (const auto& [at_best, transforms] : forms) {
    if (at_best >= least) break;
    std::optional<WinogradWeights> weights = weights_for(*transforms, context, parts);
    const std::optional<double> cost =
        weights ? predict_winograd(*transforms, weights->positions(), size) : std::nullopt;
    if (!cost || *cost >= least) continue;
    least = *cost;
    best = {WinogradChoice{transforms, std::move(*weights)}, *cost};
  }
  return best;
}

}  // namespace

ConvSize declared_size(const NodeDef& node, const OpContext& context, const ConvParts& parts) {
  const Dims& to = context.desc(node.outputs.front()).dims;
  ConvSize size{.height = size_or_guess(to[2]),
                .width = size_or_guess(to[3]),
                .channels = static_cast<std::size_t>(parts.shape.channels),
                .columns = static_cast<std::size_t>(parts.shape.columns)};
  for (const auto& [name, constant] : context.model.constants) size.model_bytes += constant.bytes;
  return size;
}

bool has_winograd_window(const ConvParts& parts) {
  using Pair = std::array<Size, 2>;
  return parts.shape.groups == 1 && parts.window.kernel == Pair{3, 3} && parts.window.strides == Pair{1, 1} &&
         parts.window.dilations == Pair{1, 1};
}

std::optional<double> predict_direct(const OpContext& context, const ConvParts& parts, const ConvSize& size) {
  // The operator orders its weights by taps; blocks are about as long in the order of the file.
  const auto taps = static_cast<std::size_t>(parts.shape.taps);
  const WeightView view{parts.weights.integers.data(), size.columns, taps, size.channels};
  const GemmChoice choice =
      choose_gemm(Family::dot16, context.isa, view, {parts.input.lo, parts.input.hi}, {}, size.height * size.width);
  const std::optional<double> product =
      predict_gemm(*choice.kernel, {size.columns, taps, size.channels, choice.block, size.height * size.width});
  if (!product) return std::nullopt;
  const std::size_t bytes = packed_bytes(*choice.kernel, size.columns, taps, size.channels, choice.block);
  const std::size_t growth = bytes / (size.columns * taps * size.channels) + 1;
  return *product + predict_cold_weights(bytes, growth * size.model_bytes);
}

std::optional<WinogradChoice> choose_winograd(const OpContext& context, const ConvParts& parts, const ConvSize& size) {
  for (const WinogradKernel& transforms : winograd_kernels()) {
    if (transforms.name != context.forced_kernel || !isa_includes(context.isa, transforms.isa)) continue;
    if (auto weights = weights_for(transforms, context, parts)) return WinogradChoice{&transforms, std::move(*weights)};
  }
  std::optional<Fastest> best = fastest(context, parts, size);
  return best ? std::move(best->form) : std::nullopt;
}

std::optional<double> predict_best(const OpContext& context, const ConvParts& parts, const ConvSize& size) {
  const std::optional<Fastest> best = fastest(context, parts, size);
  if (!best) return std::nullopt;
  return best->cost;
}

}  // namespace fewbins
