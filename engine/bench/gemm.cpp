// SPDX-License-Identifier: Apache-2.0
// A whole matrix product on one row of kernels.inc: weights packed once, then for every call all tiles, in the order
// that the engine takes (ops/product.cpp): rows in chunks whose sums stay in the first-level cache, panels inside.
#include <algorithm>
#include <cstring>
#include <random>

#include "base/aligned.h"
#include "base/error.h"
#include "bench/bench.h"

namespace fewbins::bench {
namespace {

constexpr std::size_t kChunkBytes = 8192;  // of sums, as in ops/product.cpp
constexpr std::int32_t kLutMagnitude = 7;  // of an index, seen from the middle of the table
constexpr std::size_t kU4Depth = 288;      // the most products of one 16-bit sum of 4-bit levels, in whole quads

const GemmKernel& named_kernel(const std::string& name) {
  for (const GemmKernel& kernel : gemm_kernels()) {
    if (name != kernel.name) continue;
    if (!runs_here(kernel.isa))
      fail(ErrorCode::unsupported, "this machine cannot run '", name, "', which needs ", isa_name(kernel.isa));
    return kernel;
  }
  fail(ErrorCode::invalid_argument, "kernel '", name,
       "' is unknown or not a matrix product; `fewbins doctor` lists all");
}

bool has_row(Family family, Isa cap) {
  const auto rows = gemm_kernels();
  return std::ranges::any_of(rows, [&](const GemmKernel& k) { return k.family == family && isa_includes(cap, k.isa); });
}

class Gemm final : public Subject {
 public:
  explicit Gemm(const GemmSetup& setup) : setup_(setup) {
    std::vector<std::int8_t> weights;
    if (setup.family != Family::f32) {
      const std::int32_t magnitude = setup.family == Family::lut4 ? kLutMagnitude : setup.bins.weight;
      weights = draw_weights(setup.n, setup.k, magnitude, setup.weights);
    }
    if (setup.family == Family::u4)
      for (std::int8_t& w : weights) w = static_cast<std::int8_t>((w + 15) / 2);  // 0..15
    choose(weights);
    if ((kernel_->family == Family::lut4) != (setup.family == Family::lut4))
      fail(ErrorCode::invalid_argument, kernel_->name, " does not belong to family ", family_name(setup.family));
    name_mix(*kernel_, *this);
    kernel = kernel_->name;
    form = kernel_->family == Family::f32 ? "float32" : setup.requantize ? "requantized" : "int32";
    macs = static_cast<double>(setup.m) * static_cast<double>(setup.n) * static_cast<double>(setup.k);
    pack_all(weights);
    if (kernel_->packer == Packer::steps) block = steps_per_block();
    bytes = static_cast<double>(packed_.size());
    fill_input();
    point_rows();
    const std::size_t tiles = std::max<std::size_t>(1, kChunkBytes / (kernel_->nr * 4 * kernel_->mr));
    chunk_rows_ = tiles * kernel_->mr;
    sums_ = AlignedBytes(chunk_rows_ * kernel_->nr * 4);
    part_sums_ = AlignedBytes(kernel_->mr * kernel_->nr * 4);
    output_ = AlignedBytes(setup.m * setup.n * (setup.requantize ? 1 : 4));
    prepare_store(weights);
  }

  void call() override {
    const std::size_t panels = (setup_.n + kernel_->nr - 1) / kernel_->nr;
    for (std::size_t first = 0; first < setup_.m; first += chunk_rows_) {
      const std::size_t rows = std::min(chunk_rows_, setup_.m - first);
      for (std::size_t panel = 0; panel < panels; ++panel) {
        run_panel(panel, first, rows);
        store(panel, first, rows);
      }
    }
  }

 private:
  void choose(const std::vector<std::int8_t>& weights) {
    const bool by_name = !setup_.kernel.empty();
    if (by_name) kernel_ = &named_kernel(setup_.kernel);
    const Family family = by_name ? kernel_->family : setup_.family;
    parts_ = family == Family::u4 ? (setup_.k + kU4Depth - 1) / kU4Depth : 1;
    part_depth_ = ((setup_.k + parts_ - 1) / parts_ + 3) / 4 * 4;
    if (parts_ == 1) part_depth_ = setup_.k;
    if (family == Family::dot16) {
      const WeightView view{weights.data(), setup_.n, 1, setup_.k};
      // The proof of a row that was named is its own; else the row that is chosen gets its own below.
      const auto proven = [&] {
        return by_name ? block_for(*kernel_, view, setup_.bins.levels) : block_for(view, setup_.bins.levels);
      };
      const auto is_exact = [&] {
        return by_name ? block_is_exact(*kernel_, view, setup_.bins.levels, block)
                       : block_is_exact(view, setup_.bins.levels, block);
      };
      block = setup_.block != 0 ? setup_.block : proven();
      if (block == 0 || (setup_.block != 0 && !is_exact()))
        fail(ErrorCode::unsupported, "16-bit sums of these levels may overflow in blocks of ",
             std::max<std::size_t>(1, block), " quads");
    }
    if (!by_name && !has_row(family, setup_.cap))
      fail(ErrorCode::unsupported, "there is no kernel of family ", family_name(family), " for ", isa_name(setup_.cap));
    if (!by_name) kernel_ = &select_gemm(family, setup_.cap, {setup_.n, 1, part_depth_, block, setup_.m});
    if (kernel_->family != Family::dot16) block = 0;
    if (block != 0 && setup_.block == 0)
      block = block_for(*kernel_, {weights.data(), setup_.n, 1, setup_.k}, setup_.bins.levels);
    if (setup_.requantize &&
        (kernel_->family == Family::f32 || kernel_->family == Family::u4 || kernel_->family == Family::lut4))
      fail(ErrorCode::unsupported, kernel_->name, " has no requantized output here");
  }

