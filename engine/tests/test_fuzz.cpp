// SPDX-License-Identifier: Apache-2.0
// Random edits of good files: every outcome but one of our errors, or a run that ends, is a bug. The sanitizer build is
// where this finds most. fuzz.h says how to make it longer.
#include <boost/test/unit_test.hpp>
#include <string>

#include "fuzz.h"

namespace fewbins {
namespace {

using boost::json::value;

// Integer and float operators, each at least once.
ModelBytes many_operators() {
  ModelBytes model = quantized_model();
  const char* levels = R"({"scale":1,"zero_point":2,"lo":-16,"hi":16})";
  for (const char* name : {"maxed", "joined", "grown", "looked", "averaged", "added"})
    model.tensor(name, R"(["?","?","?","?"])", levels);
  for (const char* name : {"d", "p", "t", "times", "r", "mean", "u", "ct", "pr", "dts", "std", "norm", "prod"})
    model.tensor(name, R"(["?","?","?","?"])");
  model.tensor("row", R"(["?"])").tensor("grid", R"(["?","?","?"])").tensor("parts", R"(["?","?","?"])");
  model.tensor("flat", R"(["?","?"])").tensor("gemm", R"(["?","?"])").tensor("soft", R"(["?","?"])");
  model.constant<uint8_t>("lut", "uint8", {256}, std::vector<uint8_t>(256, 5));
  model.constant<float>("k", "float32", {1, 3, 1, 1}, {1.0F, 2.0F, 3.0F});
  model.constant<float>("ns", "float32", {3, 1, 1}, {1.0F, 2.0F, 3.0F});
  model.constant<float>("gw", "float32", {2, 3}, {1, 2, 3, 4, 5, 6});
  model.constant<float>("tw", "float32", {3, 2, 2, 2}, std::vector<float>(24, 0.5F));
  model.constant<float>("slope", "float32", {3}, {0.1F, 0.2F, 0.3F});
  model.constant<int32_t>("one", "int32", {1}, {1 << 30});
  model.constant<int32_t>("e", "int32", {1}, {31});
  for (
      const char* node : {
          R"({"op":"MaxPool","name":"max","inputs":["yq"],"outputs":["maxed"],"params":{},"attrs":{"kernel":[2,2],
               "strides":[1,1],"pads":[0,0,1,1],"dilations":[1,1],"ceil_mode":false,"count_include_pad":false,
               "auto_pad":"explicit","requantize":null}})",
          R"({"op":"Concat","name":"cat","inputs":["yq","maxed"],"outputs":["joined"],"params":{},"attrs":{"axis":1}})",
          R"({"op":"Resize","name":"grow","inputs":["joined"],"outputs":["grown"],"params":{},"attrs":{"mode":"nearest",
               "sizes":null,"scales":[2.0,2.0],"coordinates":"asymmetric","nearest":"floor","places":"float32","requantize":null}})",
          R"({"op":"Table","name":"look","inputs":["grown"],"outputs":["looked"],"params":{"table":"lut"},"attrs":{}})",
          R"({"op":"AveragePool","name":"avg","inputs":["looked"],"outputs":["averaged"],"params":{},"attrs":{
               "kernel":[3,3],"strides":[2,2],"pads":[1,1,1,1],"dilations":[1,1],"ceil_mode":true,
               "count_include_pad":false,"auto_pad":"explicit",
               "requantize":{"kind":"fixed","lo":-16,"hi":16,"negate_residual":false}}})",
          R"({"op":"Binary","name":"plus","inputs":["averaged","averaged"],"outputs":["added"],
               "params":{"multiplier":"one","exponent":"e","residual_multiplier":"one"},"attrs":{"function":"add",
               "clamp":null,"requantize":{"kind":"fixed","lo":-16,"hi":16,"negate_residual":false}}})",
          R"({"op":"Dequantize","name":"de","inputs":["added"],"outputs":["d"],"params":{},"attrs":{}})",
          R"({"op":"Slice","name":"slice","inputs":["d"],"outputs":["p"],"params":{},"attrs":{"starts":[0],"ends":[3],
               "axes":[1],"steps":[1]}})",
          R"({"op":"Pad","name":"pad","inputs":["p"],"outputs":["t"],"params":{},"attrs":{"pads":[0,0,1,1,0,0,1,1],
               "mode":"reflect","value":0.0}})",
          R"({"op":"Binary","name":"times","inputs":["t","k"],"outputs":["times"],"params":{},"attrs":{"function":"mul",
               "clamp":[null,6.0],"requantize":null}})",
          R"({"op":"PRelu","name":"prelu","inputs":["times"],"outputs":["pr"],"params":{"slope":"slope"},"attrs":{}})",
          R"({"op":"ConvTranspose","name":"up","inputs":["pr"],"outputs":["ct"],"params":{"weight":"tw"},"attrs":{
               "kernel":[2,2],"strides":[2,2],"pads":[0,0,0,0],"dilations":[1,1],"groups":1,"output_padding":[0,0],
               "clamp":null,"requantize":null}})",
          R"({"op":"SpaceToDepth","name":"std","inputs":["ct"],"outputs":["std"],"params":{},"attrs":{"block":2}})",
          R"({"op":"DepthToSpace","name":"dts","inputs":["std"],"outputs":["dts"],"params":{},"attrs":{"block":2,
               "mode":"DCR"}})",
          R"({"op":"Transpose","name":"turn","inputs":["pr"],"outputs":["r"],"params":{},"attrs":{"perm":[0,3,2,1]}})",
          R"({"op":"Range","name":"count","inputs":["r"],"outputs":["row"],"params":{},"attrs":{"factors":[1],"inputs":[0],
               "axes":[3],"divisors":[1],"start":0.5,"step":2.0}})",
          R"({"op":"Expand","name":"wide","inputs":["row","grown"],"outputs":["grid"],"params":{},"attrs":{
               "factors":[1,2,1],"inputs":[1,-1,0],"axes":[2,0,0],"divisors":[2,1,1]}})",
          R"({"op":"Reshape","name":"part","inputs":["grid"],"outputs":["parts"],"params":{},"attrs":{"shape":[1,1,-1],
               "axes":[2,0,-1],"divisors":[1,1,1]}})",
          R"({"op":"Normalize","name":"norm","inputs":["pr"],"outputs":["norm"],"params":{"scale":"ns"},"attrs":{"axes":[1,3],
               "groups":1,"epsilon":0.1}})",
          R"({"op":"MatMul","name":"prod","inputs":["norm","norm"],"outputs":["prod"],"params":{},"attrs":{}})",
          R"({"op":"Unary","name":"act","inputs":["pr"],"outputs":["u"],"params":{},"attrs":{"function":"clip","alpha":0.0,
               "beta":0.0,"lo":-1.0,"hi":1.0}})",
          R"({"op":"Reduce","name":"mean","inputs":["u"],"outputs":["mean"],"params":{},"attrs":{"function":"mean",
               "axes":[2,3],"keepdims":true,"requantize":null}})",
          R"({"op":"Reshape","name":"flat","inputs":["mean"],"outputs":["flat"],"params":{},"attrs":{"shape":[0,-1],"axes":[],"divisors":[]}})",
          R"({"op":"Gemm","name":"gemm","inputs":["flat"],"outputs":["gemm"],"params":{"weight":"gw"},"attrs":{
               "clamp":null,"requantize":null}})",
          R"({"op":"Softmax","name":"soft","inputs":["gemm"],"outputs":["soft"],"params":{},"attrs":{"axis":1}})",
      })
    model.add_node(node);
  model.graph()["outputs"] = {"y", "soft", "dts", "r", "parts", "prod"};
  return model;
}

