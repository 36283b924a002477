// SPDX-License-Identifier: Apache-2.0
// Products with weights of four bits on AVX-512 BW. Per octet and 16 columns (128 MACs): 1 load, 2 vpand, 1 shift, 2
// vpshufb, 2 vpxor, 2 vpmaddubsw, 2 vpmaddwd, 2 vpaddd; bound by 13 vector operations in four ports, or by memory.
#include "kernels/few_rows_avx512bw.h"

namespace fewbins {

void lut4_4x64k8__avx512bw(const GemmTask& task) { run_few_rows<Avx512Bw, Nibbles>(task); }

}  // namespace fewbins
