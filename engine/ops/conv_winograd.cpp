// SPDX-License-Identifier: Apache-2.0
// A chunk of tiles at a time: V of all positions, then for every panel of output channels the products of all
// positions, A^T M A into accumulators, and the epilogue. V and the sums stay in the second-level cache.
#include "ops/conv_winograd.h"

#include <algorithm>
#include <cstring>

#include "base/scratch.h"
#include "base/thread_pool.h"
#include "kernels/winograd/forms.h"
#include "ops/conv_choice.h"
#include "ops/node_op.h"
#include "ops/winograd_weights.h"

namespace fewbins {

namespace {

constexpr int64_t kMostRun = 64;           // tiles of a line that are transformed together
constexpr size_t kChunkBytes = 256 << 10;  // V and the sums of a chunk
constexpr size_t kLine = 64;               // of the cache

size_t index(int64_t i) { return static_cast<size_t>(i); }
// An odd number of cache lines, so that positions do not meet in one set of the cache.
size_t odd_lines(Size bytes) {
  const Size lines = ceil_div(bytes, kLine);
  return memory_size((lines + (lines % 2 == 0 ? 1 : 0)) * kLine);
}

// Tiles lie in lines: tile rows of all images. A chunk is some lines, and a run of tiles of each.
struct WinogradState final : OpState {
  Extent height;
  Extent width;
  int64_t image_lines = 0;  // per image
  int64_t lines = 0;
  int64_t run = 0;   // tiles of a line in a chunk
  int64_t runs = 0;  // per line
  int64_t chunk_lines = 0;
  int64_t splits = 1;  // of the panels
  // Scratch of a slot.
  size_t tile_bytes = 0;
  size_t position_bytes = 0;
  size_t sums_bytes = 0;  // of a position
  size_t pixels_at = 0;
  size_t rows_at = 0;
  size_t sums_at = 0;
  size_t acc_at = 0;
  size_t starts_at = 0;
  size_t tiles_at = 0;
};

class WinogradOp final : public NodeOp {
 public:
  WinogradOp(const NodeDef& node, const OpContext& context, ConvParts parts, const WinogradKernel& transforms,
             WinogradWeights weights)
      : NodeOp(node),
        parts_(std::move(parts)),
        transforms_(&transforms),
        weights_(std::move(weights)),
        form_(weights_.matrices()),
        epilogue_(node, context, parts_.shape.columns, node.inputs.size() == 2),
        bias_(std::move(parts_.bias)),
        padding_(index(parts_.shape.channels)) {
    const WeightView view{parts_.weights.integers.data(), index(parts_.shape.columns), 9, index(parts_.shape.channels)};
    context.budget.charge(weights_.packed_bytes(), "packed weights");
    const auto loan = context.budget.borrow(Size(view.n) * sizeof(int32_t), "sums of its weights");
    std::vector<int32_t> sums(view.n);
    column_sums(view, sums.data());
    for (size_t n = 0; n < view.n; ++n)  // as for dot16: sum q_a * q_w
      bias_[n] = folded_bias(Family::dot16, bias_[n], sums[n], parts_.input.lo, parts_.input.zero_point);
    std::memset(padding_.data(), parts_.input.zero_point - parts_.input.lo, padding_.size());
    for (const WinogradPosition& position : weights_.positions()) offsets_.push_back(position.input_offset);
    parts_.weights = {};
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    infer_conv(node_, parts_, in, out);
  }
  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override;
  void run(const RunArgs& args) const override;

 private:
  struct Part;  // what one task of the thread pool computes

  void start_lines(const Part& part) const;
  void transform(const Part& part) const;
  void point_rows(const Part& part) const;
  void multiply(const Part& part, size_t panel) const;
  void store(const Part& part, size_t panel, int64_t line) const;

