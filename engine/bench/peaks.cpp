// SPDX-License-Identifier: Apache-2.0
// What one core can do: instruction mixes that touch registers only, and reads of memory. A kernel is as good as the
// fraction of its mix's rate that it reaches. Everything is assembly, so that no flag of the compiler changes it, and
// uses the first 16 vector registers, which is enough to hide every latency.
#include <algorithm>
#include <cstring>

#include "base/aligned.h"
#include "base/error.h"
#include "bench/bench.h"

namespace fewbins::bench {
namespace {

#if defined(__x86_64__)

constexpr std::size_t kSteps = 4096;  // of one call: some 20 microseconds

// clang-format off: one instruction a line
#define FB_CLOBBERS                                                                                              \
  "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
      "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

// Registers: 0..11 sums, 12 a product, 13 ones, 14 and 15 operands. S(n) is what is done to sum n.
#define FB_SUMS12(S) S("0") S("1") S("2") S("3") S("4") S("5") S("6") S("7") S("8") S("9") S("10") S("11")
// Six 16-bit sums and the six 32-bit ones that they are added to.
#define FB_SUMS6(S) S("0") S("1") S("2") S("3") S("4") S("5")
#define FB_PAIRS6(S) S("0", "6") S("1", "7") S("2", "8") S("3", "9") S("4", "10") S("5", "11")

#define FB_TWICE(x) x x
#define FB_EIGHT_TIMES(x) FB_TWICE(FB_TWICE(FB_TWICE(x)))

#define FB_ZERO_SSE(n) "pxor %%xmm" n ",%%xmm" n "\n"
#define FB_LOAD_SSE "movdqa (%[data]),%%xmm14\nmovdqa (%[data]),%%xmm15\nmovdqa 64(%[data]),%%xmm13\n"
#define FB_LOAD_YMM "vmovdqa (%[data]),%%ymm14\nvmovdqa (%[data]),%%ymm15\nvmovdqa 64(%[data]),%%ymm13\n"
#define FB_LOAD_ZMM "vmovdqa64 (%[data]),%%zmm14\nvmovdqa64 (%[data]),%%zmm15\nvmovdqa64 64(%[data]),%%zmm13\n"

#define FB_PEAK(name, LOAD, BODY, END)                                                                           \
  void name(const std::byte* data, std::size_t steps, std::size_t) {                                             \
    __asm__ volatile(FB_SUMS12(FB_ZERO_SSE) LOAD ".p2align 6\n1:\n" BODY "dec %[steps]\njnz 1b\n" END            \
                     : [steps] "+r"(steps)                                                                       \
                     : [data] "r"(data)                                                                          \
                     : FB_CLOBBERS);                                                                             \
  }
// After every `block` steps the 16-bit sums are widened. Steps run eight at a time: where the loop ends is then foreseen by
// the CPU, whose misprediction would be seen in the rate.
#define FB_BLOCK_PEAK(name, LOAD, STEP, WIDEN, END)                                                              \
  void name(const std::byte* data, std::size_t steps, std::size_t block) {                                       \
    std::size_t blocks = std::max<std::size_t>(1, steps / block);                                                \
    const std::size_t eights = block / 8;                                                                        \
    const std::size_t ones = block % 8;                                                                          \
    std::size_t left;                                                                                            \
    __asm__ volatile(FB_SUMS12(FB_ZERO_SSE) LOAD                                                                 \
                     ".p2align 6\n1:\nmov %[eights],%[left]\ntest %[left],%[left]\njz 3f\n.p2align 5\n2:\n"        \
                     FB_EIGHT_TIMES(FB_SUMS6(STEP)) "dec %[left]\njnz 2b\n3:\n"                                 \
                     "mov %[ones],%[left]\ntest %[left],%[left]\njz 5f\n.p2align 5\n4:\n"                        \
                     FB_SUMS6(STEP) "dec %[left]\njnz 4b\n5:\n"                                                  \
                     FB_PAIRS6(WIDEN) "dec %[blocks]\njnz 1b\n" END                                              \
                     : [blocks] "+r"(blocks), [left] "=&r"(left)                                                 \
                     : [data] "r"(data), [eights] "r"(eights), [ones] "r"(ones)                                  \
                     : FB_CLOBBERS);                                                                             \
  }

// ---- SSE: two operands, so every product starts with a copy
#define X_MUL(n) "movaps %%xmm15,%%xmm12\nmulps %%xmm14,%%xmm12\naddps %%xmm12,%%xmm" n "\n"
#define X_ADD16(n) "movdqa %%xmm15,%%xmm12\npmaddubsw %%xmm14,%%xmm12\npaddw %%xmm12,%%xmm" n "\n"
#define X_WIDEN(n, sum) "movdqa %%xmm" n ",%%xmm12\npmaddwd %%xmm13,%%xmm12\npaddd %%xmm12,%%xmm" sum "\n"
#define X_MADD16(n) "movdqa %%xmm15,%%xmm12\npmaddwd %%xmm14,%%xmm12\npaddd %%xmm12,%%xmm" n "\n"
#define X_MADD8(n) "movdqa %%xmm15,%%xmm12\npmaddubsw %%xmm14,%%xmm12\npmaddwd %%xmm13,%%xmm12\npaddd %%xmm12,%%xmm" n "\n"
FB_PEAK(x_fma, FB_LOAD_SSE, FB_SUMS12(X_MUL), "")
FB_PEAK(x_add16, FB_LOAD_SSE, FB_SUMS12(X_ADD16), "")
FB_PEAK(x_madd16, FB_LOAD_SSE, FB_SUMS12(X_MADD16), "")
FB_PEAK(x_madd8, FB_LOAD_SSE, FB_SUMS12(X_MADD8), "")
FB_BLOCK_PEAK(x_dot16, FB_LOAD_SSE, X_ADD16, X_WIDEN, "")

// ---- AVX2 and AVX-512: the same, V is the register's letter
#define V_FMA(V, n) "vfmadd231ps %%" V "14,%%" V "15,%%" V n "\n"
#define V_ADD16(V, n) "vpmaddubsw %%" V "14,%%" V "15,%%" V "12\nvpaddw %%" V "12,%%" V n ",%%" V n "\n"
#define V_WIDEN(V, n, s) "vpmaddwd %%" V "13,%%" V n ",%%" V "12\nvpaddd %%" V "12,%%" V s ",%%" V s "\n"
#define V_MADD16(V, n) "vpmaddwd %%" V "14,%%" V "15,%%" V "12\nvpaddd %%" V "12,%%" V n ",%%" V n "\n"
#define V_MADD8(V, n)                                                                                            \
  "vpmaddubsw %%" V "14,%%" V "15,%%" V "12\nvpmaddwd %%" V "13,%%" V "12,%%" V "12\n"                           \
  "vpaddd %%" V "12,%%" V n ",%%" V n "\n"
#define Y_FMA(n) V_FMA("ymm", n)
#define Y_ADD16(n) V_ADD16("ymm", n)
#define Y_WIDEN(n, sum) V_WIDEN("ymm", n, sum)
#define Y_MADD16(n) V_MADD16("ymm", n)
#define Y_MADD8(n) V_MADD8("ymm", n)
#define Y_DPBUSD(n) "%{vex%} vpdpbusd %%ymm14,%%ymm15,%%ymm" n "\n"
#define Y_DPWSSD(n) "%{vex%} vpdpwssd %%ymm14,%%ymm15,%%ymm" n "\n"
#define Z_FMA(n) V_FMA("zmm", n)
#define Z_ADD16(n) V_ADD16("zmm", n)
#define Z_WIDEN(n, sum) V_WIDEN("zmm", n, sum)
#define Z_MADD16(n) V_MADD16("zmm", n)
#define Z_MADD8(n) V_MADD8("zmm", n)
#define Z_DPBUSD(n) "vpdpbusd %%zmm14,%%zmm15,%%zmm" n "\n"
#define Z_DPWSSD(n) "vpdpwssd %%zmm14,%%zmm15,%%zmm" n "\n"
#define FB_LEAVE "vzeroupper\n"
FB_PEAK(y_fma, FB_LOAD_YMM, FB_SUMS12(Y_FMA), FB_LEAVE)
FB_PEAK(y_add16, FB_LOAD_YMM, FB_SUMS12(Y_ADD16), FB_LEAVE)
FB_PEAK(y_madd16, FB_LOAD_YMM, FB_SUMS12(Y_MADD16), FB_LEAVE)
FB_PEAK(y_madd8, FB_LOAD_YMM, FB_SUMS12(Y_MADD8), FB_LEAVE)
FB_PEAK(y_dpbusd, FB_LOAD_YMM, FB_SUMS12(Y_DPBUSD), FB_LEAVE)
FB_PEAK(y_dpwssd, FB_LOAD_YMM, FB_SUMS12(Y_DPWSSD), FB_LEAVE)
FB_BLOCK_PEAK(y_dot16, FB_LOAD_YMM, Y_ADD16, Y_WIDEN, FB_LEAVE)
FB_PEAK(z_fma, FB_LOAD_ZMM, FB_SUMS12(Z_FMA), FB_LEAVE)
FB_PEAK(z_add16, FB_LOAD_ZMM, FB_SUMS12(Z_ADD16), FB_LEAVE)
FB_PEAK(z_madd16, FB_LOAD_ZMM, FB_SUMS12(Z_MADD16), FB_LEAVE)
FB_PEAK(z_madd8, FB_LOAD_ZMM, FB_SUMS12(Z_MADD8), FB_LEAVE)
FB_PEAK(z_dpbusd, FB_LOAD_ZMM, FB_SUMS12(Z_DPBUSD), FB_LEAVE)
FB_PEAK(z_dpwssd, FB_LOAD_ZMM, FB_SUMS12(Z_DPWSSD), FB_LEAVE)
FB_BLOCK_PEAK(z_dot16, FB_LOAD_ZMM, Z_ADD16, Z_WIDEN, FB_LEAVE)

// ---- AMX: four sums, two tiles of rows, two of columns; every tile 16 rows of 64 bytes
void amx_tdpbusd(const std::byte* data, std::size_t steps, std::size_t) {
  struct {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } const config;
  const std::size_t stride = 0;  // every row of a tile is the same 64 bytes
  __asm__ volatile(
      "ldtilecfg (%[config])\n"
      "tilezero %%tmm0\ntilezero %%tmm1\ntilezero %%tmm2\ntilezero %%tmm3\n"
      "tileloadd (%[data],%[stride]),%%tmm4\ntileloadd (%[data],%[stride]),%%tmm5\n"
      "tileloadd (%[data],%[stride]),%%tmm6\ntileloadd (%[data],%[stride]),%%tmm7\n"
      ".p2align 6\n1:\n"
      "tdpbusd %%tmm6,%%tmm4,%%tmm0\ntdpbusd %%tmm7,%%tmm4,%%tmm1\n"
      "tdpbusd %%tmm6,%%tmm5,%%tmm2\ntdpbusd %%tmm7,%%tmm5,%%tmm3\n"
      "dec %[steps]\njnz 1b\n"
      "tilerelease\n"
      : [steps] "+r"(steps)
      : [config] "r"(&config), [data] "r"(data), [stride] "r"(stride)
      : "cc", "memory");
}
// clang-format on

struct Row {
  Mix mix;
  void (*run)(const std::byte* data, std::size_t steps, std::size_t block);
  double macs;  ///< of one step
};

constexpr Row kRows[] = {
    {{"fma", Isa::ssse3, "mulps + addps xmm"}, x_fma, 12 * 4},
    {{"madd16", Isa::ssse3, "pmaddwd + paddd xmm"}, x_madd16, 12 * 8},
    {{"madd8", Isa::ssse3, "pmaddubsw + pmaddwd + paddd xmm"}, x_madd8, 12 * 16},
    {{"add16", Isa::ssse3, "pmaddubsw + paddw xmm"}, x_add16, 12 * 16},
    {{"dot16", Isa::ssse3, "pmaddubsw + paddw xmm, widened"}, x_dot16, 6 * 16},
    {{"fma", Isa::avx2, "vfmadd231ps ymm"}, y_fma, 12 * 8},
    {{"madd16", Isa::avx2, "vpmaddwd + vpaddd ymm"}, y_madd16, 12 * 16},
    {{"madd8", Isa::avx2, "vpmaddubsw + vpmaddwd + vpaddd ymm"}, y_madd8, 12 * 32},
    {{"add16", Isa::avx2, "vpmaddubsw + vpaddw ymm"}, y_add16, 12 * 32},
    {{"dot16", Isa::avx2, "vpmaddubsw + vpaddw ymm, widened"}, y_dot16, 6 * 32},
    {{"dpbusd", Isa::avxvnni, "vpdpbusd ymm"}, y_dpbusd, 12 * 32},
    {{"dpwssd", Isa::avxvnni, "vpdpwssd ymm"}, y_dpwssd, 12 * 16},
    {{"fma", Isa::avx512bw, "vfmadd231ps zmm"}, z_fma, 12 * 16},
    {{"madd16", Isa::avx512bw, "vpmaddwd + vpaddd zmm"}, z_madd16, 12 * 32},
    {{"madd8", Isa::avx512bw, "vpmaddubsw + vpmaddwd + vpaddd zmm"}, z_madd8, 12 * 64},
    {{"add16", Isa::avx512bw, "vpmaddubsw + vpaddw zmm"}, z_add16, 12 * 64},
    {{"dot16", Isa::avx512bw, "vpmaddubsw + vpaddw zmm, widened"}, z_dot16, 6 * 64},
    {{"dpbusd", Isa::avx512vnni, "vpdpbusd zmm"}, z_dpbusd, 12 * 64},
    {{"dpwssd", Isa::avx512vnni, "vpdpwssd zmm"}, z_dpwssd, 12 * 32},
    {{"tdpbusd", Isa::amx, "tdpbusd tmm"}, amx_tdpbusd, 4 * 16 * 16 * 64},
};

class Peak final : public Subject {
 public:
  Peak(const Row& row, std::size_t widened) : row_(&row), data_(2 * kAlignment) {
    block = widened;
    steps_ = row.mix.isa == Isa::amx ? kSteps / 16 : kSteps;
    if (block > 0) steps_ = std::max<std::size_t>(1, steps_ * 2 / block) * block;
    macs = row.macs * static_cast<double>(steps_);
    mix = row.mix.name;
    mix_isa = isa_name(row.mix.isa);
    form = row.mix.text;
    // As bytes, as 16-bit numbers and as floats ordinary values: sums stay finite and nothing is denormal.
    std::memset(data_.data(), 0x3f, kAlignment);
    for (std::size_t i = 0; i < kAlignment / 2; ++i) data_.as<std::uint16_t>()[kAlignment / 2 + i] = 1;
  }
  void call() override { row_->run(data_.data(), steps_, block); }

