// SPDX-License-Identifier: Apache-2.0
// Where activations lie in the memory of one run: tensors whose lives do not overlap share it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fewbins {

// A piece of memory that must be its own from step `first` to step `last`, both inclusive.
struct Lifetime {
  size_t bytes = 0;
  int64_t first = 0;
  int64_t last = 0;
  size_t offset = 0;  // what plan_arena() sets: a multiple of 64
};

// Sets the offsets and returns the bytes that the arena needs. Every piece has at least kReadPadding bytes of the arena
// behind it. Largest first, each into the smallest gap that holds it (greedy by size, Pisarchyk and Lee 2020,
// "Efficient memory management for deep neural net inference"). Throws Error(out_of_memory) above `limit`.
size_t plan_arena(std::vector<Lifetime>& pieces, uint64_t limit);

}  // namespace fewbins
