// SPDX-License-Identifier: Apache-2.0
#include "ops/product.h"

#include <algorithm>
#include <cstring>

#include "base/thread_pool.h"
#include "kernels/pack_u4.h"

namespace fewbins {

namespace {

// A chunk's sums of one panel and its row pointers stay in the first-level cache beside the panel.
constexpr size_t kTileBytes = 8192;
constexpr size_t kPointerBytes = 16384;

size_t index(int64_t i) { return static_cast<size_t>(i); }

size_t round_up(size_t x, size_t to) { return (x + to - 1) / to * to; }

}  // namespace

Product::Product(const OpContext& context, const ProductShape& shape, const IntegerWeights& weights,
                 const std::vector<int32_t>& bias, const AffineInfo& input)
    : shape_(shape) {
  const size_t columns = index(shape.groups * shape.columns);
  WeightView all{weights.values.data(), columns, index(shape.taps), index(shape.channels)};
  const ActivationLevels levels{input.lo, input.hi};
  std::vector<int8_t> u4_weights;
  // The proof of a block looks at quads of channels of every tap; sums are for the bias, u4 starts weights at zero.
  const Size quads = Size(columns) * shape.taps * ceil_div(shape.channels, 4);
  const auto loan = context.budget.borrow(quads * 16 + Size(columns) * sizeof(int32_t) + weights.values.size(),
                                          "the choice of its kernel");
  if (const GemmKernel* u4 = forced_u4(context.isa, context.forced_kernel, all, levels)) {
    kernel_ = u4;
    u4_zero_ = u4_weight_zero(all).value();
    for (const int8_t w : weights.values) u4_weights.push_back(static_cast<int8_t>(w + u4_zero_));
    all.w = u4_weights.data();
  } else {
    const GemmChoice choice =
        choose_gemm(Family::dot16, context.isa, all, levels, context.forced_kernel, index(shape.rows));
    kernel_ = choice.kernel;
    block_ = choice.block;
    if (!weights.indices.empty() && kernel_->name != context.forced_kernel) {
      const GemmProblem problem{.n = all.n, .taps = all.taps, .channels = all.channels, .m = index(shape.rows)};
      if (const GemmKernel* lut4 = select_lut4(context.isa, problem, context.forced_kernel)) kernel_ = lut4;
    }
  }
  context.note_kernel(kernel_->name);
  panel_bytes_ = panel_bytes(*kernel_, all.taps, all.channels, block_);
  plan_chunks();
  packed_ = AlignedBytes(context.budget.charge(Size(shape.groups) * panels_ * panel_bytes_, "packed weights"));
  for (int64_t group = 0; group < shape.groups; ++group) pack_group(weights, all, levels, group);
  context.budget.charge(Size(columns) * sizeof(int32_t), "folded bias");
  bias_ = bias;
  std::vector<int32_t> sums(columns);
  column_sums(all, sums.data());
  for (size_t n = 0; n < columns; ++n) {
    bias_[n] = kernel_->family == Family::u4
                   ? u4_folded_bias(bias_[n], sums[n], all.taps * all.channels, {input.zero_point, u4_zero_})
                   : folded_bias(kernel_->family, bias_[n], sums[n], input.lo, input.zero_point);
  }
  padding_ = AlignedBytes(context.budget.charge(shape.channels, "padding"));
  std::memset(padding_.data(), input.zero_point - input.lo, index(shape.channels));
}

Product::Product(const OpContext& context, const ProductShape& shape, const std::vector<float>& weights)
    : shape_(shape), element_bytes_(sizeof(float)) {
  const size_t columns = index(shape.columns);
  const size_t taps = index(shape.taps);
  const size_t channels = index(shape.channels);
  const GemmProblem problem{.n = columns, .taps = taps, .channels = channels};
  kernel_ = &select_gemm(Family::f32, context.isa, problem, context.forced_kernel);
  context.note_kernel(kernel_->name);
  panel_bytes_ = panel_bytes(*kernel_, taps, channels, 0);
  plan_chunks();
  packed_ = AlignedBytes(context.budget.charge(Size(shape.groups) * panels_ * panel_bytes_, "packed weights"));
  for (int64_t group = 0; group < shape.groups; ++group)
    pack_f32(*kernel_, weights.data() + index(group) * columns * taps * channels, columns, taps, channels,
             packed_.data() + index(group * panels_) * panel_bytes_);
  padding_ = AlignedBytes(context.budget.charge(Size(channels) * sizeof(float), "padding"));
}

void Product::pack_group(const IntegerWeights& weights, const WeightView& all, ActivationLevels levels, int64_t group) {
  const size_t first = index(group * shape_.columns) * all.taps * all.channels;
  std::byte* out = packed_.data() + index(group * panels_) * panel_bytes_;
  if (kernel_->family == Family::lut4) {
    pack_lut4(*kernel_, weights.indices.data() + first, weights.table.data(), index(shape_.columns), all.taps,
              all.channels, out);
  } else {
    pack(*kernel_, {all.w + first, index(shape_.columns), all.taps, all.channels}, levels, block_, out);
  }
}

void Product::plan_chunks() {
  depth_ = depth_of(*kernel_, index(shape_.channels));
  panels_ = (shape_.columns + static_cast<int64_t>(kernel_->nr) - 1) / static_cast<int64_t>(kernel_->nr);
  const size_t by_tile = kTileBytes / (kernel_->nr * sizeof(int32_t));
  const size_t by_pointers = kPointerBytes / (index(shape_.taps) * sizeof(void*));
  const size_t tiles = std::max<size_t>(1, std::min(by_tile, by_pointers) / kernel_->mr);
  chunk_rows_ = static_cast<int64_t>(tiles * kernel_->mr);
}

size_t Product::scratch_bytes_per_slot() const {
  const size_t rows = index(chunk_rows_);
  const size_t pointers = round_up(rows * index(shape_.taps) * sizeof(void*), 64);
  const size_t row_sums = kernel_->family == Family::u4 ? rows * sizeof(int32_t) : 0;
  return round_up(rows * kernel_->nr * sizeof(int32_t), 64) + pointers + row_sums;
}

struct Product::Part {
  int64_t group = 0;
  int64_t first_row = 0;
  int64_t end_row = 0;
  int64_t first_panel = 0;
  int64_t end_panel = 0;
};

void Product::run(const Call& call, const RunArgs& args) const {
  const int64_t chunks = (call.rows + chunk_rows_ - 1) / chunk_rows_;
  // Few rows: the panels are shared out too, so that every thread has some.
  const int64_t wanted = args.pool.size() == 1 ? 1 : 4 * int64_t{args.pool.size()};
  const int64_t splits =
      std::clamp<int64_t>((wanted + chunks * shape_.groups - 1) / (chunks * shape_.groups), 1, panels_);
  args.pool.parallel_for(shape_.groups * chunks * splits, 1, [&](int64_t begin, int64_t end, int slot) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t split = task % splits;
      const int64_t chunk = task / splits % chunks;
      const Part part{.group = task / splits / chunks,
                      .first_row = chunk * chunk_rows_,
                      .end_row = std::min((chunk + 1) * chunk_rows_, call.rows),
                      .first_panel = split * panels_ / splits,
                      .end_panel = (split + 1) * panels_ / splits};
      run_part(call, part, args.scratch_of(slot));
    }
  });
}

