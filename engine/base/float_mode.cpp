// SPDX-License-Identifier: Apache-2.0
#include "base/float_mode.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#elif !defined(__aarch64__) && !defined(__arm__)
#include <cfenv>
#endif

namespace fewbins {

#if defined(__x86_64__)

// MXCSR at power-up: nearest, exceptions masked, no flush to zero, no denormals-are-zero.
FloatMode::FloatMode() : saved_(_mm_getcsr()) { _mm_setcsr(0x1F80); }
FloatMode::~FloatMode() { _mm_setcsr(static_cast<unsigned>(saved_)); }

#elif defined(__aarch64__)

// FPCR zero: nearest, no flush to zero, no trapping.
FloatMode::FloatMode() {
  asm volatile("mrs %0, fpcr" : "=r"(saved_));
  asm volatile("msr fpcr, %0" : : "r"(std::uint64_t{0}));
}
FloatMode::~FloatMode() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }

#elif defined(__arm__)

// FPSCR zero: the same for VFP; NEON's floats flush to zero always.
FloatMode::FloatMode() {
  std::uint32_t saved = 0;
  asm volatile("vmrs %0, fpscr" : "=r"(saved));
  asm volatile("vmsr fpscr, %0" : : "r"(0));
  saved_ = saved;
}
FloatMode::~FloatMode() { asm volatile("vmsr fpscr, %0" : : "r"(static_cast<std::uint32_t>(saved_))); }

#else

FloatMode::FloatMode() : saved_(static_cast<std::uint64_t>(std::fegetround())) { std::fesetround(FE_TONEAREST); }
FloatMode::~FloatMode() { std::fesetround(static_cast<int>(saved_)); }

#endif

}  // namespace fewbins
