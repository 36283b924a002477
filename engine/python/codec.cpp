// SPDX-License-Identifier: Apache-2.0
#include <span>
#include <vector>

#include "base/error.h"
#include "file/crc32c.h"
#include "file/rans.h"
#include "python/bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace fewbins {
namespace {

std::span<const std::byte> view(const nb::bytes& bytes) {
  return {static_cast<const std::byte*>(bytes.data()), bytes.size()};
}

nb::bytes decode(const nb::bytes& blob, size_t count) {
  // The blob names its own size; a caller's count that differs is refused before memory of that size is taken.
  const auto coded = view(blob);
  size_t stored = 0;
  for (size_t i = 0; i < 4 && coded.size() >= 4; ++i) stored |= std::to_integer<size_t>(coded[i]) << (8 * i);
  if (stored != count) {
    fail(ErrorCode::model_file, "rANS blob: it decodes to ", stored, " bytes where ", count, " were expected");
  }
  std::vector<std::byte> out(count);
  rans_decode(coded, out);
  return nb::bytes(out.data(), out.size());
}

}  // namespace

void bind_codec(nb::module_& module) {
  module.def(
      "crc32c", [](const nb::bytes& data) { return crc32c(view(data)); }, "data"_a,
      "The CRC32C (Castagnoli) of some bytes.");
  module.def(
      "rans_encode",
      [](const nb::bytes& data) {
        const std::vector<std::byte> blob = rans_encode(view(data));
        return nb::bytes(blob.data(), blob.size());
      },
      "data"_a, "Bytes as an rANS blob, as weights are stored in a model file.");
  module.def("rans_decode", &decode, "blob"_a, "count"_a, "The `count` bytes that a blob holds.");
}

}  // namespace fewbins
