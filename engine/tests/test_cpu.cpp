// SPDX-License-Identifier: Apache-2.0
// Detection on made-up CPUs, and the environment variable that lowers it.
#include <boost/test/unit_test.hpp>

#include <cstdlib>

#include "base/cpu.h"

namespace fewbins {
namespace {

/// A server of today: everything that AVX-512 VNNI needs.
CpuWords server() {
  CpuWords words;
  words.max_leaf = 7;
  words.leaf1_ecx = 1u << 9 | 1u << 12 | 1u << 27 | 1u << 28 | 1u << 29;
  words.leaf7_ebx = 1u << 5 | 1u << 8 | 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
  words.leaf7_ecx = 1u << 11;
  words.leaf7_1_eax = 1u << 4;
  words.xcr0 = 0xe7;
  return words;
}

/// Sets FEWBINS_ISA for a scope.
class Environment {
 public:
  explicit Environment(const char* value) {
    const char* old = std::getenv("FEWBINS_ISA");
    if (old != nullptr) old_ = old;
    had_ = old != nullptr;
    if (value == nullptr) {
      unsetenv("FEWBINS_ISA");
    } else {
      setenv("FEWBINS_ISA", value, 1);
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    if (had_) {
      setenv("FEWBINS_ISA", old_.c_str(), 1);
    } else {
      unsetenv("FEWBINS_ISA");
    }
  }

 private:
  std::string old_;
  bool had_ = false;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(cpu)

BOOST_AUTO_TEST_CASE(a_complete_server_has_avx512vnni) { BOOST_CHECK(detect_isa(server()) == Isa::avx512vnni); }

BOOST_AUTO_TEST_CASE(each_missing_bit_lowers_the_set) {
  for (const int bit : {16, 17, 30, 31}) {
    CpuWords words = server();
    words.leaf7_ebx &= ~(1u << bit);
    BOOST_CHECK(detect_isa(words) == Isa::avxvnni);
  }
  CpuWords no_vnni = server();
  no_vnni.leaf7_ecx = 0;
  BOOST_CHECK(detect_isa(no_vnni) == Isa::avx512bw);
  for (const int bit : {5, 8}) {
    CpuWords words = server();
    words.leaf7_ebx &= ~(1u << bit);
    BOOST_CHECK(detect_isa(words) == Isa::ssse3);
  }
  for (const int bit : {12, 27, 28, 29}) {
    CpuWords words = server();
    words.leaf1_ecx &= ~(1u << bit);
    BOOST_CHECK(detect_isa(words) == Isa::ssse3);
  }
}

BOOST_AUTO_TEST_CASE(saved_register_state_alone_implies_nothing) {
  CpuWords words = server();
  words.leaf7_ebx = 1u << 5 | 1u << 8;  // as under a cap that hides AVX-512 from CPUID only
  words.leaf7_ecx = 0;
  BOOST_CHECK(detect_isa(words) == Isa::avxvnni);
  words.leaf7_1_eax = 0;
  BOOST_CHECK(detect_isa(words) == Isa::avx2);
  words.leaf7_ebx = 0;
  BOOST_CHECK(detect_isa(words) == Isa::ssse3);
  words.leaf1_ecx &= ~(1u << 9);
  BOOST_CHECK(detect_isa(words) == Isa::scalar);
}

BOOST_AUTO_TEST_CASE(a_set_whose_registers_are_not_saved_does_not_count) {
  CpuWords words = server();
  words.xcr0 = 0x07;
  BOOST_CHECK(detect_isa(words) == Isa::avxvnni);
  words.xcr0 = 0x03;
  BOOST_CHECK(detect_isa(words) == Isa::ssse3);
}

BOOST_AUTO_TEST_CASE(a_cpu_without_leaf_7_is_scalar) {
  CpuWords words = server();
  words.max_leaf = 6;
  words.leaf1_ecx &= ~(1u << 9);
  BOOST_CHECK(detect_isa(words) == Isa::scalar);
}

BOOST_AUTO_TEST_CASE(tiles_need_the_permission_of_the_system) {
  CpuWords words = server();
  words.leaf7_edx = 3u << 24;
  BOOST_CHECK(detect_isa(words) == Isa::avx512vnni);
  words.amx_permitted = true;
  BOOST_CHECK(detect_isa(words) == Isa::amx);
}

BOOST_AUTO_TEST_CASE(a_cap_includes_what_every_cpu_with_it_has) {
  CpuWords words = server();
  BOOST_CHECK(detect_isa(words, Isa::avxvnni) == Isa::avxvnni);
  words.leaf7_1_eax = 0;  // AVX-512 VNNI alone says nothing of the 256-bit encoding
  BOOST_CHECK(detect_isa(words, Isa::avxvnni) == Isa::avx2);
  BOOST_CHECK(detect_isa(words, Isa::avx512bw) == Isa::avx512bw);
  BOOST_CHECK(detect_isa(words, Isa::neon_i8mm) == Isa::scalar);
  BOOST_CHECK(!isa_includes(Isa::avx512vnni, Isa::avxvnni));
  BOOST_CHECK(!isa_includes(Isa::neon, Isa::avx2));
  BOOST_CHECK(isa_includes(Isa::neon_i8mm, Isa::neon_dot));
}

BOOST_AUTO_TEST_CASE(arm_sets_build_on_each_other) {
  CpuWords words;
  words.neon_i8mm = true;
  BOOST_CHECK(detect_isa(words) == Isa::scalar);
  words.neon = true;
  BOOST_CHECK(detect_isa(words) == Isa::neon);
  words.neon_dot = true;
  BOOST_CHECK(detect_isa(words) == Isa::neon_i8mm);
}

BOOST_AUTO_TEST_CASE(the_environment_lowers_the_cap_and_never_raises_it) {
  std::string error;
  {
    const Environment environment("scalar");
    BOOST_CHECK(cap_from_env(error) == Isa::scalar);
    BOOST_CHECK(error.empty());
  }
  {
    // The last set of this architecture: a cap above all that the machine has, or equal to it.
    Isa last = Isa::scalar;
    for (int i = 0; i < kIsaCount; ++i)
      if (is_of_this_architecture(static_cast<Isa>(i))) last = static_cast<Isa>(i);
    const Environment environment(isa_name(last));
    BOOST_CHECK(cap_from_env(error) == detect_isa());
  }
  {
    const Environment environment(nullptr);
    BOOST_CHECK(cap_from_env(error) == detect_isa());
  }
}

BOOST_AUTO_TEST_CASE(vnni_means_avx512vnni) {
  if (!is_of_this_architecture(Isa::avx512vnni)) return;
  Isa isa = Isa::scalar;
  std::string error;
  BOOST_CHECK(parse_isa("vnni", isa, error));
  BOOST_CHECK(isa == Isa::avx512vnni);
}

BOOST_AUTO_TEST_CASE(an_unknown_name_is_an_error_that_lists_the_known_ones) {
  const Environment environment("sse9");
  std::string error;
  cap_from_env(error);
  BOOST_CHECK(error.find("'sse9'") != std::string::npos);
  BOOST_CHECK(error.find("expected one of: scalar") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_set_of_another_architecture_is_an_error_and_not_plain_code) {
  const Environment environment(is_of_this_architecture(Isa::neon) ? "avx2" : "neon");
  std::string error;
  cap_from_env(error);
  BOOST_CHECK(error.find("FEWBINS_ISA '") == 0);
  BOOST_CHECK(error.find("of another architecture") != std::string::npos);
  BOOST_CHECK(error.find(is_of_this_architecture(Isa::neon) ? "avx2," : "neon,") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace fewbins
