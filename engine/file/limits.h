// SPDX-License-Identifier: Apache-2.0
// The limits of docs/format.md. Model files are untrusted: everything that a file can make large has one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fewbins {

inline constexpr uint64_t kMaxHeaderBytes = uint64_t{64} << 20;
inline constexpr size_t kMaxNodes = 65536;
inline constexpr size_t kMaxTensors = 262144;  // activations, and likewise constants
inline constexpr size_t kMaxOperands = 1024;   // inputs, outputs and params of one node
inline constexpr size_t kMaxNameBytes = 1024;
inline constexpr size_t kMaxLabels = 1U << 20;
inline constexpr size_t kMaxJsonDepth = 16;
inline constexpr uint64_t kMaxDecodedBytes = uint64_t{4} << 30;  // all constants of a file
// Entropy-coded zeros take next to nothing, and kernels want weights in whole tiles: beyond this much, what loading
// takes (decoded constants, packed weights, what is needed on the way) must be in proportion to the file's size.
inline constexpr uint64_t kFreeLoadBytes = uint64_t{32} << 20;
inline constexpr uint64_t kLoadBytesPerByte = 256;
// The same for the tables of a plan and the size of the inputs.
inline constexpr uint64_t kFreePlanBytes = uint64_t{32} << 20;
inline constexpr uint64_t kPlanBytesPerByte = 64;
inline constexpr uint64_t kMaxArenaBytes = uint64_t{sizeof(size_t) > 4 ? 16 : 1} << 30;  // activations of one run
inline constexpr int kFormatMajor = 1;
inline constexpr int kFormatMinor = 1;  // the newest minor version that this release reads
inline constexpr int kNumerics = 1;

}  // namespace fewbins
