// SPDX-License-Identifier: Apache-2.0
// Attributes and shapes that make no sense, as a hostile file may hold them: each is refused with an error that names
// the node.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "op_fixture.h"

using namespace fewbins;
using fewbins::testing::OneOp;

namespace {

const char* const kFloatConv = R"({"kernel":[3,3],"strides":[1,1],"pads":[1,1,1,1],"dilations":[1,1],"groups":1,
  "auto_pad":"explicit","clamp":null,"requantize":null})";

// The text with its first `from` replaced.
std::string changed(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

// `work` throws an Error of this code, in one line that names the node and contains `what`.
template <class Work>
void refused(ErrorCode code, const std::string& what, const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    const std::string text = error.what();
    const bool fits = error.code() == code && text.find("node 'node'") == 0 && text.find('\n') == std::string::npos &&
                      text.find(what) != std::string::npos;
    BOOST_TEST(fits, "code " << static_cast<int>(error.code()) << ": " << text << " (expected: " << what << ")");
    return;
  }
  BOOST_ERROR("nothing was thrown; expected: " << what);
}

OneOp float_conv(const std::string& attrs, Dims weight = {4, 3, 3, 3}) {
  OneOp op("Conv", attrs.c_str());
  op.input(DType::f32)
      .param<float>("weight", DType::f32, weight, std::vector<float>(static_cast<size_t>(weight.count()), 1.0F));
  return op;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ops_refused)

BOOST_AUTO_TEST_CASE(conv_refuses_attributes_that_make_no_sense) {
  const auto make = [](const std::string& from, const std::string& to) {
    return [=] { (void)float_conv(changed(kFloatConv, from, to)).make(); };
  };
  refused(ErrorCode::model_file, "kernel", make("[3,3]", "[3,0]"));
  refused(ErrorCode::model_file, "kernel", make("[3,3]", "[3]"));
  refused(ErrorCode::model_file, "kernel", make("[3,3]", "[3,4]"));
  refused(ErrorCode::model_file, "strides", make("\"strides\":[1,1]", "\"strides\":[0,1]"));
  refused(ErrorCode::model_file, "strides", make("\"strides\":[1,1]", "\"strides\":[1,9223372036854775807]"));
  refused(ErrorCode::model_file, "pads", make("[1,1,1,1]", "[1,1,-1,1]"));
  refused(ErrorCode::model_file, "pads", make("[1,1,1,1]", "[1,1,1,1e3]"));
  refused(ErrorCode::model_file, "dilations", make("\"dilations\":[1,1]", "\"dilations\":[1,0]"));
  refused(ErrorCode::model_file, "groups", make("\"groups\":1", "\"groups\":0"));
  refused(ErrorCode::model_file, "groups", make("\"groups\":1", "\"groups\":3"));
  refused(ErrorCode::model_file, "auto_pad", make("explicit", "valid"));
  refused(ErrorCode::model_file, "clamp", make("\"clamp\":null", "\"clamp\":[1,0]"));
  refused(ErrorCode::model_file, "kind", make("\"requantize\":null", "\"requantize\":{\"kind\":\"magic\"}"));
  refused(ErrorCode::model_file, "weight", [] { (void)float_conv(kFloatConv, {4, 3, 9}).make(); });
}

BOOST_AUTO_TEST_CASE(conv_refuses_inputs_that_do_not_fit) {
  const OneOp conv = float_conv(changed(kFloatConv, "[1,1,1,1]", "[0,0,0,0]"));
  const auto op = conv.make();
  BOOST_TEST((conv.infer(*op, {{1, 3, 5, 4}}) == Dims{1, 4, 3, 2}));
  refused(ErrorCode::shape, "channels", [&] { (void)conv.infer(*op, {{1, 4, 5, 5}}); });
  refused(ErrorCode::shape, "rows", [&] { (void)conv.infer(*op, {{1, 3, 2, 5}}); });
  refused(ErrorCode::shape, "shape", [&] { (void)conv.infer(*op, {{3, 5, 5}}); });
}

