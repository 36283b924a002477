// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit products of few rows on AVX-512 VNNI. Per octet and 16 columns (128 MACs): 2 loads, 2 vpdpbusd; bound by
// memory.
#include "kernels/few_rows_avx512vnni.h"

namespace fewbins {

void dot32_4x64k8__avx512vnni(const GemmTask& task) { run_few_rows<Avx512Vnni, Whole>(task); }

}  // namespace fewbins
