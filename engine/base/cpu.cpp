// SPDX-License-Identifier: Apache-2.0
#include "base/cpu.h"

#include <array>
#include <cstdlib>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__) || defined(__arm__)
#include <sys/auxv.h>
#endif

namespace fewbins {
namespace {

bool has(std::uint64_t word, int bit) { return (word >> bit & 1u) != 0; }

constexpr std::uint64_t kAvxState = 0x06;     // XMM and the upper halves of YMM
constexpr std::uint64_t kAvx512State = 0xe6;  // those, the mask registers and both parts of ZMM
constexpr std::uint64_t kTileState = 0x60000;

bool has_avx2(const CpuWords& words) {
  const bool state = has(words.leaf1_ecx, 27) && (words.xcr0 & kAvxState) == kAvxState;
  return state && words.max_leaf >= 7 && has(words.leaf1_ecx, 28) && has(words.leaf1_ecx, 12) &&
         has(words.leaf1_ecx, 29) && has(words.leaf7_ebx, 5) && has(words.leaf7_ebx, 8);
}

bool has_avx512bw(const CpuWords& words) {
  return has_avx2(words) && (words.xcr0 & kAvx512State) == kAvx512State && has(words.leaf7_ebx, 16) &&
         has(words.leaf7_ebx, 17) && has(words.leaf7_ebx, 30) && has(words.leaf7_ebx, 31);
}

bool has_avx512vnni(const CpuWords& words) { return has_avx512bw(words) && has(words.leaf7_ecx, 11); }

constexpr std::array<const char*, kIsaCount> kNames = {"scalar",     "ssse3", "avx2", "avxvnni",  "avx512bw",
                                                       "avx512vnni", "amx",   "neon", "neon_dot", "neon_i8mm"};

#if defined(__x86_64__)
/// Linux gives a process the large state of tiles on demand only.
bool request_tiles() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#endif

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
    words.leaf7_edx = edx;
    // The highest subleaf, in EAX: CPUs that have no subleaf 1 answer it with anything.
    if (eax >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) words.leaf7_1_eax = eax;
  }
  if (has(words.leaf1_ecx, 27)) {  // without OSXSAVE the instruction would fault
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    words.xcr0 = static_cast<std::uint64_t>(high) << 32 | low;
  }
  words.amx_permitted = has(words.leaf7_edx, 24) && (words.xcr0 & kTileState) == kTileState && request_tiles();
#elif defined(__aarch64__)
  words.neon = has(getauxval(AT_HWCAP), 1);
  words.neon_dot = has(getauxval(AT_HWCAP), 20);
  words.neon_i8mm = has(getauxval(AT_HWCAP2), 13);
#elif defined(__arm__)
  words.neon = has(getauxval(AT_HWCAP), 12) && has(getauxval(AT_HWCAP), 16);  // and VFPv4: fused multiplication
#endif
  return words;
}

bool has_isa(const CpuWords& words, Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return true;
    case Isa::ssse3:
      return has(words.leaf1_ecx, 9);
    case Isa::avx2:
      return has_avx2(words);
    case Isa::avxvnni:
      return has_avx2(words) && has(words.leaf7_1_eax, 4);
    case Isa::avx512bw:
      return has_avx512bw(words);
    case Isa::avx512vnni:
      return has_avx512vnni(words);
    case Isa::amx:
      return has_avx512vnni(words) && has(words.leaf7_edx, 24) && has(words.leaf7_edx, 25) && words.amx_permitted;
    case Isa::neon:
      return words.neon;
    case Isa::neon_dot:
      return words.neon && words.neon_dot;
    case Isa::neon_i8mm:
      return words.neon && words.neon_dot && words.neon_i8mm;
  }
  return false;
}

Isa detect_isa(const CpuWords& words, Isa cap) {
  for (int i = kIsaCount - 1; i > 0; --i) {
    const auto isa = static_cast<Isa>(i);
    if (isa_includes(cap, isa) && has_isa(words, isa)) return isa;
  }
  return Isa::scalar;
}

Isa detect_isa(const CpuWords& words) {
  for (int i = kIsaCount - 1; i > 0; --i) {
    if (has_isa(words, static_cast<Isa>(i))) return static_cast<Isa>(i);
  }
  return Isa::scalar;
}

namespace {

const CpuWords& words_here() {
  static const CpuWords words = read_cpu_words();
  return words;
}

}  // namespace

Isa detect_isa() {
  static const Isa isa = detect_isa(words_here());
  return isa;
}

bool runs_here(Isa isa) { return has_isa(words_here(), isa); }

Isa lower_to_cap(Isa cap) { return detect_isa(words_here(), cap); }

const char* isa_name(Isa isa) { return kNames[static_cast<std::size_t>(isa)]; }

bool is_of_this_architecture(Isa isa) {
#if defined(__x86_64__)
  return isa < Isa::neon;
#elif defined(__aarch64__)
  return isa == Isa::scalar || isa >= Isa::neon;
#elif defined(__arm__)
  return isa == Isa::scalar || isa == Isa::neon;
#else
  return isa == Isa::scalar;
#endif
}

std::string isa_names() {
  std::string names;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (!is_of_this_architecture(static_cast<Isa>(i))) continue;
    names += (names.empty() ? "" : ", ") + std::string(kNames[i]);
  }
  return names + (is_of_this_architecture(Isa::avx512vnni) ? ", vnni" : "");
}

bool parse_isa(const std::string& name, Isa& isa, std::string& error) {
  error.clear();
  const std::string full = name == "vnni" ? "avx512vnni" : name;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (full != kNames[i]) continue;
    if (!is_of_this_architecture(static_cast<Isa>(i))) {
      error = "is an instruction set of another architecture";
      break;
    }
    isa = static_cast<Isa>(i);
    return true;
  }
  error = "'" + name + "' " + (error.empty() ? "is unknown" : error) + " (expected one of: " + isa_names() + ")";
  return false;
}

Isa cap_from_env(std::string& error) {
  error.clear();
  const char* text = std::getenv("FEWBINS_ISA");
  if (text == nullptr || *text == '\0') return detect_isa();
  Isa cap = Isa::scalar;
  if (!parse_isa(text, cap, error)) {
    error = "FEWBINS_ISA " + error;
    return Isa::scalar;
  }
  return lower_to_cap(cap);
}

}  // namespace fewbins
