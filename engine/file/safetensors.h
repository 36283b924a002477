// SPDX-License-Identifier: Apache-2.0
// The container of a model file: uint64 header size, JSON header, tensor bytes.
// https://huggingface.co/docs/safetensors: the tensors must cover the bytes behind the header without holes or overlap.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <unordered_map>

#include "base/shape.h"

namespace fewbins {

struct StoredTensor {
  std::string dtype;  // "F32", "U8", ...
  Dims dims;
  std::span<const std::byte> bytes;
};

struct Container {
  std::string metadata;                                   // the entry "fewbins" of __metadata__
  std::unordered_map<std::string, StoredTensor> tensors;  // without __pad*
};

// Throws Error(model_file).
Container read_container(std::span<const std::byte> bytes);

}  // namespace fewbins
