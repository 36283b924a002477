// SPDX-License-Identifier: Apache-2.0
#define FB_VECTOR_BYTES 64
#define FB_NAME(op) op##__avx512bw
#include "kernels/winograd/transforms.h"