  ConvParts parts_;
  const WinogradKernel* transforms_;
  WinogradWeights weights_;
  const WinogradMatrices& form_;
  Epilogue epilogue_;
  std::vector<int32_t> bias_;  // with the zero point folded in
  AlignedBytes padding_;       // a pixel of zero points
  std::vector<uint8_t> offsets_;
};

std::unique_ptr<OpState> WinogradOp::prepare(const PrepareArgs& args) const {
  auto state = std::make_unique<WinogradState>();
  const Dims& from = args.in[0].dims;
  const Dims& to = args.out[0].dims;
  state->height = window_extent(parts_.window, 0, from[2], node_);
  state->width = window_extent(parts_.window, 1, from[3], node_);
  const auto tile = static_cast<int64_t>(form_.tile);
  const auto taps = static_cast<int64_t>(form_.taps());
  const Size tiles = ceil_div(to[3], tile);
  const Size image_lines = ceil_div(to[2], form_.output_rows());
  const Size lines = to[0] * image_lines;
  const Size runs = ceil_div(tiles, kMostRun);
  const Size run = ceil_div(tiles, runs);

  const size_t positions = form_.positions();
  const size_t nr = weights_.nr();
  state->tile_bytes = memory_size(round_up(from[1] * (form_.bytes ? 1 : 2), kLine));
  const Size line_bytes = run * positions * (state->tile_bytes + nr * sizeof(int32_t));
  const int64_t threads = std::max(args.threads, 1);
  Size chunk_lines = std::clamp<Size>(kChunkBytes / line_bytes, 1, lines);
  if (threads > 1) {
    const Size fair = ceil_div(lines * runs, 2 * threads);
    chunk_lines = std::clamp<Size>(chunk_lines, 1, std::max<Size>(1, fair));
  }
  const Size chunks = ceil_div(lines, chunk_lines);
  chunk_lines = ceil_div(lines, chunks);  // of equal size
  state->image_lines = image_lines;
  state->lines = lines;
  state->run = run;
  state->runs = runs;
  state->chunk_lines = chunk_lines;
  state->splits = std::clamp<Size>(ceil_div(threads, chunks * runs), 1, weights_.panels());

  // Every line of a chunk may begin an image.
  const Size images = std::min(chunk_lines, ceil_div(chunk_lines - 1, image_lines) + 1);
  const Size v_tiles = (chunk_lines + images * (taps - 1)) * run;
  Size most_rows = 0;  // tiles, in whole tiles of the widest kernel
  Size pointers = 0;
  for (const WinogradPosition& position : weights_.positions()) {
    const Size rows = round_up(chunk_lines * run, position.kernel->mr);
    most_rows = std::max(most_rows, rows);
    pointers += rows * form_.taps();
  }
  state->position_bytes = odd_lines(v_tiles * state->tile_bytes);
  state->sums_bytes = odd_lines(most_rows * nr * sizeof(int32_t));
  ScratchLayout slot;
  slot.add_operand(Size(positions) * state->position_bytes);  // V, at 0
  state->pixels_at = slot.add<void*>((run * form_.tile + 2) * form_.input_rows());
  state->rows_at = slot.add<void*>(pointers);
  state->sums_at = slot.add(positions, state->sums_bytes);
  state->acc_at = slot.add<int32_t>(run * form_.outputs() * nr);
  state->starts_at = slot.add<int64_t>(chunk_lines);
  state->tiles_at = slot.add<size_t>(chunk_lines * run);
  state->scratch_bytes_per_slot = slot.total();
  state->form = std::string("winograd ") + form_.name;
  state->kernel = weights_.kernel_names();
  state->macs = to[0] * to[2] * to[3] * to[1] * parts_.shape.taps * parts_.shape.channels;
  return state;
}

struct WinogradOp::Part {
  const RunArgs& args;
  const WinogradState& state;
  std::byte* scratch;
  int64_t first_line;
  int64_t end_line;
  int64_t first_tile;  // of every line
  int64_t tiles;

  // Per line, the line of V where its first tap lies.
  [[nodiscard]] std::span<int64_t> starts() const {
    return {reinterpret_cast<int64_t*>(scratch + state.starts_at), index(end_line - first_line)};
  }

