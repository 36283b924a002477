// SPDX-License-Identifier: Apache-2.0
#include "base/cpu.h"

#include <algorithm>
#include <cstdlib>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace fewbins {
namespace {

bool has(std::uint64_t word, int bit) { return (word >> bit & 1u) != 0; }

constexpr std::uint64_t kAvxState = 0x06;     // XMM and the upper halves of YMM
constexpr std::uint64_t kAvx512State = 0xe6;  // those, the mask registers and both parts of ZMM

bool has_avx2(const CpuWords& words) {
  const bool state = has(words.leaf1_ecx, 27) && (words.xcr0 & kAvxState) == kAvxState;
  return state && words.max_leaf >= 7 && has(words.leaf1_ecx, 28) && has(words.leaf1_ecx, 12) &&
         has(words.leaf1_ecx, 29) && has(words.leaf7_ebx, 5) && has(words.leaf7_ebx, 8);
}

bool has_avx512vnni(const CpuWords& words) {
  return has_avx2(words) && (words.xcr0 & kAvx512State) == kAvx512State && has(words.leaf7_ebx, 16) &&
         has(words.leaf7_ebx, 17) && has(words.leaf7_ebx, 30) && has(words.leaf7_ebx, 31) && has(words.leaf7_ecx, 11);
}

}  // namespace

CpuWords read_cpu_words() {
  CpuWords words;
#if defined(__x86_64__)
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) == 0) return words;
  words.max_leaf = eax;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) words.leaf1_ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
    words.leaf7_ebx = ebx;
    words.leaf7_ecx = ecx;
  }
  if (has(words.leaf1_ecx, 27)) {  // without OSXSAVE the instruction would fault
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    words.xcr0 = static_cast<std::uint64_t>(high) << 32 | low;
  }
#endif
  return words;
}

Isa detect_isa(const CpuWords& words) {
  if (has_avx512vnni(words)) return Isa::avx512vnni;
  return has_avx2(words) ? Isa::avx2 : Isa::scalar;
}

Isa detect_isa() {
  static const Isa isa = detect_isa(read_cpu_words());
  return isa;
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::avx512vnni:
      return "avx512vnni";
    case Isa::avx2:
      return "avx2";
    case Isa::scalar:
      break;
  }
  return "scalar";
}

bool parse_isa(const std::string& name, Isa& isa, std::string& error) {
  error.clear();
  if (name == "scalar") {
    isa = Isa::scalar;
  } else if (name == "avx2") {
    isa = Isa::avx2;
  } else if (name == "vnni" || name == "avx512vnni") {
    isa = Isa::avx512vnni;
  } else {
    error = "FEWBINS_ISA='" + name + "' is unknown; write one of: scalar, avx2, vnni, avx512vnni, or unset it";
    return false;
  }
  return true;
}

Isa cap_from_env(std::string& error) {
  error.clear();
  const char* text = std::getenv("FEWBINS_ISA");
  if (text == nullptr || *text == '\0') return detect_isa();
  Isa cap = Isa::scalar;
  if (!parse_isa(text, cap, error)) return Isa::scalar;
  return std::min(cap, detect_isa());
}

}  // namespace fewbins