// pointers[tile][tap][row of the tile]; the last tile repeats its last row.
void Product::point_rows(const Call& call, const Part& part, const void** pointers) const {
  const RowSource& source = call.source;
  const auto mr = static_cast<int64_t>(kernel_->mr);
  const int64_t taps = shape_.taps;
  const auto bytes = static_cast<int64_t>(element_bytes_);
  const std::byte* data = call.data + part.group * shape_.channels * bytes;
  const int64_t tiles = (part.end_row - part.first_row + mr - 1) / mr;
  int64_t row = part.first_row;
  if (!source.windows) {
    for (int64_t i = 0; i < tiles * mr; ++i, row += row + 1 < part.end_row ? 1 : 0)
      pointers[i] = data + row * source.step * bytes;
    return;
  }
  const Taps& windows = *source.windows;
  PixelCursor at(row, windows);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const void** group = pointers + tile * taps * mr;
    int64_t i = 0;
    while (i < mr && row < part.end_row) {
      const int64_t run = at.run(std::min(mr - i, part.end_row - row), windows);
      windows.point(data + at.image * source.image_step * bytes, at.y, at.x, run, padding_.data(), group + i, 1, mr);
      at.advance(run, windows);
      row += run;
      i += run;
    }
    for (; i < mr; ++i)
      for (int64_t t = 0; t < taps; ++t) group[t * mr + i] = group[t * mr + i - 1];
  }
}

