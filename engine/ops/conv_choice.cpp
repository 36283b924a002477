// SPDX-License-Identifier: Apache-2.0
#include "ops/conv_choice.h"

#include <vector>

#include "kernels/costs.h"

namespace fewbins {
namespace {

constexpr std::size_t kFreeSize = 28;

std::size_t size_or_guess(std::int64_t size) { return size > 0 ? static_cast<std::size_t>(size) : kFreeSize; }

std::size_t tiles_of(const WinogradMatrices& form, const ConvSize& size) {
  const std::size_t across = (size.width + form.tile - 1) / form.tile;
  return across * (form.two_d ? (size.height + form.tile - 1) / form.tile : size.height);
}

}  // namespace

ConvSize declared_size(const NodeDef& node, const OpContext& context) {
  const Dims& from = context.desc(node.inputs.front()).dims;
  const Dims& to = context.desc(node.outputs.front()).dims;
  ConvSize size{.height = size_or_guess(to[2]),
                .width = size_or_guess(to[3]),
                .channels = size_or_guess(from[1]),
                .columns = size_or_guess(to[1])};
  for (const auto& [name, constant] : context.model.constants) size.model_bytes += constant.bytes;
  return size;
}

std::optional<double> predict_direct(const GemmChoice& choice, std::size_t taps, const ConvSize& size) {
  const std::optional<double> product =
      predict_gemm(*choice.kernel, {size.columns, taps, size.channels, choice.block, size.height * size.width});
  if (!product) return std::nullopt;
  const std::size_t bytes = packed_bytes(*choice.kernel, size.columns, taps, size.channels, choice.block);
  const std::size_t growth = bytes / (size.columns * taps * size.channels) + 1;
  return *product + predict_cold_weights(bytes, growth * size.model_bytes);
}

std::optional<double> predict_winograd(const WinogradKernel& transforms, std::span<const PositionChoice> positions,
                                       const ConvSize& size) {
  const WinogradMatrices& form = matrices_of(transforms.form);
  const std::size_t tiles = tiles_of(form, size);
  std::optional<double> total = predict_transforms(transforms, tiles, size.channels, size.columns);
  std::size_t bytes = 0;
  for (const PositionChoice& position : positions) {
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

std::optional<double> predict_winograd_at_best(const WinogradKernel& transforms, Isa isa, const ConvSize& size) {
  const WinogradMatrices& form = matrices_of(transforms.form);
  const std::size_t quads = form.taps() * ((size.channels + 3) / 4);
  const GemmProblem problem{size.columns, form.taps(), size.channels, form.bytes ? quads : 0, tiles_of(form, size)};
  const GemmKernel& kernel = select_gemm(form.bytes ? Family::dot16 : Family::dot32_i16, isa, problem);
  const std::vector<PositionChoice> positions(form.positions(), {&kernel, kernel.family == Family::dot16 ? quads : 0});
  return predict_winograd(transforms, positions, size);
}

}  // namespace fewbins
