// SPDX-License-Identifier: Apache-2.0
// MatMul: the products of two stacks of float matrices, both computed at run time or one a constant stack. Sums run in
// double, k ascending, and round once. (A product with one constant matrix is a Gemm.)
#include <algorithm>
#include <array>

#include "base/checked.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "ops/factories.h"
#include "ops/layout.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

constexpr int64_t kTileRows = kProductRows;
constexpr int64_t kTileColumns = kProductColumns;
constexpr int64_t kPanels = 4;  // tiles of columns that share a packed tile of rows
constexpr int64_t kPartRows = 64;
constexpr int64_t kPartColumns = kPanels * kTileColumns;

// How one operand or the output lies in memory.
struct Matrices {
  int64_t row = 0;  // steps
  int64_t column = 0;
  std::array<int64_t, kMaxRank> stack{};  // by the output's axes, 0 where the operand is one for all
};

struct MatMulState final : OpState {
  Matrices a;
  Matrices b;
  Matrices out;
};

Matrices matrices_of(const Dims& dims, const Dims& out) {
  const Strides strides = memory_strides(dims);
  const auto last = static_cast<size_t>(dims.rank - 1);
  Matrices result{.row = strides[last - 1], .column = strides[last]};
  const int more = out.rank - dims.rank;
  for (int axis = more; axis < out.rank - 2; ++axis) {
    const int own = axis - more;
    result.stack[static_cast<size_t>(axis)] = dims[own] == 1 ? Size(0) : strides[static_cast<size_t>(own)];
  }
  return result;
}

