// SPDX-License-Identifier: Apache-2.0
// Products with weights of four bits on NEON, 64 and 32 bits. Per octet and 4 columns (32 MACs): 1 load, 2 AND, 1
// shift, 2 TBL, 2 loads of a row, 2 SMULL, 2 SMULL2, 2 ADDP, 2 SADALP, 16 instructions; or bound by memory, for half
// the bytes of weights.
#include "kernels/few_rows_neon.h"

namespace fewbins {

void lut4_4x16k8__neon(const GemmTask& task) { run_few_rows<Neon, Nibbles>(task); }

}  // namespace fewbins