// Every value in the tree, so that one can be picked with equal chance.
void collect(value& node, std::vector<value*>& all) {
  all.push_back(&node);
  if (node.is_object())
    for (auto& [key, child] : node.get_object()) collect(child, all);
  if (node.is_array())
    for (value& child : node.get_array()) collect(child, all);
}

void edit(value& node, Random& random) {
  switch (random() % 8) {
    case 0:
      node = pick<int64_t>(random,
                           {0, 1, 2, 3, -1, -2, 7, 127, 128, 255, 65536, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN});
      break;
    case 1:
      node = pick<double>(random, {0.0, -1.0, 0.5, 1e-300, 1e300, 3.5, -0.0, 4096.0});
      break;
    case 2:
      node = pick<const char*>(random,
                               {"", "x", "y", "yq", "w", "b", "float", "mul", "max", "linear", "same_upper", "edge"});
      break;
    case 3:
      node = nullptr;
      break;
    case 4:
      if (node.is_array() && !node.get_array().empty()) {
        node.get_array().erase(node.get_array().begin());
      } else if (node.is_int64()) {
        node = node.get_int64() + pick<int64_t>(random, {-1, 1, 2, 10});
      }
      break;
    case 5:
      if (node.is_array() && !node.get_array().empty() && node.get_array().size() < 100)
        node.get_array().push_back(value(node.get_array().front()));
      break;
    case 6:
      if (node.is_object() && !node.get_object().empty()) node.get_object().erase(node.get_object().begin());
      break;
    default:
      if (node.is_bool()) node = !node.get_bool();
  }
}

BOOST_AUTO_TEST_SUITE(fuzz)

BOOST_AUTO_TEST_CASE(the_unedited_files_run) {
  BOOST_TEST(outcome(many_operators().bytes()) == "");
  BOOST_TEST(outcome(quantized_model().bytes()) == "");
}

BOOST_AUTO_TEST_CASE(random_edits_of_the_header_give_errors_or_results) {
  FuzzRounds rounds(1500);
  Random random = fuzz_random();
  int64_t ran = 0;
  while (rounds.next()) {
    ModelBytes model = many_operators();
    value tree(model.header);
    std::vector<value*> all;
    collect(tree, all);
    for (unsigned edits = 0; edits <= random() % 3; ++edits) {
      edit(*all[random() % all.size()], random);
      all.clear();
      collect(tree, all);
    }
    if (!tree.is_object()) continue;
    model.header = tree.get_object();
    ran += outcome(model.bytes()).empty() ? 1 : 0;
  }
  BOOST_TEST_MESSAGE(ran << " of " << rounds.done() << " edited files ran");
  BOOST_TEST(ran > 0);  // else the edits are too coarse to reach the operators
}

BOOST_AUTO_TEST_CASE(random_values_of_constants_give_errors_or_results) {
  FuzzRounds rounds(500);
  Random random = fuzz_random();
  while (rounds.next()) {
    ModelBytes model = many_operators();
    auto it = model.stored.begin();
    std::advance(it, random() % model.stored.size());
    for (unsigned edits = 0; edits <= random() % 4; ++edits)
      it->second.bytes[random() % it->second.bytes.size()] = static_cast<std::byte>(random());
    model.constants()[it->first].as_object()["crc32c"] = hex8(crc32c(it->second.bytes));
    outcome(model.bytes());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace fewbins
