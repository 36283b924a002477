// SPDX-License-Identifier: Apache-2.0
// A file seen as memory, read-only.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace fewbins {

class MappedFile {
 public:
  // Throws Error(io) with the path and the system's reason. Folders and devices are refused.
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const std::byte* data, size_t size) : data_(data), size_(size) {}
  const std::byte* data_;  // nullptr for an empty file
  size_t size_;
};

}  // namespace fewbins
