// SPDX-License-Identifier: Apache-2.0
#include "npy.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "file/mapped_file.h"

namespace fewbins {
namespace {

struct Descr {
  std::string_view text;
  DType dtype;
};

// How NumPy writes our types; levels are written as the bytes that they are.
constexpr std::array kDescrs = {Descr{"<f4", DType::f32}, Descr{"|u1", DType::u8},  Descr{"|b1", DType::b8},
                                Descr{"<i4", DType::i32}, Descr{"<i8", DType::i64}, Descr{"|u1", DType::levels},
                                Descr{"|i1", DType::i8}};

constexpr std::string_view kMagic = "\x93NUMPY";

[[noreturn]] void fail_format(const std::string& path, std::string_view what) {
  fail(ErrorCode::invalid_argument, "'", path, "' ", what,
       "; save it with numpy.save as float32, bool, uint8, int32 or int64, C order");
}

// Reads the header's dict literal: {'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  void read(NpyArray& array) {
    bool seen[3] = {false, false, false};
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr") {
        array.dtype = dtype_of(quoted());
        seen[0] = true;
      } else if (key == "fortran_order") {
        if (word() != "False") fail_format(path_, "is in Fortran order");
        seen[1] = true;
      } else if (key == "shape") {
        array.dims = shape();
        seen[2] = true;
      } else {
        fail_format(path_, "has an unknown key in its header");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_spaces();
    if (!text_.empty() || !seen[0] || !seen[1] || !seen[2]) fail_format(path_, "has a malformed header");
  }

 private:
  void skip_spaces() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n')) text_.remove_prefix(1);
  }
  bool accept(char wanted) {
    skip_spaces();
    if (text_.empty() || text_[0] != wanted) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) fail_format(path_, "has a malformed header");
  }
  std::string_view quoted() {
    expect('\'');
    const size_t end = text_.find('\'');
    if (end == std::string_view::npos) fail_format(path_, "has a malformed header");
    const std::string_view found = text_.substr(0, end);
    text_.remove_prefix(end + 1);
    return found;
  }
  std::string_view word() {
    skip_spaces();
    size_t end = 0;
    while (end < text_.size() && std::isalpha(static_cast<unsigned char>(text_[end])) != 0) ++end;
    const std::string_view found = text_.substr(0, end);
    text_.remove_prefix(end);
    return found;
  }
  DType dtype_of(std::string_view descr) {
    const auto* row = std::ranges::find(kDescrs, descr, &Descr::text);
    if (row != kDescrs.end()) return row->dtype;
    fail_format(path_, "holds '" + std::string(descr) + "'");
  }
  Dims shape() {
    Dims dims;
    expect('(');
    while (!accept(')')) {
      skip_spaces();
      int64_t size = 0;
      const auto [end, problem] = std::from_chars(text_.data(), text_.data() + text_.size(), size);
      if (problem != std::errc() || dims.rank == kMaxRank) fail_format(path_, "has a malformed shape");
      text_.remove_prefix(static_cast<size_t>(end - text_.data()));
      dims[dims.rank++] = size;
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    if (!dims.within_limits()) fail_format(path_, "has the impossible shape " + dims.text());
    return dims;
  }

  std::string_view text_;
  const std::string& path_;
};

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

[[noreturn]] void fail_write(const std::string& path, const std::string& temporary, int number) {
  if (!temporary.empty()) std::remove(temporary.c_str());
  fail(ErrorCode::io, "cannot write '", path, "': ", std::generic_category().message(number), "; nothing was written");
}

std::string header_of(DType dtype, const Dims& dims) {
  std::string shape;
  for (const int64_t size : dims.span()) shape += std::to_string(size) + ", ";
  if (dims.rank > 1) shape.resize(shape.size() - 2);
  if (dims.rank == 1) shape.resize(shape.size() - 1);
  std::string text = "{'descr': '";
  text += std::ranges::find(kDescrs, dtype, &Descr::dtype)->text;
  text += "', 'fortran_order': False, 'shape': (" + shape + "), }";
  // The data start on 64 bytes: 6 of magic, 2 of version, 2 of length, the text, a newline.
  text.append((64 - (text.size() + 11) % 64) % 64, ' ');
  text += '\n';
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(text.size() & 255U), static_cast<char>(text.size() >> 8)};
  return header + text;
}

}  // namespace

NpyArray read_npy(const std::string& path) {
  const auto file = MappedFile::open(path);
  const std::span<const std::byte> bytes = file->bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < 12 || !text.starts_with(kMagic)) fail_format(path, "is not a .npy file");
  const auto byte = [&](size_t i) { return std::to_integer<size_t>(bytes[i]); };
  const size_t version = byte(6);
  if (version < 1 || version > 3) fail_format(path, "has an unknown format version");
  const size_t start = version == 1 ? 10 : 12;
  const size_t length =
      version == 1 ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  if (length > text.size() - start) fail_format(path, "is truncated");
  NpyArray array;
  HeaderReader(text.substr(start, length), path).read(array);
  const std::span<const std::byte> data = bytes.subspan(start + length);
  const size_t need = memory_size(array.dims.count() * dtype_bytes(array.dtype));
  if (data.size() != need)
    fail(ErrorCode::invalid_argument, "'", path, "' has ", data.size(), " bytes of data; its shape ", array.dims.text(),
         " needs ", need);
  array.data.assign(data.begin(), data.end());
  return array;
}

void write_npy(const std::string& path, DType dtype, const Dims& dims, std::span<const std::byte> data) {
  const std::string temporary = path + ".part";
  {
    const std::unique_ptr<std::FILE, FileCloser> file(std::fopen(temporary.c_str(), "wb"));
    if (file == nullptr) fail_write(path, "", errno);
    const std::string header = header_of(dtype, dims);
    const bool written = std::fwrite(header.data(), 1, header.size(), file.get()) == header.size() &&
                         std::fwrite(data.data(), 1, data.size(), file.get()) == data.size() &&
                         std::fflush(file.get()) == 0;
    if (!written) fail_write(path, temporary, errno);
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) fail_write(path, temporary, errno);
}

}  // namespace fewbins
