// SPDX-License-Identifier: Apache-2.0
// CRC32C (Castagnoli, reflected polynomial 0x82F63B78), as in RFC 3720. crc32c("123456789") = 0xE3069283.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace fewbins {

[[nodiscard]] uint32_t crc32c(std::span<const std::byte> bytes);

}  // namespace fewbins
