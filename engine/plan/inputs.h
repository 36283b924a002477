// SPDX-License-Identifier: Apache-2.0
// From the caller's memory to the first tensors of a run.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/cpu.h"
#include "base/shape.h"
#include "base/thread_pool.h"
#include "file/model.h"
#include "ops/op.h"

namespace fewbins {

// to[n, h, w, c] = (from[n, h, w, c] - mean[c]) / std[c] in float32; both in N, H, W, C order, `dims` in logical order.
// The channels come in the file's order (RGB, BGR or GRAY). Throws Error(invalid_argument) when the file has no
// preprocessing or the input is not an image of that many channels and that size.
void pixels_to_input(const std::optional<Preprocessing>& preprocessing, std::string_view input, const Dims& dims,
                     const uint8_t* from, float* to, ThreadPool& pool);

// A graph input that only a Quantize reads goes from the caller's planes (N, C, H, W) to levels (N, H, W, C) in one
// pass. `levels` describes the result; both have the dims of the input, of rank 4. `offset` is what to subtract before:
// nothing, one number, or one for each channel.
void quantize_input(const TensorDesc& levels, std::span<const float> offset, Isa isa, const float* from, uint8_t* to,
                    ThreadPool& pool);

// The offset of a Quantize node, empty where it has none.
std::span<const float> offset_of(const Model& model, const NodeDef& quantize);

// Whether quantize_input can do the work of a Quantize node on an input of these dims.
bool quantizes_planes(const Model& model, const NodeDef& quantize, const Dims& dims);

}  // namespace fewbins
