// SPDX-License-Identifier: Apache-2.0
// The weights of a 3x3 convolution in an exact Winograd form: U packed for one matrix product per position, and the
// proof that the form is exact for these weights and input levels.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "kernels/kernels.h"
#include "kernels/winograd/forms.h"
#include "ops/op.h"

namespace fewbins {

// One product: the sum over taps and channels of V and U at one position of the transformed tile.
struct WinogradPosition {
  const GemmKernel* kernel = nullptr;
  size_t block = 0;
  size_t depth = 0;          // of a tap, as the kernel counts it
  size_t panel_offset = 0;   // inside a panel
  uint8_t input_offset = 0;  // byte forms: V = B^T u B + this
};

// Weights (O, I, 3, 3) of one group.
struct Kernels3x3 {
  const int8_t* w;
  size_t columns;
  size_t channels;
};

// magnitude * the largest sum |q_w| of a column: no |sum q_a * q_w| is larger.
int64_t largest_sum(const Kernels3x3& kernels, ActivationLevels levels);

class WinogradWeights {
 public:
  // Nothing where the form is not exact: V, U or the division at the end does not fit (docs/numerics.md section 6). Nor
  // where the budget does not allow for two such forms, one that is tried and one that is kept; what is kept is charged
  // by who keeps it.
  static std::optional<WinogradWeights> make(WinogradForm form, Isa isa, const Kernels3x3& kernels,
                                             ActivationLevels levels, const MemoryBudget& budget);

  [[nodiscard]] const WinogradMatrices& matrices() const { return *matrices_; }
  [[nodiscard]] const std::vector<WinogradPosition>& positions() const { return positions_; }
  [[nodiscard]] size_t nr() const { return positions_.front().kernel->nr; }
  [[nodiscard]] size_t panels() const { return panels_; }
  [[nodiscard]] const std::byte* panel(size_t panel, const WinogradPosition& position) const {
    return packed_.data() + panel * panel_bytes_ + position.panel_offset;
  }
  [[nodiscard]] size_t packed_bytes() const { return packed_.size() + constants_.size() * sizeof(int32_t); }
  // [output of a tile][column of the panel]: what A^T M A lacks to be odd * 2^shift * sum q_a * q_w, modulo 2^32.
  [[nodiscard]] const int32_t* constants(size_t panel) const {
    return constants_.data() + panel * matrices_->outputs() * nr();
  }
  // The names of the rows, each once.
  [[nodiscard]] std::string kernel_names() const;

 private:
  WinogradWeights() = default;
  // `choose(position, width)` gives another row of that width.
  template <class Choose>
  bool join_widths(const Choose& choose);

  const WinogradMatrices* matrices_ = nullptr;
  std::vector<WinogradPosition> positions_;
  size_t panels_ = 0;
  size_t panel_bytes_ = 0;  // of all positions
  AlignedBytes packed_;     // [panel][position]
  std::vector<int32_t> constants_;
};

}  // namespace fewbins
