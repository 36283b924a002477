// SPDX-License-Identifier: Apache-2.0
// Products with weights of four bits on SDOT. Per octet and 4 columns (32 MACs): 1 load, 2 AND, 1 shift, 2 TBL, 2 loads
// of a row, 2 SDOT, 10 instructions; or bound by memory.
#include "kernels/few_rows_neon.h"

namespace fewbins {
namespace {

struct NeonDot : Neon {
  static constexpr size_t kMostRows = 4;
  static Vector dot(Vector sum, const Row& row, size_t d, Vector w) {
    return vdotq_s32(sum, bytes(w), quad(row.q + d));
  }
};

}  // namespace

void lut4_4x16k8__neon_dot(const GemmTask& task) { run_few_rows<NeonDot, Nibbles>(task); }

}  // namespace fewbins
