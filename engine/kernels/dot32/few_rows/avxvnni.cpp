// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit products of few rows on AVX-VNNI. Per octet and 8 columns (64 MACs): 2 loads, 2 vpdpbusd; bound by
// memory.
#include "kernels/few_rows_avxvnni.h"

namespace fewbins {

void dot32_4x32k8__avxvnni(const GemmTask& task) { run_few_rows<AvxVnni, Whole>(task); }

}  // namespace fewbins
