// SPDX-License-Identifier: Apache-2.0
#include "file/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <system_error>

#include "base/error.h"

namespace fewbins {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail_io(const std::string& path, int number) {
  fail(ErrorCode::io, "cannot read '", path, "': ", std::generic_category().message(number));
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for a writer; for plain files it means nothing.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) fail_io(path, errno);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) fail_io(path, errno);
  if (S_ISDIR(info.st_mode)) fail_io(path, EISDIR);
  if (!S_ISREG(info.st_mode)) fail(ErrorCode::io, "cannot read '", path, "': it is not a regular file");
  if (static_cast<uint64_t>(info.st_size) > std::numeric_limits<size_t>::max()) fail_io(path, EFBIG);
  const auto size = static_cast<size_t>(info.st_size);
  const std::byte* data = nullptr;
  if (size > 0) {
    void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (memory == MAP_FAILED) fail_io(path, errno);
    data = static_cast<const std::byte*>(memory);
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(data, size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace fewbins
