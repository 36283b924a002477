// SPDX-License-Identifier: Apache-2.0
// Products with weights of four bits on AVX-512 VNNI. Per octet and 16 columns (128 MACs): 1 load, 2 and, 1 shift, 2
// vpshufb, 2 vpdpbusd; bound by memory.
#include "kernels/few_rows_avx512vnni.h"

namespace fewbins {

void lut4_4x64k8__avx512vnni(const GemmTask& task) { run_few_rows<Avx512Vnni, Nibbles>(task); }

}  // namespace fewbins
