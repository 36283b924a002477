// SPDX-License-Identifier: Apache-2.0
#define FB_VECTOR_BYTES 16
#define FB_NAME(op) op##__scalar
#include "kernels/winograd/transforms.h"
