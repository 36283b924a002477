// SPDX-License-Identifier: Apache-2.0
// Whole files whose windows, axes and sizes are drawn at the limits of the format: a small input, often grown by a
// Resize or a Pad, then one operator that moves a window or makes another shape. Every outcome but one of our errors,
// or a run that ends, is a bug; the sanitizer build sees sums that wrap and writes past the end.
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <string>

#include "base/checked.h"
#include "fuzz.h"

namespace fewbins {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

constexpr int64_t kLargest = int64_t{1} << 20;  // of a kernel, stride, dilation or pad
constexpr int64_t kMostWeights = int64_t{1} << 21;

class Drawn {
 public:
  explicit Drawn(Random& random) : random_(random) {
    const array x{1 + small() / 3, channels_, 1 + small(), 1 + small()};
    model_.tensor("x", boost::json::serialize(x).c_str()).tensor("big", R"(["?","?","?","?"])");
    const bool grown = chance(2);
    if (grown) grow();
    add_operator(grown ? "big" : "x");
    const size_t rank = chance(6) ? random_() % 5 : rank_;
    model_.tensor("y", boost::json::serialize(array(rank, value("?"))).c_str());
    if (!grown) model_.graph()["tensors"].as_object().erase("big");
  }

  [[nodiscard]] std::vector<std::byte> bytes() const { return model_.bytes(); }
  [[nodiscard]] const std::string& op() const { return op_; }

 private:
  // True once in n times.
  bool chance(unsigned n) { return random_() % n == 0; }

  int64_t small() { return static_cast<int64_t>(random_() % 5); }

  // A number in lo..hi: near an end, near a power of two, or small.
  int64_t at_limits(int64_t lo, int64_t hi) {
    const int64_t near = static_cast<int64_t>(random_() % 3);
    switch (random_() % 6) {
      case 0:
        return hi - near;
      case 1:
        return std::min(hi, lo + near);
      case 2:
        return std::clamp((int64_t{1} << random_() % 32) + near - 1, lo, hi);
      case 3:
        return std::clamp<int64_t>(static_cast<int64_t>(random_() % 70000), lo, hi);
      default:
        return std::clamp(lo + small(), lo, hi);
    }
  }
  array pair(int64_t lo, int64_t hi) { return {at_limits(lo, hi), at_limits(lo, hi)}; }
  array pads() {
    if (chance(2)) return {0, 0, 0, 0};
    return {at_limits(0, kLargest), at_limits(0, kLargest), at_limits(0, kLargest), at_limits(0, kLargest)};
  }
  const char* auto_pad() { return pick<const char*>(random_, {"explicit", "same_upper", "same_lower"}); }

  void node(const char* op, const std::string& input, const char* output, const object& attrs,
            const object& params = {}) {
    const object row{{"op", op},         {"name", op},    {"inputs", array{value(input)}}, {"outputs", array{output}},
                     {"params", params}, {"attrs", attrs}};
    model_.add_node(boost::json::serialize(row).c_str());
  }

  // One long axis, so that the memory stays small where the sizes do not.
  void grow() {
    const int64_t length = at_limits(1, int64_t{1} << (chance(8) ? 31 : 22)) - (chance(8) ? 1 : 0);
    const bool tall = chance(2);
    if (chance(2)) {
      node("Resize", "x", "big",
           {{"mode", "nearest"},
            {"sizes", array{tall ? length : 1, tall ? 1 : length}},
            {"scales", nullptr},
            {"coordinates", "asymmetric"},
            {"nearest", "floor"},
            {"places", "float32"},
            {"requantize", nullptr}});
    } else {
      node("Pad", "x", "big",
           {{"pads", array{0, 0, 0, 0, 0, 0, tall ? length : 0, tall ? 0 : length}},
            {"mode", "constant"},
            {"value", 0.5}});
    }
  }

