// SPDX-License-Identifier: Apache-2.0
// The parts of the reader, in the order in which load_model calls them. All throw Error(model_file) without the file's
// name, which load_model puts in front.
#pragma once

#include <boost/json/value.hpp>
#include <memory>
#include <span>
#include <string_view>

#include "file/json.h"
#include "file/model.h"
#include "file/safetensors.h"

namespace fewbins {

// header.cpp: checks the CRC at the end of the text and parses it.
boost::json::value parse_header(std::string_view text);
// format, version, numerics, scheme, preprocessing, labels.
void read_description(const Json& header, Model& model);
// inputs, outputs, tensors and nodes; `scales` are the values of the tensor __scales.
void read_graph(const Json& graph, std::span<const float> scales, Model& model);
// {"scale": index, "zero_point", "lo", "hi"} of levels.
AffineInfo read_activation_affine(const Json& affine, std::span<const float> scales);

// constants.cpp: checks every CRC and decodes. `owner` keeps the container's bytes alive.
void read_constants(const Json& constants, const Container& container, Model& model);

// check_graph.cpp: names, references, topological order.
void check_graph(const Model& model);

// check_integers.cpp: the constants of quantized nodes, and the proof that accumulators fit int32.
void check_integers(Model& model);

// Whether a scale is one that docs/numerics.md allows: finite, normal and positive.
bool is_valid_scale(float scale);

}  // namespace fewbins