class MatMulOp final : public NodeOp {
 public:
  MatMulOp(const NodeDef& node, const OpContext& context) : NodeOp(node), kernels_(select_elementwise(context.isa)) {
    check_arity(node, 2, 2);
    require_input(node, context, 0, DType::f32);
    require_input(node, context, 1, DType::f32);
    require_output(node, context, DType::f32);
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override {
    const Dims& a = in[0].dims;
    const Dims& b = in[1].dims;
    if (a.rank < 2 || b.rank < 2 || a[a.rank - 1] != b[b.rank - 2] || a[a.rank - 1] == 0)
      fail_shape(node_, "matrices of ", a.text(), " and ", b.text(), " cannot be multiplied");
    Dims& dims = out[0].dims;
    dims.rank = std::max(a.rank, b.rank);
    for (int axis = 0; axis < dims.rank - 2; ++axis) {
      const int in_a = axis - (dims.rank - a.rank);
      const int in_b = axis - (dims.rank - b.rank);
      const int64_t size_a = in_a < 0 ? int64_t{1} : int64_t{a[in_a]};
      const int64_t size_b = in_b < 0 ? int64_t{1} : int64_t{b[in_b]};
      if (size_a != size_b && size_a != 1 && size_b != 1)
        fail_shape(node_, "stacks of ", a.text(), " and ", b.text(), " do not broadcast");
      dims[axis] = size_a == 1 ? size_b : size_a;
    }
    dims[dims.rank - 2] = a[a.rank - 2];
    dims[dims.rank - 1] = b[b.rank - 1];
  }

  std::unique_ptr<OpState> prepare(const PrepareArgs& args) const override {
    auto state = std::make_unique<MatMulState>();
    const Dims& out = args.out[0].dims;
    state->a = matrices_of(args.in[0].dims, out);
    state->b = matrices_of(args.in[1].dims, out);
    state->out = matrices_of(out, out);
    const int64_t depth = args.in[0].dims[args.in[0].dims.rank - 1];
    state->scratch_bytes_per_slot = memory_size(Size(depth) * (kTileRows + kPartColumns) * sizeof(double));
    state->form = "product";
    state->kernel = std::string("product_f64__") + isa_name(kernels_.isa);
    state->macs = Size(out.count()) * depth;
    return state;
  }

  void run(const RunArgs& args) const override {
    const auto& state = static_cast<const MatMulState&>(args.state);
    const Dims& out = args.out_desc[0].dims;
    const Problem problem{.rows = out[out.rank - 2],
                          .columns = out[out.rank - 1],
                          .depth = args.in_desc[0].dims[args.in_desc[0].dims.rank - 1]};
    const int64_t row_parts = (problem.rows + kPartRows - 1) / kPartRows;
    const int64_t column_parts = (problem.columns + kPartColumns - 1) / kPartColumns;
    const int64_t parts = row_parts * column_parts;
    const int64_t stack = out.count() / (problem.rows * problem.columns);
    args.pool.parallel_for(stack * parts, 1, [&](int64_t begin, int64_t end, int slot) {
      for (int64_t task = begin; task < end; ++task) {
        int64_t index = task / parts;
        int64_t a = 0;
        int64_t b = 0;
        int64_t y = 0;
        for (int axis = out.rank - 3; axis >= 0; --axis) {
          const auto i = static_cast<size_t>(axis);
          const int64_t place = index % out[axis];
          index /= out[axis];
          a += place * state.a.stack[i];
          b += place * state.b.stack[i];
          y += place * state.out.stack[i];
        }
        const int64_t part = task % parts;
        multiply(state, problem, args.input<float>(0) + a, args.input<float>(1) + b, args.output<float>(0) + y,
                 part / column_parts * kPartRows, part % column_parts * kPartColumns,
                 reinterpret_cast<double*>(args.scratch_of(slot)));
      }
    });
  }

 private:
  struct Problem {
    int64_t rows;
    int64_t columns;
    int64_t depth;
  };

  // packed[k][width] of `count` rows or columns that lie `step` apart, their elements `k_step` apart; the rest is 0.
  static void pack(const float* x, int64_t step, int64_t k_step, int64_t count, int64_t width, int64_t depth,
                   double* packed) {
    for (int64_t k = 0; k < depth; ++k, x += k_step, packed += width) {
      for (int64_t i = 0; i < count; ++i) packed[i] = static_cast<double>(x[i * step]);
      for (int64_t i = count; i < width; ++i) packed[i] = 0.0;
    }
  }

  void multiply(const MatMulState& state, const Problem& problem, const float* a, const float* b, float* y,
                int64_t first_row, int64_t first_column, double* scratch) const {
    double* columns = scratch + kTileRows * problem.depth;
    const int64_t end_column = std::min(first_column + kPartColumns, problem.columns);
    for (int64_t column = first_column; column < end_column; column += kTileColumns)
      pack(b + column * state.b.column, state.b.column, state.b.row, std::min(kTileColumns, end_column - column),
           kTileColumns, problem.depth, columns + (column - first_column) * problem.depth);
    const int64_t end_row = std::min(first_row + kPartRows, problem.rows);
    for (int64_t row = first_row; row < end_row; row += kTileRows) {
      const int64_t rows = std::min(kTileRows, end_row - row);
      pack(a + row * state.a.row, state.a.row, state.a.column, rows, kTileRows, problem.depth, scratch);
      for (int64_t column = first_column; column < end_column; column += kTileColumns) {
        std::array<double, static_cast<size_t>(kTileRows * kTileColumns)> sums;
        kernels_.product_f64({.rows = scratch,
                              .columns = columns + (column - first_column) * problem.depth,
                              .depth = static_cast<size_t>(problem.depth),
                              .sums = sums.data()});
        float* tile = y + row * state.out.row + column * state.out.column;
        const int64_t width = std::min(kTileColumns, end_column - column);
        for (int64_t i = 0; i < rows; ++i)
          for (int64_t j = 0; j < width; ++j)
            tile[i * state.out.row + j * state.out.column] =
                static_cast<float>(sums[static_cast<size_t>(i * kTileColumns + j)]);
      }
    }
  }

  const ElementwiseKernels& kernels_;
};

}  // namespace

std::unique_ptr<Op> make_matmul(const NodeDef& node, const OpContext& context) {
  return std::make_unique<MatMulOp>(node, context);
}

}  // namespace fewbins