  void add_operator(const std::string& input) {
    op_ = pick<const char*>(
        random_, {"Conv", "Conv", "Conv", "ConvTranspose", "ConvTranspose", "MaxPool", "AveragePool", "Pad", "Slice",
                  "Resize", "Reduce", "Reshape", "DepthToSpace", "SpaceToDepth", "Softmax", "Transpose"});
    if (op_ == "Conv" || op_ == "ConvTranspose") return add_convolution(input);
    object attrs;
    if (op_ == "MaxPool" || op_ == "AveragePool") {
      const int64_t most = chance(2) ? kLargest : 4;
      attrs = {{"kernel", pair(1, most)}, {"strides", pair(1, kLargest)},
               {"pads", pads()},          {"dilations", pair(1, chance(2) ? kLargest : 2)},
               {"ceil_mode", chance(2)},  {"count_include_pad", chance(2)},
               {"auto_pad", auto_pad()},  {"requantize", nullptr}};
    } else if (op_ == "Pad") {
      array pads;
      const int64_t wild = chance(2) ? static_cast<int64_t>(random_() % 8) : 8;
      for (int64_t i = 0; i < 8; ++i)
        pads.push_back(i == wild ? at_limits(-INT32_MAX, INT32_MAX) : std::max<int64_t>(0, small() - 2));
      attrs = {{"pads", pads}, {"mode", pick<const char*>(random_, {"constant", "reflect", "edge"})}, {"value", 1.0}};
    } else if (op_ == "Slice") {
      constexpr int64_t kFar = int64_t{1} << 62;
      const auto far = [&] { return chance(2) ? at_limits(-kFar, kFar) : small() - 2; };
      const int64_t step = far();
      attrs = {{"starts", array{far()}}, {"ends", array{far()}}, {"axes", array{small()}}, {"steps", array{step}}};
    } else if (op_ == "Resize") {
      const bool by_size = chance(2);
      const int64_t most = chance(2) ? INT32_MAX : 40;
      const auto scale = [&] { return static_cast<double>(at_limits(1, most)) / static_cast<double>(1 + small()); };
      attrs = {
          {"mode", pick<const char*>(random_, {"nearest", "linear"})},
          {"sizes", by_size ? value(pair(1, most)) : value(nullptr)},
          {"scales", by_size ? value(nullptr) : value(array{scale(), scale()})},
          {"coordinates", pick<const char*>(random_, {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric",
                                                      "half_pixel_symmetric", "tf_half_pixel_for_nn"})},
          {"nearest", pick<const char*>(random_, {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})},
          {"places", pick<const char*>(random_, {"float32", "float64"})},
          {"requantize", nullptr}};
    } else if (op_ == "Reduce") {
      array axes;
      for (int64_t axis = 0; axis < 4; ++axis)
        if (chance(2)) axes.push_back(axis);
      const bool keeps = chance(2);
      if (!keeps) rank_ -= axes.size();
      attrs = {{"function", pick<const char*>(random_, {"mean", "sum", "max", "min", "prod"})},
               {"axes", axes},
               {"keepdims", keeps},
               {"requantize", nullptr}};
    } else if (op_ == "Reshape") {
      array shape;
      rank_ = 1 + random_() % 5;
      const size_t wild = chance(2) ? random_() % rank_ : rank_;
      for (size_t i = 0; i < rank_; ++i)
        shape.push_back(i == wild ? at_limits(-1, INT32_MAX) : i == 0 ? -1 : 1 + small());
      attrs = {{"shape", shape}, {"axes", array()}, {"divisors", array()}};
      const bool parts = chance(4);
      for (size_t i = 0; i < rank_ && parts; ++i) {
        attrs["axes"].as_array().push_back(small() - 1);
        attrs["divisors"].as_array().push_back(chance(2) ? 1 + small() : at_limits(1, INT32_MAX));
      }
    } else if (op_ == "DepthToSpace" || op_ == "SpaceToDepth") {
      attrs = {{"block", chance(2) ? small() : at_limits(1, 1 << 15)}};
      if (op_ == "DepthToSpace") attrs["mode"] = pick<const char*>(random_, {"DCR", "CRD"});
    } else if (op_ == "Softmax") {
      attrs = {{"axis", small()}};
    } else {
      array perm{0, 1, 2, 3};
      std::shuffle(perm.begin(), perm.end(), random_);
      attrs = {{"perm", perm}};
    }
    node(op_.c_str(), input, "y", attrs);
  }

