// SPDX-License-Identifier: Apache-2.0
// Adds up the scratch memory of a step or of a slot: pieces one after the other, each on a cache line.
#pragma once

#include "base/aligned.h"
#include "base/checked.h"

namespace fewbins {

class ScratchLayout {
 public:
  // Takes room for `count` elements of `bytes` each and returns its offset, a multiple of kAlignment.
  constexpr size_t add(Size count, Size bytes) {
    const Size here = end_;
    end_ = round_up(here + count * bytes, kAlignment);
    return memory_size(here);
  }
  template <class T>
  constexpr size_t add(Size count) {
    return add(count, sizeof(T));
  }
  // The same, with kReadPadding bytes behind it: for what kernels read as an operand.
  constexpr size_t add_operand(Size bytes) { return add(bytes + kReadPadding, 1); }

  // Of all pieces, a multiple of kAlignment. Throws std::bad_alloc where no address space holds it.
  [[nodiscard]] constexpr size_t total() const { return memory_size(end_); }

 private:
  Size end_;
};

}  // namespace fewbins
