// SPDX-License-Identifier: Apache-2.0
// The elementwise operations in vectors of 4, on 64-bit ARM. See README.md. 32-bit ARM flushes subnormal floats to zero
// in vectors, so it keeps the scalar ones.
#include "simd/neon.h"

#define FB_NAME(op) op##__neon
#include "kernels/elementwise/vector.h"