  void pack_all(const std::vector<std::int8_t>& weights) {
    const std::size_t n = setup_.n;
    panel_bytes_ = panel_bytes(*kernel_, 1, part_depth_, block);
    const std::size_t part_bytes = packed_bytes(*kernel_, n, 1, part_depth_, block);
    packed_ = AlignedBytes(parts_ * part_bytes);
    if (kernel_->family == Family::f32) {
      std::vector<float> floats(n * setup_.k);
      std::mt19937 random(2);
      for (float& w : floats) w = static_cast<float>(static_cast<int>(random() % 255) - 127) / 127.0F;
      pack_f32(*kernel_, floats.data(), n, 1, setup_.k, packed_.data());
    } else if (kernel_->family == Family::dot32_i16) {
      const std::vector<std::int16_t> wide(weights.begin(), weights.end());
      pack_i16(*kernel_, wide.data(), n, 1, setup_.k, packed_.data());
    } else if (kernel_->family == Family::lut4) {
      std::vector<std::uint8_t> indices(weights.size());
      std::int8_t table[16];
      for (std::int32_t i = 0; i < 16; ++i) table[i] = static_cast<std::int8_t>((i - 8) * 127 / 8);
      for (std::size_t i = 0; i < weights.size(); ++i) indices[i] = static_cast<std::uint8_t>(weights[i] + 8);
      pack_lut4(*kernel_, indices.data(), table, n, 1, setup_.k, packed_.data());
    } else if (parts_ == 1) {
      pack(*kernel_, {weights.data(), n, 1, setup_.k}, setup_.bins.levels, block, packed_.data());
    } else {
      std::vector<std::int8_t> part(n * part_depth_);
      for (std::size_t p = 0; p < parts_; ++p) {
        const std::size_t begin = p * part_depth_;
        const std::size_t depth = std::min(part_depth_, setup_.k - begin);
        std::fill(part.begin(), part.end(), std::int8_t{0});
        for (std::size_t j = 0; j < n; ++j)
          std::copy_n(weights.data() + j * setup_.k + begin, depth, part.data() + j * part_depth_);
        pack(*kernel_, {part.data(), n, 1, part_depth_}, setup_.bins.levels, 0, packed_.data() + p * part_bytes);
      }
    }
  }

  // Panels that carry the lengths of their blocks (kernels/dot16/README.md, `steps`): the mean length.
  [[nodiscard]] std::size_t steps_per_block() const {
    const std::size_t lanes = kernel_->ks / 2;
    const std::size_t of_panel = (setup_.k + kernel_->ks - 1) / kernel_->ks;
    std::size_t blocks = 0;
    for (std::size_t at = 0; at < packed_.size(); at += panel_bytes_) {
      const std::byte* block_start = packed_.data() + at;
      for (std::size_t step = 0; step < of_panel; ++blocks) {
        std::uint32_t steps = 0;
        std::memcpy(&steps, block_start, sizeof steps);
        step += steps;
        block_start += 16 + kernel_->nr * lanes * sizeof(std::int16_t) + steps * kernel_->nr * kernel_->ks;
      }
    }
    const std::size_t panels = packed_.size() / panel_bytes_;
    return std::max<std::size_t>(1, (panels * of_panel + blocks / 2) / blocks);
  }

  [[nodiscard]] std::size_t element_bytes() const {
    return kernel_->family == Family::f32 ? 4 : kernel_->family == Family::dot32_i16 ? 2 : 1;
  }

  void fill_input() {
    input_ = AlignedBytes(setup_.m * setup_.k * element_bytes());
    std::mt19937 random(3);
    const auto bins = static_cast<std::uint32_t>(setup_.bins.levels.hi - setup_.bins.levels.lo + 1);
    for (std::size_t i = 0; i < setup_.m * setup_.k; ++i) {
      const auto u = static_cast<std::uint32_t>(random() % bins);
      if (element_bytes() == 4) {
        input_.as<float>()[i] = static_cast<float>(u) / static_cast<float>(bins) - 0.5F;
      } else if (element_bytes() == 2) {
        input_.as<std::int16_t>()[i] = static_cast<std::int16_t>(u);
      } else {
        input_.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(u);
      }
    }
  }

