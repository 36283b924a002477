// SPDX-License-Identifier: Apache-2.0
#include "plan/inputs.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "kernels/kernels.h"

namespace fewbins {

void pixels_to_input(const std::optional<Preprocessing>& preprocessing, std::string_view input, const Dims& dims,
                     const uint8_t* from, float* to, ThreadPool& pool) {
  if (!preprocessing)
    fail(ErrorCode::invalid_argument, "input '", input,
         "' was given as pixels, but the model has no preprocessing; give float32");
  const auto channels = preprocessing->mean.size();
  const bool image = dims.rank == 4 && dims[1] == static_cast<int64_t>(channels);
  const auto right = [](int64_t wanted, int64_t given) { return wanted < 0 || wanted == given; };
  if (!image || !right(preprocessing->height, dims[2]) || !right(preprocessing->width, dims[3]))
    fail(ErrorCode::shape, "input '", input, "' was given as pixels of shape ", dims.text(),
         " (N, C, H, W), which does not fit the model's preprocessing of ", channels, " channels");
  // One row per channel: 256 divisions instead of one per pixel.
  std::vector<std::array<float, 256>> table(channels);
  for (size_t c = 0; c < channels; ++c)
    for (size_t value = 0; value < 256; ++value)
      table[c][value] = (static_cast<float>(value) - preprocessing->mean[c]) / preprocessing->std[c];
  pool.parallel_for(dims[0] * dims[2] * dims[3], [&](int64_t begin, int64_t end) {
    for (int64_t pixel = begin; pixel < end; ++pixel)
      for (size_t c = 0; c < channels; ++c) {
        const size_t i = static_cast<size_t>(pixel) * channels + c;
        to[i] = table[c][from[i]];
      }
  });
}

namespace {

// Floats on the stack while their offsets are subtracted: some pixels of all channels.
constexpr int64_t kPiece = 4096;

// Subtracts the offsets from some pixels of each plane, piece by piece, and quantizes the differences.
void quantize_differences(QuantizePlanesTask task, std::span<const float> offset,
                          void (*quantize)(const QuantizePlanesTask&)) {
  std::array<float, kPiece> piece;
  const size_t most = piece.size() / task.channels;
  for (size_t first = 0; first < task.pixels; first += most) {
    QuantizePlanesTask part = task;
    part.pixels = part.plane_stride = std::min(most, task.pixels - first);
    for (size_t c = 0; c < task.channels; ++c) {
      const float subtrahend = offset[offset.size() == 1 ? 0 : c];
      const float* from = task.x + c * task.plane_stride + first;
      float* to = piece.data() + c * part.plane_stride;
      for (size_t i = 0; i < part.pixels; ++i) to[i] = from[i] - subtrahend;
    }
    part.x = piece.data();
    part.out = task.out + first * task.channels;
    quantize(part);
  }
}

}  // namespace

std::span<const float> offset_of(const Model& model, const NodeDef& quantize) {
  const auto role = quantize.params.find("offset");
  if (role == quantize.params.end()) return {};
  return model.find_constant(role->second)->as<float>();
}

bool quantizes_planes(const Model& model, const NodeDef& quantize, const Dims& dims) {
  if (dims.rank != 4) return false;
  if (offset_of(model, quantize).empty()) return true;
  const boost::json::value* axis = quantize.attrs.if_contains("axis");
  return dims[1] >= 1 && dims[1] <= kPiece && (axis == nullptr || *axis == 1);
}

void quantize_input(const TensorDesc& levels, std::span<const float> offset, Isa isa, const float* from, uint8_t* to,
                    ThreadPool& pool) {
  constexpr int64_t kPixels = 4096;  // of one piece of work
  const int64_t channels = levels.dims[1];
  const Size plane = levels.dims[2] * levels.dims[3];
  const Size pieces = ceil_div(plane, kPixels);  // of one image
  const auto quantize = select_elementwise(isa).quantize_planes;
  pool.parallel_for(levels.dims[0] * pieces, 1, [&](int64_t begin, int64_t end, int /*slot*/) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t first = piece % pieces * kPixels;
      const int64_t image = piece / pieces * channels * plane;
      QuantizePlanesTask task{};
      task.x = from + image + first;
      task.plane_stride = static_cast<size_t>(plane);
      task.channels = task.out_channels = static_cast<size_t>(channels);
      task.pixels = static_cast<size_t>(std::min<int64_t>(kPixels, plane - first));
      task.scale = levels.affine.scale;
      task.z = levels.affine.zero_point;
      task.lo = levels.affine.lo;
      task.hi = levels.affine.hi;
      task.out = to + image + first * channels;
      if (offset.empty())
        quantize(task);
      else
        quantize_differences(task, offset, quantize);
    }
  });
}

}  // namespace fewbins
