// SPDX-License-Identifier: Apache-2.0
// The elementwise operations in vectors of 4. See README.md.
#include "simd/ssse3.h"

#define FB_NAME(op) op##__ssse3
#include "kernels/elementwise/vector.h"
