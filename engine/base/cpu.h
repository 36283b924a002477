// SPDX-License-Identifier: Apache-2.0
// Which instruction sets this CPU and this operating system let us use.
#pragma once

#include <cstdint>
#include <string>

namespace fewbins {

/// Instruction sets that kernels are written for, each one including those before it.
/// The order is the order of preference: a kernel of a later set is taken before one of an earlier set.
enum class Isa : std::uint8_t { scalar, avx2, avx512vnni };

/// The raw words that detection reads, so that a test can describe any CPU.
struct CpuWords {
  std::uint32_t max_leaf = 0;   ///< CPUID leaf 0, EAX
  std::uint32_t leaf1_ecx = 0;  ///< FMA 12, OSXSAVE 27, AVX 28, F16C 29
  std::uint32_t leaf7_ebx = 0;  ///< AVX2 5, BMI2 8, AVX512F 16, AVX512DQ 17, AVX512BW 30, AVX512VL 31
  std::uint32_t leaf7_ecx = 0;  ///< AVX512_VNNI 11
  std::uint64_t xcr0 = 0;       ///< register state that the operating system saves; 0 without OSXSAVE
};

/// Reads the words of the CPU that runs this code.
CpuWords read_cpu_words();

/// The best set that `words` allow. A set counts only if CPUID names every part of it and XCR0 saves its registers:
/// XCR0 alone implies nothing, since a virtual machine may hide CPUID bits and still save AVX-512 state.
Isa detect_isa(const CpuWords& words);

/// The best set of this machine; the answer is kept.
Isa detect_isa();

/// "scalar", "avx2", "avx512vnni".
const char* isa_name(Isa isa);

/// Reads a name as FEWBINS_ISA takes it: scalar, avx2, vnni or avx512vnni.
/// Returns false and leaves `isa` alone when the name is unknown; `error` then says what is allowed.
bool parse_isa(const std::string& name, Isa& isa, std::string& error);

/// The best set that kernels may use: this machine's, lowered to FEWBINS_ISA where that is set.
/// An unknown name leaves its one-line text in `error` (empty otherwise) and returns `Isa::scalar`.
Isa cap_from_env(std::string& error);

}  // namespace fewbins
