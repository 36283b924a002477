// SPDX-License-Identifier: Apache-2.0
// The elementwise operations in vectors of 16. See README.md.
#include "simd/avx512.h"

#define FB_NAME(op) op##__avx512bw
#include "kernels/elementwise/vector.h"
