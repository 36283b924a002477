// SPDX-License-Identifier: Apache-2.0
// Memory for packed weights, tiles and arenas: starts on a cache line, and may be read a little past its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "base/checked.h"

namespace fewbins {

inline constexpr std::size_t kAlignment = 64;    ///< one cache line, one zmm register
inline constexpr std::size_t kReadPadding = 64;  ///< bytes past the end that kernels may read and must not need

/// Memory on a border of at least kAlignment, not cleared; large pieces ask for large pages, since packed weights are
/// read from end to end and would miss the address cache at every 4 KiB. Throws std::bad_alloc.
std::byte* allocate_aligned(std::size_t size);
void free_aligned(std::byte* data, std::size_t size) noexcept;

/// Owns `size` bytes on a 64-byte border, all zero at first, with kReadPadding readable zero bytes behind them.
/// Throws std::bad_alloc when there is no such memory.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(std::size_t size) : size_(size) {
    if (size > std::numeric_limits<std::size_t>::max() - kReadPadding) throw std::bad_alloc();
    data_ = allocate_aligned(size + kReadPadding);
    std::memset(data_, 0, size + kReadPadding);
  }
  AlignedBytes(AlignedBytes&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBytes& operator=(AlignedBytes&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  ~AlignedBytes() {
    if (data_ != nullptr) free_aligned(data_, size_ + kReadPadding);
  }

  [[nodiscard]] std::byte* data() { return data_; }
  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  /// The memory seen as elements of type T.
  template <class T>
  [[nodiscard]] T* as() {
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  [[nodiscard]] const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace fewbins