void Product::run_part(const Call& call, const Part& part, std::byte* scratch) const {
  const size_t acc_bytes = round_up(index(chunk_rows_) * kernel_->nr * sizeof(int32_t), 64);
  std::byte* acc = scratch;
  auto** pointers = reinterpret_cast<const void**>(scratch + acc_bytes);
  point_rows(call, part, pointers);
  const size_t rows = index(part.end_row - part.first_row);
  const size_t mr = kernel_->mr;
  const bool is_u4 = kernel_->family == Family::u4;
  const size_t pointer_bytes = round_up(index(chunk_rows_) * index(shape_.taps) * sizeof(void*), 64);
  auto* row_sums = reinterpret_cast<int32_t*>(scratch + acc_bytes + pointer_bytes);
  for (size_t row = 0; is_u4 && row < rows; row += mr) {
    u4_row_sums(pointers + row * index(shape_.taps), mr, std::min(mr, rows - row), index(shape_.taps),
                index(shape_.channels), row_sums + row);
  }
  for (int64_t panel = part.first_panel; panel < part.end_panel; ++panel) {
    GemmTask task{.rows = pointers,
                  .taps = index(shape_.taps),
                  .depth = depth_,
                  .panel = packed_.data() + index(part.group * panels_ + panel) * panel_bytes_,
                  .tile = acc,
                  .block = block_};
    for (size_t row = 0; row < rows; row += mr) {
      task.rows = pointers + row * task.taps;
      task.tile = acc + row * kernel_->nr * sizeof(int32_t);
      task.m = std::min(mr, rows - row);
      kernel_->run(task);
      if (is_u4) u4_subtract_rows(static_cast<int32_t*>(task.tile), kernel_->nr, task.m, row_sums + row, u4_zero_);
    }
    store(call, part, acc, panel);
  }
}

void Product::store(const Call& call, const Part& part, const std::byte* acc, int64_t panel) const {
  const RowTarget& target = call.target;
  const auto nr = static_cast<int64_t>(kernel_->nr);
  const int64_t column = panel * nr;
  const int64_t first = part.group * shape_.columns + column;
  const auto bytes = static_cast<int64_t>(call.epilogue.output_bytes());
  for (int64_t row = part.first_row; row < part.end_row;) {
    const int64_t line = row / target.run;
    const int64_t end = std::min(part.end_row, (line + 1) * target.run);
    const int64_t offset = target.start + line / target.lines * target.image_step +
                           line % target.lines * target.line_step + row % target.run * target.step + first;
    call.epilogue.run(
        {.acc = acc + index((row - part.first_row) * nr) * sizeof(int32_t),
         .acc_stride = kernel_->nr,
         .rows = index(end - row),
         .cols = index(std::min<int64_t>(nr, shape_.columns - column)),
         .first = index(first),
         .bias = bias_.empty() ? nullptr : bias_.data() + first,
         .residual = call.residual == nullptr ? nullptr : static_cast<const std::byte*>(call.residual) + offset * bytes,
         .residual_stride = index(target.step),
         .out = static_cast<std::byte*>(call.out) + offset * bytes,
         .out_stride = index(target.step)});
    row = end;
  }
}

}  // namespace fewbins
