// SPDX-License-Identifier: Apache-2.0
// Products with weights of four bits on AVX2. Per octet and 8 columns (64 MACs): 1 load, 2 and, 1 shift, 2 vpshufb, 2
// vpxor, 2 vpmaddubsw, 2 vpmaddwd, 2 vpaddd; bound by 13 vector operations in four ports, or by memory.
#include "kernels/few_rows_avx2.h"

namespace fewbins {

void lut4_4x32k8__avx2(const GemmTask& task) { run_few_rows<Avx2, Nibbles>(task); }

}  // namespace fewbins
