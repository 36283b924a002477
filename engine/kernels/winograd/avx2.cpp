// SPDX-License-Identifier: Apache-2.0
#define FB_VECTOR_BYTES 32
#define FB_NAME(op) op##__avx2
#include "kernels/winograd/transforms.h"