  // pointers[part][tile][row]; the last tile repeats its last row.
  void point_rows() {
    const std::size_t rows = (setup_.m + kernel_->mr - 1) / kernel_->mr * kernel_->mr;
    for (std::size_t part = 0; part < parts_; ++part) {
      for (std::size_t i = 0; i < rows; ++i) {
        const std::size_t row = std::min(i, setup_.m - 1);
        pointers_.push_back(input_.data() + (row * setup_.k + part * part_depth_) * element_bytes());
      }
    }
    rows_of_part_ = rows;
  }

  void run_panel(std::size_t panel, std::size_t first, std::size_t rows) {
    const std::size_t part_bytes = packed_.size() / parts_;
    for (std::size_t row = 0; row < rows; row += kernel_->mr) {
      auto* tile = sums_.as<std::int32_t>() + row * kernel_->nr;
      GemmTask task{.rows = pointers_.data() + first + row,
                    .taps = 1,
                    .depth = depth_of(*kernel_, part_depth_),
                    .panel = packed_.data() + panel * panel_bytes_,
                    .tile = tile,
                    .block = block,
                    .m = std::min(kernel_->mr, rows - row)};
      kernel_->run(task);
      for (std::size_t part = 1; part < parts_; ++part) {
        task.rows = pointers_.data() + part * rows_of_part_ + first + row;
        task.depth = depth_of(*kernel_, std::min(part_depth_, setup_.k - part * part_depth_));
        task.panel = packed_.data() + part * part_bytes + panel * panel_bytes_;
        task.tile = part_sums_.data();
        kernel_->run(task);
        const auto* more = part_sums_.as<std::int32_t>();
        for (std::size_t i = 0; i < kernel_->mr * kernel_->nr; ++i) tile[i] += more[i];
      }
    }
  }

  // Constants that spread the sums over the levels.
  void prepare_store(const std::vector<std::int8_t>& weights) {
    if (!setup_.requantize) return;
    const ActivationLevels& levels = setup_.bins.levels;
    const std::int32_t z = (levels.lo + levels.hi) / 2;
    bias_.resize(setup_.n);
    column_sums({weights.data(), setup_.n, 1, setup_.k}, bias_.data());
    for (std::int32_t& b : bias_) b = folded_bias(kernel_->family, 0, b, levels.lo, z);
    multiplier_.assign(setup_.n, 8.0F / static_cast<float>(setup_.bins.weight) / static_cast<float>(setup_.k));
    elementwise_ = &select_elementwise(setup_.kernel.empty() ? setup_.cap : kernel_->isa);
  }

  void store(std::size_t panel, std::size_t first, std::size_t rows) {
    const std::size_t column = panel * kernel_->nr;
    const std::size_t columns = std::min(kernel_->nr, setup_.n - column);
    const auto* sums = sums_.as<std::int32_t>();
    if (setup_.requantize) {
      RequantizeTask task{};
      task.acc = sums;
      task.acc_stride = kernel_->nr;
      task.rows = rows;
      task.cols = columns;
      task.bias = bias_.data() + column;
      task.m = multiplier_.data() + column;
      task.store = {setup_.bins.levels.lo, setup_.bins.levels.hi, -setup_.bins.levels.lo, nullptr};
      task.out = output_.as<std::uint8_t>() + first * setup_.n + column;
      task.out_stride = setup_.n;
      elementwise_->requantize_float(task);
      return;
    }
    auto* out = output_.as<std::int32_t>() + first * setup_.n + column;
    for (std::size_t i = 0; i < rows; ++i) std::memcpy(out + i * setup_.n, sums + i * kernel_->nr, columns * 4);
  }

  GemmSetup setup_;
  const GemmKernel* kernel_ = nullptr;
  const ElementwiseKernels* elementwise_ = nullptr;
  std::size_t parts_ = 1;  // u4: sums of at most kU4Depth products, added in 32 bits
  std::size_t part_depth_ = 0;
  std::size_t panel_bytes_ = 0;
  std::size_t chunk_rows_ = 1;
  std::size_t rows_of_part_ = 0;
  AlignedBytes packed_;
  AlignedBytes input_;
  AlignedBytes sums_;
  AlignedBytes part_sums_;
  AlignedBytes output_;
  std::vector<const void*> pointers_;
  std::vector<std::int32_t> bias_;
  std::vector<float> multiplier_;
};

}  // namespace

std::unique_ptr<Subject> make_gemm(const GemmSetup& setup) { return std::make_unique<Gemm>(setup); }

}  // namespace fewbins::bench
