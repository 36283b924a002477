// SPDX-License-Identifier: Apache-2.0
// Unary: a float function element by element. Transcendental functions are computed in double and rounded once.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/thread_pool.h"
#include "ops/factories.h"
#include "ops/node_op.h"

namespace fewbins {
namespace {

enum class Function : uint8_t {
  relu,
  leaky_relu,
  sigmoid,
  tanh,
  hard_sigmoid,
  hard_swish,
  silu,
  gelu,
  gelu_tanh,
  exp,
  sqrt,
  erf,
  abs,
  neg,
  log,
  softplus,
  elu,
  reciprocal,
  floor,
  ceil,
  pow,
  clip,
  mish,
};

constexpr int64_t kGrain = 4096;

double sigmoid(double x) { return x >= 0 ? 1.0 / (1.0 + std::exp(-x)) : std::exp(x) / (1.0 + std::exp(x)); }

// tanh(log(1 + e)) is e * (e + 2) / (e * (e + 2) + 2); for positive v both are divided by e^2, which may overflow.
double mish(double v) {
  const double small = std::exp(-std::fabs(v));
  const double below = small * (small + 2.0);
  const double above = 1.0 + 2.0 * small;
  return v * (v < 0.0 ? below / (below + 2.0) : above / (above + 2.0 * small * small));
}

// y = f(x) in double, rounded once.
template <class F>
void map_double(const float* x, float* y, int64_t n, F f) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(f(static_cast<double>(x[i])));
}

template <class F>
void map_float(const float* x, float* y, int64_t n, F f) {
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

class UnaryOp final : public NodeOp {
 public:
  UnaryOp(const NodeDef& node, const OpContext& context) : NodeOp(node) {
    check_arity(node, 1, 1);
    require_input(node, context, 0, DType::f32);
    require_output(node, context, DType::f32);
    const Attrs attrs(node);
    function_ = static_cast<Function>(attrs.choice(
        "function", {"relu",      "leaky_relu", "sigmoid", "tanh", "hard_sigmoid", "hard_swish", "silu", "gelu",
                     "gelu_tanh", "exp",        "sqrt",    "erf",  "abs",          "neg",        "log",  "softplus",
                     "elu",       "reciprocal", "floor",   "ceil", "pow",          "clip",       "mish"}));
    alpha_ = attrs.number("alpha");
    beta_ = attrs.number("beta");
    lo_ = static_cast<float>(attrs.optional_number("lo").value_or(-std::numeric_limits<double>::infinity()));
    hi_ = static_cast<float>(attrs.optional_number("hi").value_or(std::numeric_limits<double>::infinity()));
  }

  void infer(std::span<const TensorDesc> in, std::span<TensorDesc> out) const override { out[0].dims = in[0].dims; }

  std::unique_ptr<OpState> prepare(const PrepareArgs& /*args*/) const override {
    auto state = std::make_unique<OpState>();
    state->alias = Alias::in_place;
    return state;
  }

  void run(const RunArgs& args) const override {
    const auto* x = args.input<float>(0);
    auto* y = args.output<float>(0);
    args.pool.parallel_for(args.in_desc[0].dims.count(), kGrain,
                           [&](int64_t begin, int64_t end, int) { apply(x + begin, y + begin, end - begin); });
  }

 private:
  void apply(const float* x, float* y, int64_t n) const;

  Function function_ = Function::relu;
  double alpha_ = 0.0;
  double beta_ = 0.0;
  float lo_ = 0.0F;
  float hi_ = 0.0F;
};

void UnaryOp::apply(const float* x, float* y, int64_t n) const {
  const double alpha = alpha_;
  const double beta = beta_;
  switch (function_) {
    case Function::relu:
      return map_float(x, y, n, [](float v) { return 0.0F > v ? 0.0F : v; });
    case Function::clip:
      return map_float(x, y, n, [lo = lo_, hi = hi_](float v) {
        v = lo > v ? lo : v;
        return hi < v ? hi : v;
      });
    case Function::abs:
      return map_float(x, y, n, [](float v) { return std::fabs(v); });
    case Function::neg:
      return map_float(x, y, n, [](float v) { return -v; });
    case Function::floor:
      return map_float(x, y, n, [](float v) { return std::floor(v); });
    case Function::ceil:
      return map_float(x, y, n, [](float v) { return std::ceil(v); });
    case Function::sqrt:
      return map_float(x, y, n, [](float v) { return std::sqrt(v); });
    case Function::reciprocal:
      return map_float(x, y, n, [](float v) { return 1.0F / v; });
    case Function::leaky_relu:
      return map_double(x, y, n, [=](double v) { return v < 0.0 ? alpha * v : v; });
    case Function::sigmoid:
      return map_double(x, y, n, sigmoid);
    case Function::tanh:
      return map_double(x, y, n, [](double v) { return std::tanh(v); });
    case Function::hard_sigmoid:
      return map_double(x, y, n, [=](double v) { return std::min(std::max(alpha * v + beta, 0.0), 1.0); });
    case Function::hard_swish:
      return map_double(x, y, n, [](double v) { return v * std::min(std::max(v / 6.0 + 0.5, 0.0), 1.0); });
    case Function::silu:
      return map_double(x, y, n, [](double v) { return v * sigmoid(v); });
    case Function::gelu:
      // 1 + erf and 1 + tanh without the cancellation that leaves nothing of them where v is very negative.
      return map_double(x, y, n, [](double v) { return 0.5 * v * std::erfc(v / -std::numbers::sqrt2); });
    case Function::gelu_tanh:
      return map_double(x, y, n, [](double v) {
        return v * sigmoid(std::sqrt(8.0 / std::numbers::pi) * (v + 0.044715 * v * v * v));
      });
    case Function::exp:
      return map_double(x, y, n, [](double v) { return std::exp(v); });
    case Function::erf:
      return map_double(x, y, n, [](double v) { return std::erf(v); });
    case Function::log:
      return map_double(x, y, n, [](double v) { return std::log(v); });
    case Function::softplus:
      return map_double(x, y, n, [](double v) { return std::max(v, 0.0) + std::log1p(std::exp(-std::fabs(v))); });
    case Function::elu:
      return map_double(x, y, n, [=](double v) { return v < 0.0 ? alpha * std::expm1(v) : v; });
    case Function::mish:
      return map_double(x, y, n, mish);
    case Function::pow:
      return map_double(x, y, n, [=](double v) { return std::pow(v, alpha); });
  }
}

}  // namespace

std::unique_ptr<Op> make_unary(const NodeDef& node, const OpContext& context) {
  return std::make_unique<UnaryOp>(node, context);
}

}  // namespace fewbins
