// SPDX-License-Identifier: Apache-2.0
// Order-0 range asymmetric numeral systems (rANS; Duda 2013) over bytes, as weights are stored in a model file.
//
// A blob, all integers little-endian:
//   uint32  n, the number of bytes that it decodes to
//   uint8   number of distinct symbols minus 1
//   rows    (uint8 symbol, uint16 frequency), symbols ascending, frequencies 1..4096 with sum 4096
//   uint32  the four decoder states
//   uint16  the stream, in the order in which the decoder takes it
// Byte i belongs to state i % 4. With x in [2^16, 2^32) and slot = x & 4095, the symbol is the one whose frequencies'
// range [start, start + f) holds slot; then x = f * (x >> 12) + slot - start, and if x < 2^16, x = x << 16 | next
// uint16. At the end all states are 2^16 and the stream is used up; a decoder refuses everything else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fewbins {

// At most kMaxElements bytes; Error(invalid_argument) otherwise.
[[nodiscard]] std::vector<std::byte> rans_encode(std::span<const std::byte> bytes);

// Fills `out`, whose size must be the n of the blob. Throws Error(model_file) for anything that is not a blob as above.
// `blob` is untrusted; nothing is read or written outside the two spans.
void rans_decode(std::span<const std::byte> blob, std::span<std::byte> out);

}  // namespace fewbins
