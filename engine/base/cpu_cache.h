// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace fewbins {

/// Bytes of the largest cache of this CPU as Linux tells it; 8 MiB where it does not.
std::size_t last_cache_bytes();

}  // namespace fewbins
