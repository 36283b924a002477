// SPDX-License-Identifier: Apache-2.0
#include "file/crc32c.h"

#include <array>

namespace fewbins {
namespace {

// Slicing by eight: kTables[k][b] is the remainder of byte b followed by k zero bytes, so eight bytes need eight
// independent lookups instead of a chain of eight.
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1U) != 0 ? 0x82F63B78U : 0U);
    tables[0][byte] = value;
  }
  for (size_t k = 1; k < 8; ++k)
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 255U];
    }
  return tables;
}

constexpr Tables kTables = make_tables();

}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes) {
  uint32_t crc = 0xFFFFFFFFU;
  const std::byte* p = bytes.data();
  size_t left = bytes.size();
  const auto at = [&p](size_t i) { return std::to_integer<uint32_t>(p[i]); };
  for (; left >= 8; left -= 8, p += 8) {
    const uint32_t low = crc ^ (at(0) | at(1) << 8 | at(2) << 16 | at(3) << 24);
    crc = kTables[7][low & 255U] ^ kTables[6][(low >> 8) & 255U] ^ kTables[5][(low >> 16) & 255U] ^
          kTables[4][low >> 24] ^ kTables[3][at(4)] ^ kTables[2][at(5)] ^ kTables[1][at(6)] ^ kTables[0][at(7)];
  }
  for (; left > 0; --left, ++p) crc = (crc >> 8) ^ kTables[0][(crc ^ at(0)) & 255U];
  return ~crc;
}

}  // namespace fewbins