  [[nodiscard]] size_t tile_count() const { return index((end_line - first_line) * tiles); }
  [[nodiscard]] std::byte* v(size_t position) const { return scratch + position * state.position_bytes; }
  [[nodiscard]] int32_t* sums(size_t position) const {
    return reinterpret_cast<int32_t*>(scratch + state.sums_at + position * state.sums_bytes);
  }
};

void WinogradOp::run(const RunArgs& args) const {
  const auto& state = static_cast<const WinogradState&>(args.state);
  const int64_t chunks = ceil_div(state.lines, state.chunk_lines);
  const int64_t tiles = ceil_div(args.out_desc[0].dims[3], static_cast<int64_t>(form_.tile));
  const auto panels = static_cast<int64_t>(weights_.panels());
  args.pool.parallel_for(chunks * state.runs * state.splits, 1, [&](int64_t begin, int64_t end, int slot) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t split = task % state.splits;
      const int64_t first_tile = task / state.splits % state.runs * state.run;
      const int64_t chunk = task / state.splits / state.runs;
      const Part part{.args = args,
                      .state = state,
                      .scratch = args.scratch_of(slot),
                      .first_line = chunk * state.chunk_lines,
                      .end_line = std::min((chunk + 1) * state.chunk_lines, state.lines),
                      .first_tile = first_tile,
                      .tiles = std::min(state.run, tiles - first_tile)};
      start_lines(part);
      transform(part);
      point_rows(part);
      const int64_t last = (split + 1) * panels / state.splits;
      for (int64_t panel = split * panels / state.splits; panel < last; ++panel) {
        multiply(part, index(panel));
        for (int64_t line = part.first_line; line < part.end_line; ++line) store(part, index(panel), line);
      }
    }
  });
}

// Neighbours of an image share the lines of V between them.
void WinogradOp::start_lines(const Part& part) const {
  int64_t start = 0;
  for (int64_t line = part.first_line; line < part.end_line; ++line) {
    if (line > part.first_line) start += line % part.state.image_lines != 0 ? 1 : static_cast<int64_t>(form_.taps());
    part.starts()[index(line - part.first_line)] = start;
  }
}

void WinogradOp::transform(const Part& part) const {
  const WinogradState& state = part.state;
  const auto* data = part.args.input<uint8_t>(0);
  const auto* padding = padding_.as<uint8_t>();
  const int64_t channels = parts_.shape.channels;
  const auto taps = static_cast<int64_t>(form_.taps());
  const int64_t columns = part.tiles * static_cast<int64_t>(form_.tile) + 2;
  const int64_t left = part.first_tile * static_cast<int64_t>(form_.tile) - state.width.pad_begin;
  auto** pixels = reinterpret_cast<const uint8_t**>(part.scratch + state.pixels_at);
  int64_t done = 0;  // lines of V
  for (int64_t line = part.first_line; line < part.end_line; ++line) {
    const int64_t image = line / state.image_lines;
    const int64_t top = line % state.image_lines * static_cast<int64_t>(form_.output_rows()) - state.height.pad_begin;
    const int64_t start = part.starts()[index(line - part.first_line)];
    for (; done < start + taps; ++done) {
      const uint8_t** pixel = pixels;
      for (int64_t r = 0; r < static_cast<int64_t>(form_.input_rows()); ++r) {
        const int64_t y = top + done - start + r;
        if (y < 0 || y >= state.height.in) {
          pixel = std::fill_n(pixel, columns, padding);
          continue;
        }
        const uint8_t* line_data = data + (image * state.height.in + y) * state.width.in * channels;
        for (int64_t x = left; x < left + columns; ++x)
          *pixel++ = x >= 0 && x < state.width.in ? line_data + x * channels : padding;
      }
      transforms_->input({.pixels = pixels,
                          .columns = index(columns),
                          .tiles = index(part.tiles),
                          .channels = index(channels),
                          .lo = parts_.input.lo,
                          .offsets = offsets_.data(),
                          .v = part.v(0) + index(done * part.tiles) * state.tile_bytes,
                          .tile_bytes = state.tile_bytes,
                          .position_bytes = state.position_bytes});
    }
  }
}

