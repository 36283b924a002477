// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit products of few rows on AVX-512 BW, from weights of one byte. Per octet and 16 columns (128 MACs): 2
// loads, 2 vpxor, 2 vpmaddubsw, 2 vpmaddwd, 2 vpaddd; bound by memory.
#include "kernels/few_rows_avx512bw.h"

namespace fewbins {

void dot32_4x64k8__avx512bw(const GemmTask& task) { run_few_rows<Avx512Bw, Whole>(task); }

}  // namespace fewbins