 private:
  const Row* row_;
  AlignedBytes data_;
  std::size_t steps_ = 0;
};

const Row* find_row(std::string_view mix, Isa isa) {
  const auto* found = std::find_if(std::begin(kRows), std::end(kRows),
                                   [&](const Row& r) { return r.mix.name == mix && r.mix.isa == isa; });
  return found == std::end(kRows) ? nullptr : found;
}

// Four streams at once, as kernels of few rows read panels.
// clang-format off
#define FB_READ_XMM(p)                                                                                           \
  "movdqa (%[" p "]),%%xmm0\nmovdqa 16(%[" p "]),%%xmm1\nmovdqa 32(%[" p "]),%%xmm2\n"                           \
  "movdqa 48(%[" p "]),%%xmm3\nmovdqa 64(%[" p "]),%%xmm0\nmovdqa 80(%[" p "]),%%xmm1\n"                         \
  "movdqa 96(%[" p "]),%%xmm2\nmovdqa 112(%[" p "]),%%xmm3\nadd $128,%[" p "]\n"
#define FB_READ_YMM(p)                                                                                           \
  "vmovdqa (%[" p "]),%%ymm0\nvmovdqa 32(%[" p "]),%%ymm1\n"                                                     \
  "vmovdqa 64(%[" p "]),%%ymm2\nvmovdqa 96(%[" p "]),%%ymm3\nadd $128,%[" p "]\n"
#define FB_STREAMS(name, READ, END)                                                                              \
  void name(const std::byte* data, std::size_t part) {                                                           \
    const std::byte* a = data;                                                                                   \
    const std::byte* b = data + part;                                                                            \
    const std::byte* c = data + 2 * part;                                                                        \
    const std::byte* d = data + 3 * part;                                                                        \
    std::size_t left = part / 128;                                                                               \
    __asm__ volatile(".p2align 6\n1:\n" READ("a") READ("b") READ("c") READ("d") "dec %[left]\njnz 1b\n" END     \
                     : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [left] "+r"(left)                     \
                     :                                                                                           \
                     : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3");                                          \
  }
FB_STREAMS(read_xmm, FB_READ_XMM, "")
FB_STREAMS(read_ymm, FB_READ_YMM, FB_LEAVE)
// clang-format on

// bytes: a multiple of 512, at least that.
void read_streams(const std::byte* data, std::size_t bytes) {
  static const auto read = runs_here(Isa::avx2) ? read_ymm : read_xmm;
  read(data, bytes / 4);
}

#else

void read_streams(const std::byte* data, std::size_t bytes) {
  const auto* words = reinterpret_cast<const std::uint64_t*>(data);
  std::uint64_t sums[4] = {};
  const std::size_t part = bytes / sizeof(std::uint64_t) / 4;
  for (std::size_t i = 0; i < part; ++i)
    for (std::size_t s = 0; s < 4; ++s) sums[s] += words[s * part + i];
  volatile std::uint64_t sink = sums[0] + sums[1] + sums[2] + sums[3];
  (void)sink;
}

#endif

class Read final : public Subject {
 public:
  explicit Read(std::size_t size) : data_(std::max(size / kUnit, std::size_t{1}) * kUnit) {
    bytes = static_cast<double>(data_.size());
    form = "read";
  }
  void call() override { read_streams(data_.data(), data_.size()); }

 private:
  static constexpr std::size_t kUnit = 512;
  AlignedBytes data_;
};

}  // namespace

std::vector<Mix> mixes() {
  std::vector<Mix> all;
#if defined(__x86_64__)
  for (const Row& row : kRows) all.push_back(row.mix);
#endif
  return all;
}

std::unique_ptr<Subject> make_peak(std::string_view mix, Isa isa, std::size_t block) {
#if defined(__x86_64__)
  const Row* row = find_row(mix, isa);
  if (row != nullptr && runs_here(isa)) {
    if ((mix == "dot16") != (block > 0)) fail(ErrorCode::invalid_argument, "mix '", mix, "' with block ", block);
    return std::make_unique<Peak>(*row, block);
  }
#else
  (void)block;
#endif
  fail(ErrorCode::unsupported, "there is no instruction mix '", mix, "' of ", isa_name(isa), " on this machine");
}

void name_mix(const GemmKernel& kernel, Subject& subject) {
  const bool dot_product = kernel.isa == Isa::avxvnni || kernel.isa == Isa::avx512vnni;
  std::string_view mix;
  switch (kernel.family) {
    case Family::f32:
      mix = "fma";
      break;
    case Family::dot32:
    case Family::lut4:
      mix = kernel.isa == Isa::amx ? "tdpbusd" : dot_product ? "dpbusd" : "madd16";
      break;
    case Family::dot32_i16:
      mix = dot_product ? "dpwssd" : "madd16";
      break;
    case Family::dot16:
      mix = "dot16";
      break;
    case Family::u4:
      mix = "add16";
      break;
    default:
      break;
  }
  for (const Mix& one : mixes()) {
    if (one.name != mix || one.isa != kernel.isa) continue;
    subject.mix = one.name;
    subject.mix_isa = isa_name(one.isa);
  }
}

std::unique_ptr<Subject> make_read(std::size_t bytes) { return std::make_unique<Read>(bytes); }

}  // namespace fewbins::bench