// [position][group of mr tiles][tap][mr]; the last group repeats its last tile.
void WinogradOp::point_rows(const Part& part) const {
  const size_t count = part.tile_count();
  const size_t line_bytes = index(part.tiles) * part.state.tile_bytes;
  auto* const offsets = reinterpret_cast<size_t*>(part.scratch + part.state.tiles_at);  // the same in all positions
  size_t* next = offsets;
  for (const int64_t start : part.starts())
    for (size_t tile = 0; tile < index(part.tiles); ++tile)
      *next++ = index(start) * line_bytes + tile * part.state.tile_bytes;
  auto** pointers = reinterpret_cast<const void**>(part.scratch + part.state.rows_at);
  for (size_t p = 0; p < form_.positions(); ++p) {
    const std::byte* v = part.v(p);
    const size_t mr = weights_.positions()[p].kernel->mr;
    for (size_t group = 0; group < count; group += mr) {
      for (size_t t = 0; t < form_.taps(); ++t, pointers += mr)
        for (size_t i = 0; i < mr; ++i) pointers[i] = v + t * line_bytes + offsets[std::min(group + i, count - 1)];
    }
  }
}

void WinogradOp::multiply(const Part& part, size_t panel) const {
  const size_t count = part.tile_count();
  const size_t nr = weights_.nr();
  auto* const* pointers = reinterpret_cast<const void* const*>(part.scratch + part.state.rows_at);
  for (size_t p = 0; p < form_.positions(); ++p) {
    const WinogradPosition& position = weights_.positions()[p];
    const size_t mr = position.kernel->mr;
    GemmTask task{.rows = pointers,
                  .taps = form_.taps(),
                  .depth = position.depth,
                  .panel = weights_.panel(panel, position),
                  .tile = nullptr,
                  .block = position.block};
    for (size_t first = 0; first < count; first += mr) {
      task.rows = pointers;
      task.tile = part.sums(p) + first * nr;
      task.m = std::min(mr, count - first);
      position.kernel->run(task);
      pointers += form_.taps() * mr;
    }
  }
}

void WinogradOp::store(const Part& part, size_t panel, int64_t line) const {
  const WinogradState& state = part.state;
  const size_t nr = weights_.nr();
  const auto tile = static_cast<int64_t>(form_.tile);
  auto* acc = reinterpret_cast<int32_t*>(part.scratch + state.acc_at);
  const size_t line_stride = index(part.tiles * tile) * nr;
  transforms_->output({.sums = part.sums(0) + index((line - part.first_line) * part.tiles) * nr,
                       .position_stride = state.sums_bytes / sizeof(int32_t),
                       .tiles = index(part.tiles),
                       .columns = nr,
                       .constants = weights_.constants(panel),
                       .acc = acc,
                       .line_stride = line_stride});
  const Dims& to = part.args.out_desc[0].dims;
  const int64_t image = line / state.image_lines;
  const int64_t top = line % state.image_lines * static_cast<int64_t>(form_.output_rows());
  const int64_t left = part.first_tile * tile;
  const int64_t column = static_cast<int64_t>(panel * nr);
  const auto bytes = static_cast<int64_t>(epilogue_.output_bytes());
  const auto* residual = part.args.in.size() == 2 ? part.args.input<std::byte>(1) : nullptr;
  for (int64_t r = 0; r < static_cast<int64_t>(form_.output_rows()) && top + r < to[2]; ++r) {
    const int64_t offset = (((image * to[2] + top + r) * to[3] + left) * to[1] + column) * bytes;
    epilogue_.run({.acc = acc + index(r) * line_stride,
                   .acc_stride = nr,
                   .rows = index(std::min<int64_t>(part.tiles * tile, to[3] - left)),
                   .cols = index(std::min<int64_t>(static_cast<int64_t>(nr), to[1] - column)),
                   .first = index(column),
                   .bias = bias_.data() + column,
                   .residual = residual == nullptr ? nullptr : residual + offset,
                   .residual_stride = index(to[1]),
                   .out = part.args.output<std::byte>(0) + offset,
                   .out_stride = index(to[1])});
  }
}

}  // namespace

std::unique_ptr<Op> make_winograd(const NodeDef& node, const OpContext& context, ConvParts& parts) {
  if (!parts.integer || !has_winograd_window(parts)) return nullptr;
  std::optional<WinogradChoice> choice = choose_winograd(context, parts, declared_size(node, context, parts));
  if (!choice) return nullptr;
  context.note_kernel(choice->transforms->name);
  return std::make_unique<WinogradOp>(node, context, std::move(parts), *choice->transforms, std::move(choice->weights));
}

}  // namespace fewbins
