// SPDX-License-Identifier: Apache-2.0
// The matrix product under Conv, ConvTranspose and Gemm: rows of the input times packed weights, then the epilogue.
// Nothing is copied: a row is one pointer per tap ("indirect convolution").
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/aligned.h"
#include "kernels/kernels.h"
#include "ops/epilogue.h"
#include "ops/op.h"
#include "ops/taps.h"

namespace fewbins {

struct ProductShape {
  Size groups = 1;
  Size columns = 1;  // per group: output channels
  Size taps = 1;
  Size channels = 1;  // per group and tap: input channels
  int64_t rows = 0;   // of a run, as expected: a matter of speed alone; 0: many
};

// int8 weights [group][column][tap][channel]; where they come from a table of 16, also the indices into it.
struct IntegerWeights {
  std::vector<int8_t> values;
  std::vector<uint8_t> indices = {};
  std::vector<int8_t> table = {};
};

// Where the rows lie. Steps count elements.
struct RowSource {
  std::optional<Taps> windows;  // a row is the window of an output pixel; nothing: one tap, row m at m * step
  int64_t image_step = 0;       // of windows
  int64_t step = 0;
};

// Where the rows go: runs of `run` rows that lie `step` elements apart, lines of such runs, images of such lines.
struct RowTarget {
  int64_t start = 0;
  int64_t run = 1;
  int64_t step = 0;
  int64_t lines = 1;  // per image
  int64_t line_step = 0;
  int64_t image_step = 0;
};

class Product {
 public:
  // `bias` has one entry per output channel.
  Product(const OpContext& context, const ProductShape& shape, const IntegerWeights& weights,
          const std::vector<int32_t>& bias, const AffineInfo& input);
  Product(const OpContext& context, const ProductShape& shape, const std::vector<float>& weights);

  [[nodiscard]] const char* kernel_name() const { return kernel_->name; }
  [[nodiscard]] size_t scratch_bytes_per_slot() const;
  [[nodiscard]] const ProductShape& shape() const { return shape_; }

  // Computes `rows` rows. `data` is the first image; the residual, or nullptr, has the target's layout.
  struct Call {
    const std::byte* data = nullptr;
    const void* residual = nullptr;
    void* out = nullptr;
    int64_t rows = 0;
    const RowSource& source;
    const RowTarget& target;
    const Epilogue& epilogue;
  };
  void run(const Call& call, const RunArgs& args) const;

 private:
  struct Part;  // what one task of the thread pool computes

  void plan_chunks();
  void pack_group(const IntegerWeights& weights, const WeightView& all, ActivationLevels levels, int64_t group);
  void point_rows(const Call& call, const Part& part, const void** pointers) const;
  void run_part(const Call& call, const Part& part, std::byte* scratch) const;
  void store(const Call& call, const Part& part, const std::byte* acc, int64_t panel) const;

  ProductShape shape_;
  const GemmKernel* kernel_;
  size_t block_ = 0;
  int32_t u4_zero_ = 0;  // zero point of the weights of a u4 kernel
  size_t element_bytes_ = 1;
  size_t depth_ = 0;
  size_t panel_bytes_ = 0;
  int64_t panels_ = 1;         // per group
  int64_t chunk_rows_ = 1;     // rows that share pointers and meet a panel while it is in cache
  AlignedBytes packed_;        // [group][panel]
  AlignedBytes padding_;       // one row of zero points
  std::vector<int32_t> bias_;  // folded, one per output channel; empty for floats
};

}  // namespace fewbins