BOOST_AUTO_TEST_CASE(constants_that_do_not_fit_are_refused) {
  const std::string attrs = changed(kFloatConv, "\"requantize\":null",
                                    R"("requantize":{"kind":"fixed","lo":-8,"hi":7,"negate_residual":false})");
  const auto make = [&](std::vector<int32_t> exponent, int32_t lo, int32_t hi) {
    OneOp op("Conv", attrs.c_str());
    op.input(DType::levels, {0.5F, 0, -8, 7})
        .output(DType::levels, {0.5F, 0, lo, hi})
        .param<int8_t>("weight", DType::i8, {4, 3, 3, 3}, std::vector<int8_t>(108, 1))
        .param<int32_t>("bias", DType::i32, {4}, {0, 0, 0, 0})
        .param<int32_t>("multiplier", DType::i32, {1}, {1 << 30})
        .param<int32_t>("exponent", DType::i32, {static_cast<int64_t>(exponent.size())}, exponent);
    return [op = std::make_shared<OneOp>(std::move(op))] { (void)op->make(); };
  };
  make({31}, -8, 7)();
  refused(ErrorCode::model_file, "exponent", make({63}, -8, 7));
  refused(ErrorCode::model_file, "exponent", make({31, 31}, -8, 7));
  refused(ErrorCode::model_file, "-8..7", make({31}, -4, 3));
}

BOOST_AUTO_TEST_CASE(the_other_operators_refuse_too) {
  const auto make = [](const char* op, const char* attrs, size_t inputs = 1) {
    return [=] {
      OneOp one(op, attrs);
      for (size_t i = 0; i < inputs; ++i) one.input(DType::f32);
      (void)one.make();
    };
  };
  refused(ErrorCode::model_file, "perm", make("Transpose", R"({"perm":[0,0]})"));
  refused(ErrorCode::model_file, "axis", make("Softmax", R"({"axis":-1})"));
  refused(ErrorCode::model_file, "ascending", make("Normalize", R"({"axes":[2,1],"groups":1,"epsilon":0.1})"));
  refused(ErrorCode::model_file, "groups", make("Normalize", R"({"axes":[2],"groups":2,"epsilon":0.1})"));
  refused(ErrorCode::model_file, "epsilon", make("Normalize", R"({"axes":[1],"groups":1,"epsilon":-1.0})"));
  refused(ErrorCode::model_file, "inputs", make("MatMul", "{}"));
  refused(ErrorCode::model_file, "shape", make("Reshape", R"({"shape":[-1,-1],"axes":[],"divisors":[]})"));
  refused(ErrorCode::model_file, "step", make("Slice", R"({"starts":[0],"ends":[1],"axes":[0],"steps":[0]})"));
  refused(ErrorCode::model_file, "length", make("Slice", R"({"starts":[0],"ends":[1,2],"axes":[0],"steps":[1]})"));
  refused(ErrorCode::model_file, "block", make("DepthToSpace", R"({"block":0,"mode":"DCR"})"));
  refused(ErrorCode::model_file, "pads", make("Pad", R"({"pads":[1,1,1],"mode":"edge","value":0.0})"));
  refused(ErrorCode::model_file, "function",
          make("Unary", R"({"function":"cube","alpha":0,"beta":0,"lo":null,"hi":null})"));
  refused(ErrorCode::model_file, "axes",
          make("Reduce", R"({"function":"sum","axes":[1,0],"keepdims":true,"requantize":null})"));
  refused(ErrorCode::model_file, "inputs", make("Binary", R"({"function":"add","clamp":null,"requantize":null})"));
  refused(ErrorCode::model_file, "window", make("MaxPool", R"({"kernel":[2,2],"strides":[1,1],"pads":[2,0,0,0],
    "dilations":[1,1],"ceil_mode":false,"count_include_pad":false,"auto_pad":"explicit","requantize":null})"));
  refused(ErrorCode::model_file, "sizes", make("Resize", R"({"mode":"nearest","sizes":null,"scales":null,
    "coordinates":"asymmetric","nearest":"floor","requantize":null,"places":"float32"})"));
  refused(ErrorCode::model_file, "places", make("Resize", R"({"mode":"nearest","sizes":[1,1],"scales":null,
    "coordinates":"asymmetric","nearest":"floor","requantize":null,"places":"float16"})"));
  refused(ErrorCode::model_file, "entries", make("Reshape", R"({"shape":[1,1],"axes":[0],"divisors":[1]})"));
  refused(ErrorCode::model_file, "length",
          make("Range", R"({"factors":[1],"inputs":[0,0],"axes":[0],"divisors":[1],"start":0,"step":1})"));
  refused(ErrorCode::model_file, "inputs",
          make("Range", R"({"factors":[1],"inputs":[1],"axes":[0],"divisors":[1],"start":0,"step":1})"));
  refused(ErrorCode::model_file, "must have 1",
          make("Range", R"({"factors":[1,1],"inputs":[0,0],"axes":[0,0],"divisors":[1,1],"start":0,"step":1})"));
  refused(ErrorCode::model_file, "divisors",
          make("Expand", R"({"factors":[1],"inputs":[0],"axes":[0],"divisors":[0]})"));
  refused(ErrorCode::model_file, "entries", make("Reshape", R"({"shape":[1,1],"axes":[0,1],"divisors":[]})"));
  refused(ErrorCode::model_file, "divisors", make("Reshape", R"({"shape":[1],"axes":[0],"divisors":[0]})"));
  refused(ErrorCode::model_file, "axes", make("Reshape", R"({"shape":[1],"axes":[-2],"divisors":[1]})"));
  refused(ErrorCode::model_file, "at least 1", make("Reshape", R"({"shape":[0,1],"axes":[0,-1],"divisors":[1,1]})"));
}

