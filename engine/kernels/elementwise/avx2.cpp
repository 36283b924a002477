// SPDX-License-Identifier: Apache-2.0
// The elementwise operations in vectors of 8. See README.md.
#include "simd/avx2.h"

#define FB_NAME(op) op##__avx2
#include "kernels/elementwise/vector.h"
