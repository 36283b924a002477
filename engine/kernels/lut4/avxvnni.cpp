// SPDX-License-Identifier: Apache-2.0
// Products with weights of four bits on AVX-VNNI. Per octet and 8 columns (64 MACs): 1 load, 2 vpand, 1 shift, 2
// vpshufb, 2 vpdpbusd; bound by memory.
#include "kernels/few_rows_avxvnni.h"

namespace fewbins {

void lut4_4x32k8__avxvnni(const GemmTask& task) { run_few_rows<AvxVnni, Nibbles>(task); }

}  // namespace fewbins
