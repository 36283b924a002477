// SPDX-License-Identifier: Apache-2.0
// Products with weights of four bits on SSSE3. Per octet and 4 columns (32 MACs): 1 load, 2 pand, 1 shift, 2 pshufb, 2
// pxor, 2 pmaddubsw, 2 pmaddwd, 2 paddd, and copies; bound by these.
#include "kernels/few_rows_ssse3.h"

namespace fewbins {

void lut4_4x16k8__ssse3(const GemmTask& task) { run_few_rows<Ssse3, Nibbles>(task); }

}  // namespace fewbins
