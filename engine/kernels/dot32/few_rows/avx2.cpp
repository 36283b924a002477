// SPDX-License-Identifier: Apache-2.0
// Exact 8-bit products of few rows on AVX2, from weights of one byte; the tiles of dot32/avx2.cpp read two. Per octet
// and 8 columns (64 MACs): 2 loads, 2 vpxor, 2 vpmaddubsw, 2 vpmaddwd, 2 vpaddd; bound by memory.
#include "kernels/few_rows_avx2.h"

namespace fewbins {

void dot32_4x32k8__avx2(const GemmTask& task) { run_few_rows<Avx2, Whole>(task); }

}  // namespace fewbins