BOOST_AUTO_TEST_CASE(a_huge_window_costs_what_it_reads_and_not_what_it_spans) {
  for (const char* op : {"MaxPool", "AveragePool"}) {
    OneOp pool(op, R"({"kernel":[1048576,1],"strides":[1,1],"pads":[1048575,0,1048575,0],"dilations":[1,1],
      "ceil_mode":false,"count_include_pad":false,"auto_pad":"explicit","requantize":null})");
    pool.input(DType::f32);
    const std::vector<float> x{3, 1, 4, 2};
    const auto y = pool.run<float>({{1, 1, 4, 1}}, {x.data()}, Isa::scalar, 1);
    BOOST_TEST(y.size() == size_t{1048576} + 3);
    BOOST_TEST(y.front() == 3);
    BOOST_TEST(y[2] == (std::string(op) == "MaxPool" ? 4.0F : static_cast<float>(8.0 / 3.0)));
    BOOST_TEST(y.back() == 2);
  }
}

BOOST_AUTO_TEST_CASE(shapes_that_do_not_fit_are_refused) {
  OneOp reshape("Reshape", R"({"shape":[5,-1],"axes":[],"divisors":[]})");
  reshape.input(DType::f32);
  const auto spread = reshape.make();
  BOOST_TEST((reshape.infer(*spread, {{2, 5}}) == Dims{5, 2}));
  refused(ErrorCode::shape, "elements", [&] { (void)reshape.infer(*spread, {{2, 3}}); });
  OneOp parts("Reshape", R"({"shape":[1,2,-1],"axes":[2,1,-1],"divisors":[3,1,1]})");
  parts.input(DType::f32);
  const auto part = parts.make();
  BOOST_TEST((parts.infer(*part, {{4, 5, 6}}) == Dims{2, 10, 6}));
  refused(ErrorCode::shape, "no multiple of 3", [&] { (void)parts.infer(*part, {{4, 5, 7}}); });
  refused(ErrorCode::shape, "axis 2", [&] { (void)parts.infer(*part, {{4, 5}}); });
  OneOp range("Range", R"({"factors":[16777216],"inputs":[0],"axes":[1],"divisors":[2],"start":0,"step":1})");
  range.input(DType::f32);
  const auto count = range.make();
  BOOST_TEST((range.infer(*count, {{3, 2}}) == Dims{16777216}));
  refused(ErrorCode::shape, "counts to", [&] { (void)range.infer(*count, {{3, 4}}); });
  BOOST_CHECK_THROW((void)range.infer(*count, {{3, 2147483647}}), Error);
  refused(ErrorCode::shape, "axis 1", [&] { (void)range.infer(*count, {{3}}); });
  // On CPUs of 32 bits a tensor may have fewer elements than the largest size says.
  const std::string shape =
      R"({"factors":[)" + std::to_string(kMaxElements) + R"(,1],"inputs":[1,-1],"axes":[0,0],"divisors":[1,1]})";
  OneOp expand("Expand", shape.c_str());
  expand.input(DType::f32).input(DType::levels);
  const auto wide = expand.make();
  BOOST_TEST((expand.infer(*wide, {{1}, {1}}) == Dims{kMaxElements, 1}));
  refused(ErrorCode::shape, "broadcast", [&] { (void)expand.infer(*wide, {{3}, {1}}); });
  BOOST_CHECK_THROW((void)expand.infer(*wide, {{1}, {2147483647}}), Error);
  OneOp huge("Reshape", R"({"shape":[2147483647],"axes":[0],"divisors":[1]})");
  huge.input(DType::f32);
  const auto over = huge.make();
  refused(ErrorCode::shape, "elements", [&] { (void)huge.infer(*over, {{2147483647}}); });
  OneOp add("Binary", R"({"function":"add","clamp":null,"requantize":null})");
  add.input(DType::f32).input(DType::f32);
  const auto sum = add.make();
  BOOST_TEST((add.infer(*sum, {{2, 1, 3}, {4, 1}}) == Dims{2, 4, 3}));
  refused(ErrorCode::shape, "broadcast", [&] { (void)add.infer(*sum, {{2, 3}, {2, 4}}); });
  OneOp groups("Normalize", R"({"axes":[1,2],"groups":2,"epsilon":0.1})");
  groups.input(DType::f32);
  const auto normalized = groups.make();
  BOOST_TEST((groups.infer(*normalized, {{2, 4, 3}}) == Dims{2, 4, 3}));
  refused(ErrorCode::shape, "groups", [&] { (void)groups.infer(*normalized, {{2, 5, 3}}); });
  refused(ErrorCode::shape, "axis", [&] { (void)groups.infer(*normalized, {{2, 4}}); });
  OneOp matmul("MatMul", "{}");
  matmul.input(DType::f32).input(DType::f32);
  const auto stacks = matmul.make();
  BOOST_TEST((matmul.infer(*stacks, {{5, 1, 2, 3}, {7, 3, 4}}) == Dims{5, 7, 2, 4}));
  refused(ErrorCode::shape, "multiplied", [&] { (void)matmul.infer(*stacks, {{2, 3}, {2, 3}}); });
  refused(ErrorCode::shape, "multiplied", [&] { (void)matmul.infer(*stacks, {{3}, {3, 2}}); });
  refused(ErrorCode::shape, "multiplied", [&] { (void)matmul.infer(*stacks, {{2, 0}, {0, 2}}); });
  refused(ErrorCode::shape, "broadcast", [&] { (void)matmul.infer(*stacks, {{2, 2, 3}, {3, 3, 2}}); });
  OneOp pad("Pad", R"({"pads":[3,0],"mode":"reflect","value":0.0})");
  pad.input(DType::f32);
  const auto reflected = pad.make();
  BOOST_TEST((pad.infer(*reflected, {{4}}) == Dims{7}));
  refused(ErrorCode::shape, "pads", [&] { (void)pad.infer(*reflected, {{3}}); });
}

BOOST_AUTO_TEST_SUITE_END()