  // The weight has the kernel's size, so kernels share what weights may take; one in two is one long line.
  void add_convolution(const std::string& input) {
    const int64_t groups = pick<int64_t>(random_, {1, 1, 1, 2, 3, channels_});
    const int64_t per_group = std::max<int64_t>(1, channels_ / groups);
    const int64_t columns = 1 + small() / 2;
    int64_t high = chance(2) ? 1 + small() : at_limits(1, kLargest);
    int64_t wide = chance(2) ? 1 + small() : at_limits(1, kLargest);
    const bool transposed = op_ == "ConvTranspose";
    const int64_t in = transposed ? groups * per_group : per_group;
    const int64_t out = transposed ? columns : groups * columns;
    while (Size(high) * wide * in * out > kMostWeights) (high > wide ? high : wide) /= 2;
    const int64_t kernel_height = chance(20) ? high + 1 : high;
    model_.constant<float>("w", "float32", {transposed ? in : out, transposed ? out : in, high, wide},
                           std::vector<float>(static_cast<size_t>(int64_t{Size(high) * wide * in * out}), 0.5F));
    object attrs{{"kernel", array{kernel_height, wide}},
                 {"strides", pair(1, chance(2) ? 4 : kLargest)},
                 {"pads", pads()},
                 {"dilations", pair(1, chance(3) ? 1 : kLargest)},
                 {"groups", groups},
                 {"clamp", nullptr},
                 {"requantize", nullptr}};
    if (transposed)
      attrs["output_padding"] = array{small() / 3, small() / 3};
    else
      attrs["auto_pad"] = auto_pad();
    node(op_.c_str(), input, "y", attrs, {{"weight", "w"}});
  }

  Random& random_;
  ModelBytes model_;
  int64_t channels_ = pick<int64_t>(random_, {1, 2, 3, 4, 8, 9, 40});
  std::string op_;
  size_t rank_ = 4;
};

BOOST_AUTO_TEST_SUITE(fuzz)

BOOST_AUTO_TEST_CASE(windows_and_sizes_at_their_limits_give_errors_or_results) {
  FuzzRounds rounds(600);
  Random random = fuzz_random();
  std::map<std::string, int64_t> ran;
  while (rounds.next()) {
    const Drawn drawn(random);
    if (outcome(drawn.bytes()).empty()) ++ran[drawn.op()];
  }
  for (const auto& [op, count] : ran) BOOST_TEST_MESSAGE(op << ": " << count << " of " << rounds.done() << " ran");
  // Else the draws are too wild to reach the operators.
  for (const char* op : {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "Pad", "Slice", "Resize", "Reduce",
                         "Reshape", "DepthToSpace", "SpaceToDepth", "Softmax", "Transpose"})
    BOOST_TEST(ran[op] > 0, op << " never ran");
}

// The padded copy of a few channels has 1,099,510,579,201 rows of 16,777,232 floats: 2^64 + 16, which is 16 where
// products wrap. It was written whole into memory for 16.
BOOST_AUTO_TEST_CASE(a_padded_input_of_two_to_the_64_is_refused_and_not_written) {
  constexpr int64_t kStride = 35395;
  constexpr int64_t kOutputs = 475;
  ModelBytes model;
  model.tensor("x", "[1,1,1,64]").tensor("big", R"([1,1,1,"?"])").tensor("y", "[1,1,1,475]");
  model.constant<float>("w", "float32", {1, 1, kLargest, 2}, std::vector<float>(2 * kLargest, 0.0F));
  model.add_node(R"({"op":"Resize","name":"grow","inputs":["x"],"outputs":["big"],"params":{},"attrs":{
    "mode":"nearest","sizes":[1,1],"scales":null,"coordinates":"asymmetric","nearest":"floor","places":"float32",
    "requantize":null}})");
  model.add_node(R"({"op":"Conv","name":"conv","inputs":["big"],"outputs":["y"],"params":{"weight":"w"},"attrs":{
    "kernel":[1048576,2],"strides":[1,1],"pads":[0,0,0,0],"dilations":[1048576,1],"groups":1,"auto_pad":"same_upper",
    "clamp":null,"requantize":null}})");
  model.node(0)["attrs"].as_object()["sizes"].as_array()[1] = (kOutputs - 1) * kStride + 1;
  model.node(1)["attrs"].as_object()["strides"].as_array()[1] = kStride;
  const auto session = Session::open(model.bytes(), {.threads = 1, .isa = {}, .kernel = {}, .check_finite = false});
  const std::vector<float> x(64, 1.0F);
  std::vector<float> y(kOutputs);
  const std::vector<InputView> inputs{{x.data(), {1, 1, 1, 64}, false, DType::f32}};
  const std::vector<void*> outputs{y.data()};
  BOOST_CHECK_EXCEPTION(session->run(inputs, outputs), Error, [](const Error& error) {
    return error.code() == ErrorCode::shape &&
           std::string_view(error.what()) ==
               "node 'conv' (Conv): its padded input would have 1099510579201 rows; the limit is 2147483647";
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace fewbins
