// SPDX-License-Identifier: Apache-2.0
// Which instruction sets this CPU and this operating system let us use.
#pragma once

#include <cstdint>
#include <string>

namespace fewbins {

/// Instruction sets that kernels are written for, x86 and ARM. The order is the order of preference: a kernel of a
/// later set is taken before one of an earlier set.
enum class Isa : std::uint8_t {
  scalar,
  ssse3,
  avx2,        ///< with FMA, F16C and BMI2
  avxvnni,     ///< 8-bit dot products on 256 bits, without AVX-512
  avx512bw,    ///< AVX-512 F, BW, DQ and VL
  avx512vnni,  ///< and 8-bit dot products on 512 bits
  amx,         ///< and tiles of int8
  neon,        ///< Advanced SIMD, 32 or 64 bits
  neon_dot,    ///< SDOT
  neon_i8mm,   ///< USMMLA
};
inline constexpr int kIsaCount = 10;

/// Whether a CPU whose best set is `cap` runs kernels of `isa`: x86 and ARM are two chains, and a CPU with AVX-512 need
/// not have AVX-VNNI.
constexpr bool isa_includes(Isa cap, Isa isa) {
  if (isa == Isa::scalar || isa == cap) return true;
  if (isa > cap || isa == Isa::avxvnni) return false;
  return (isa < Isa::neon) == (cap < Isa::neon);
}

/// The raw words that detection reads, so that a test can describe any CPU.
struct CpuWords {
  std::uint32_t max_leaf = 0;     ///< CPUID leaf 0, EAX
  std::uint32_t leaf1_ecx = 0;    ///< SSSE3 9, FMA 12, OSXSAVE 27, AVX 28, F16C 29
  std::uint32_t leaf7_ebx = 0;    ///< AVX2 5, BMI2 8, AVX512F 16, AVX512DQ 17, AVX512BW 30, AVX512VL 31
  std::uint32_t leaf7_ecx = 0;    ///< AVX512_VNNI 11
  std::uint32_t leaf7_edx = 0;    ///< AMX-TILE 24, AMX-INT8 25
  std::uint32_t leaf7_1_eax = 0;  ///< AVX-VNNI 4
  std::uint64_t xcr0 = 0;         ///< register state that the operating system saves; 0 without OSXSAVE
  bool amx_permitted = false;     ///< the kernel lets this process use tiles
  bool neon = false;              ///< from the auxiliary vector, on ARM
  bool neon_dot = false;
  bool neon_i8mm = false;
};

/// Reads the words of the CPU that runs this code.
CpuWords read_cpu_words();

/// Whether `words` allow a set. It counts only if CPUID names every part of it and XCR0 saves its registers: XCR0 alone
/// implies nothing, since a virtual machine may hide CPUID bits and still save AVX-512 state.
bool has_isa(const CpuWords& words, Isa isa);

/// The best set that `words` allow, under a cap.
Isa detect_isa(const CpuWords& words);
Isa detect_isa(const CpuWords& words, Isa cap);

/// The best set of this machine; the answer is kept.
Isa detect_isa();

/// Whether this machine runs kernels of a set.
bool runs_here(Isa isa);

/// "scalar", "avx2", "avx512vnni", ...
const char* isa_name(Isa isa);

/// Whether this build has kernels of a set at all: x86 sets on x86, ARM sets on ARM.
bool is_of_this_architecture(Isa isa);

/// Every name that parse_isa() takes: "scalar, ssse3, ...".
std::string isa_names();

/// Reads a name as FEWBINS_ISA takes it: one of isa_name() on this architecture, or vnni for avx512vnni.
/// Returns false and leaves `isa` alone for any other; `error` then says, after the name, what is allowed.
bool parse_isa(const std::string& name, Isa& isa, std::string& error);

/// The best set of this machine that `cap` includes.
Isa lower_to_cap(Isa cap);

/// The best set that kernels may use: this machine's, lowered to FEWBINS_ISA where that is set.
/// An unknown name leaves its one-line text in `error` (empty otherwise) and returns `Isa::scalar`.
Isa cap_from_env(std::string& error);

}  // namespace fewbins
