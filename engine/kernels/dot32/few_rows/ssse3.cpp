// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit products of few rows on SSSE3, from weights of one byte. Per octet and 4 columns (32 MACs): 2 loads, 2
// pxor, 2 pmaddubsw, 2 pmaddwd, 2 paddd, and copies.
#include "kernels/few_rows_ssse3.h"

namespace fewbins {

void dot32_4x16k8__ssse3(const GemmTask& task) { run_few_rows<Ssse3, Whole>(task); }

}  // namespace fewbins
