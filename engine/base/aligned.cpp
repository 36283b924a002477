// SPDX-License-Identifier: Apache-2.0
#include "base/aligned.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fewbins {
namespace {

constexpr std::size_t kLargePage = std::size_t{2} << 20;

std::align_val_t border_of(std::size_t size) {
  return std::align_val_t{size >= kLargePage / 2 ? kLargePage : kAlignment};
}

}  // namespace

std::byte* allocate_aligned(std::size_t size) {
  auto* data = static_cast<std::byte*>(::operator new(size, border_of(size)));
#if defined(MADV_HUGEPAGE)
  if (size >= kLargePage / 2) ::madvise(data, size, MADV_HUGEPAGE);  // advice: it may fail
#endif
  return data;
}

void free_aligned(std::byte* data, std::size_t size) noexcept { ::operator delete(data, border_of(size)); }

}  // namespace fewbins
