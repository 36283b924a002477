// SPDX-License-Identifier: Apache-2.0
// The reader: what it gives for good files, and one edit per way in which a file can be wrong.
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/error.h"
#include "file/rans.h"
#include "model_bytes.h"

namespace fewbins {
namespace {

using boost::json::parse;

void set(boost::json::object& object, const char* key, const char* json) { object[key] = parse(json); }

// The bytes must be refused with this text in the message, which names the file first.
void refused(const std::vector<std::byte>& bytes, const std::string& text) {
  try {
    load_bytes(bytes);
    BOOST_ERROR("accepted, but should be refused with: " << text);
  } catch (const Error& error) {
    const std::string message = error.what();
    BOOST_TEST((error.code() == ErrorCode::model_file), message);
    BOOST_TEST(message.starts_with("m.fewbins: "), message);
    BOOST_TEST(message.find(text) != std::string::npos, "'" << message << "' does not say '" << text << "'");
    BOOST_TEST(message.find('\n') == std::string::npos, message);
  }
}

using Edit = std::function<void(ModelBytes&)>;

void refused(ModelBytes model, const Edit& edit, const std::string& text) {
  edit(model);
  refused(model.bytes(), text);
}

BOOST_AUTO_TEST_SUITE(file)

BOOST_AUTO_TEST_CASE(a_good_file_is_read) {
  const Model model = load_bytes(quantized_model().bytes());
  BOOST_TEST(model.source == "m.fewbins");
  BOOST_TEST(model.nodes.size() == 3U);
  BOOST_TEST(model.nodes[1].op == "Conv");
  BOOST_TEST(model.nodes[1].params.at("weight") == "w");
  const TensorInfo& xq = model.tensors.at("xq");
  BOOST_TEST((xq.dtype == DType::levels));
  BOOST_TEST((xq.affine == AffineInfo{0.5F, -3, -128, 127}));
  BOOST_TEST(xq.shape[0].symbol == "batch");
  BOOST_TEST(xq.shape[1].size == 2);
  const Constant& weight = model.constants.at("w");
  BOOST_TEST((weight.dims == Dims{3, 2, 3, 3}));
  BOOST_TEST(weight.as<int8_t>()[1] == -90);
  BOOST_TEST(weight.weight_affine->scales.size() == 3U);
  BOOST_TEST(weight.weight_affine->axis.value() == 0);
}

BOOST_AUTO_TEST_CASE(coded_constants_are_decoded) {
  ModelBytes model = quantized_model();
  const std::vector<std::byte> raw = model.stored["w"].bytes;
  model.encode("w", "rans", rans_encode(raw));
  model.constant<uint8_t>("n", "uint8", {3}, {1, 2, 15}).encode("n", "nibbles", {std::byte{0x21}, std::byte{0x0F}});
  const Model loaded = load_bytes(model.bytes());
  BOOST_TEST((std::memcmp(loaded.constants.at("w").data, raw.data(), raw.size()) == 0));
  BOOST_TEST(loaded.constants.at("n").as<uint8_t>()[0] == 1);
  BOOST_TEST(loaded.constants.at("n").as<uint8_t>()[1] == 2);
  BOOST_TEST(loaded.constants.at("n").as<uint8_t>()[2] == 15);
}

BOOST_AUTO_TEST_CASE(padding_tensors_and_unknown_keys_are_ignored) {
  ModelBytes model = relu_model();
  model.stored["__pad0"] = {"U8", {5}, std::vector<std::byte>(5)};
  model.header["something_new"] = 1;
  BOOST_TEST(load_bytes(model.bytes()).nodes.size() == 1U);
}

BOOST_AUTO_TEST_CASE(preprocessing_and_labels_travel) {
  ModelBytes model = relu_model();
  set(model.header, "preprocessing",
      R"({"size":[8,9],"resize":"none","resize_to":null,"channels":"RGB","mean":[1,2.5,3],"std":[4,5,6]})");
  set(model.header, "labels", R"(["cat","dog"])");
  const Model loaded = load_bytes(model.bytes());
  BOOST_TEST(loaded.preprocessing->height == 8);
  BOOST_TEST(loaded.preprocessing->mean[1] == 2.5F);
  BOOST_TEST(loaded.labels[1] == "dog");
}

BOOST_AUTO_TEST_CASE(a_file_cut_anywhere_is_refused) {
  const std::vector<std::byte> good = relu_model().bytes();
  for (size_t size = 0; size < good.size(); ++size)
    BOOST_CHECK_THROW(load_bytes({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}), Error);
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_is_refused_anywhere) {
  // Everything is under a checksum but the container's JSON. Flips there may turn one padding space into another kind
  // of white space, which changes nothing; any other must not be read as the same model.
  const std::vector<std::byte> good = quantized_model().bytes();
  for (size_t at = 0; at < good.size(); ++at) {
    std::vector<std::byte> broken = good;
    broken[at] ^= std::byte{4};
    if (broken[at] == std::byte{'$'}) continue;  // a padding space
    try {
      load_bytes(broken);
      BOOST_ERROR("a flip at byte " << at << " was accepted");
    } catch (const Error& error) {
      BOOST_TEST((error.code() == ErrorCode::model_file), error.what());
    }
  }
}

BOOST_AUTO_TEST_CASE(the_container_is_checked) {
  const std::vector<std::byte> none;
  refused({std::byte{1}}, "too few");
  std::vector<std::byte> huge(16, std::byte{0xFF});
  refused(huge, "the limit is");
  refused(ModelBytes::container("{}", none), "not a fewbins model");
  refused(ModelBytes::container("[1, 2]", none), "must be an object");
  refused(ModelBytes::container("{", none), "not JSON");
  refused(ModelBytes::container(std::string(40, '[') + std::string(40, ']'), none), "not JSON");  // too deep
  const auto entry = [&](const char* row, size_t bytes) {
    return ModelBytes::container(R"({"__metadata__":{"fewbins":"x"},"t":)" + std::string(row) + "}",
                                 std::vector<std::byte>(bytes));
  };
  refused(entry(R"({"dtype":"U8","shape":[4],"data_offsets":[0,9]})", 4), "truncated");
  refused(entry(R"({"dtype":"U8","shape":[4],"data_offsets":[3,1]})", 4), "corrupt");
  refused(entry(R"({"dtype":"U8","shape":[5],"data_offsets":[0,4]})", 4), "needs 5");
  refused(entry(R"({"dtype":"F64","shape":[1],"data_offsets":[0,8]})", 8), "F64");
  refused(entry(R"({"dtype":"U8","shape":[2],"data_offsets":[2,4]})", 4), "holes");
  refused(entry(R"({"dtype":"U8","shape":[2],"data_offsets":[0,2]})", 4), "appended");
  refused(entry(R"({"dtype":"U8","shape":[-1],"data_offsets":[0,2]})", 2), "must be an integer");
  refused(entry(R"({"dtype":"U8","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,2]})", 2),
          "the limit is");
  refused(entry(R"({"dtype":"U8","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,2]})", 2), "the limit is 8");
  refused(entry(R"({"dtype":"U8","shape":[2],"data_offsets":[0,18446744073709551615]})", 2), "must be an integer");
}

BOOST_AUTO_TEST_CASE(the_header_text_is_checked) {
  ModelBytes model = relu_model();
  refused(model.bytes("{}"), "checksum is missing");
  refused(model.bytes(""), "checksum is missing");
  std::string text = model.text();
  text[text.find("relu")] = 'R';
  refused(model.bytes(text), "the file is corrupt");
  const auto with = [](const char* key, const char* json) {
    return Edit([key, json](ModelBytes& m) { set(m.header, key, json); });
  };
  refused(relu_model(), with("format", R"("other")"), "format");
  refused(relu_model(), with("version", "[2,0]"), "format version 2.0");
  refused(relu_model(), with("version", "[1,2]"), "format version 1.2 is not one that this release reads");
  refused(relu_model(), with("version", "[1]"), "two numbers");
  refused(relu_model(), with("numerics", "2"), "numerics 2 is unknown");
  refused(relu_model(), with("scheme", "5"), "scheme");
  refused(relu_model(), with("graph", "[]"), "graph");
  refused(relu_model(), with("labels", R"(["a",5])"), "labels");
  refused(relu_model(), with("preprocessing", R"({"size":null,"channels":"CMYK","mean":[],"std":[]})"), "channels");
  refused(relu_model(), with("preprocessing", R"({"size":null,"channels":"GRAY","mean":[1],"std":[0]})"), "std");
  refused(relu_model(), [](ModelBytes& m) { m.header.erase("constants"); }, "'constants' is missing");
}

BOOST_AUTO_TEST_CASE(the_graph_is_checked) {
  const auto node = [](const char* key, const char* json) {
    return Edit([key, json](ModelBytes& m) { set(m.node(0), key, json); });
  };
  refused(relu_model(), node("inputs", R"(["nowhere"])"), "reads 'nowhere'");
  refused(relu_model(), node("inputs", R"(["y"])"), "which nothing before it writes");
  refused(relu_model(), node("inputs", "[]"), "no inputs");
  refused(relu_model(), node("outputs", R"(["x"])"), "a second time");
  refused(relu_model(), node("outputs", R"(["z"])"), "not among the graph's tensors");
  refused(relu_model(), node("params", R"({"weight":"w"})"), "its weight 'w' is not a constant");
  refused(relu_model(), node("name", R"("")"), "a name has 0 bytes");
  refused(relu_model(), node("op", "7"), "must be a string");
  refused(relu_model(), node("attrs", "null"), "must be an object");
  refused(
      relu_model(), [](ModelBytes& m) { m.add_node(boost::json::serialize(m.node(0)).c_str()); },
      "two nodes are named");
  refused(relu_model(), [](ModelBytes& m) { set(m.graph(), "inputs", R"(["q"])"); }, "graph input 'q'");
  refused(relu_model(), [](ModelBytes& m) { set(m.graph(), "inputs", R"(["x","x"])"); }, "named twice");
  refused(relu_model(), [](ModelBytes& m) { set(m.graph(), "inputs", "[]"); }, "no inputs");
  refused(relu_model(), [](ModelBytes& m) { set(m.graph(), "outputs", R"(["q"])"); }, "graph output 'q'");
  refused(
      quantized_model(), [](ModelBytes& m) { set(m.graph(), "outputs", R"(["yq"])"); },
      "whose meaning a caller cannot know");
  refused(relu_model(), [](ModelBytes& m) { m.tensor("x", R"([1,2,3,4,5,6,7,8,9])"); }, "the limit is 8");
  refused(relu_model(), [](ModelBytes& m) { m.tensor("x", R"([1,-2])"); }, "must be an integer");
  refused(relu_model(), [](ModelBytes& m) { m.tensor("x", R"([1,2.5])"); }, "must be an integer");
  refused(relu_model(), [](ModelBytes& m) { m.constant<float>("x", "float32", {1}, {1.0F}); }, "at once");
  refused(
      relu_model(),
      [](ModelBytes& m) {
        m.constant<int8_t>("k", "int8", {1}, {1});
        set(m.node(0), "inputs", R"(["k"])");
      },
      "which only params are");
  refused(
      relu_model(), [](ModelBytes& m) { m.constant<uint8_t>("k", "bool", {3}, {0, 1, 2}); },
      "is bool and holds bytes other than 0 and 1");
}

BOOST_AUTO_TEST_CASE(activation_affines_are_checked) {
  const auto affine = [](const char* json) { return Edit([json](ModelBytes& m) { m.tensor("xq", "[1]", json); }); };
  refused(quantized_model(), affine(R"({"scale":2,"zero_point":0,"lo":-1,"hi":1})"), "names scale 2");
  refused(quantized_model(), affine(R"({"scale":-1,"zero_point":0,"lo":-1,"hi":1})"), "must be an integer");
  refused(quantized_model(), affine(R"({"scale":0,"zero_point":5,"lo":-1,"hi":1})"), "must be an integer in -1..1");
  refused(quantized_model(), affine(R"({"scale":0,"zero_point":0,"lo":-129,"hi":1})"), "must be an integer in -128..0");
  refused(quantized_model(), affine(R"({"scale":0,"zero_point":0,"lo":1,"hi":3})"), "must be an integer in -128..0");
  refused(quantized_model(), affine(R"({"scale":0,"zero_point":0,"lo":0,"hi":1})"), "at least 3");
  for (const float bad : {0.0F, -1.0F, 1e-40F, INFINITY, NAN})
    refused(
        quantized_model(), [bad](ModelBytes& m) { m.constant<float>("__scales", "float32", {2}, {bad, 1.0F}); },
        "finite, normal and positive");
  refused(
      quantized_model(),
      [](ModelBytes& m) {
        m.constants().erase("__scales");
        m.stored.erase("__scales");
      },
      "__scales");
}

BOOST_AUTO_TEST_CASE(constants_are_checked) {
  const auto row = [](const char* key, const char* json) {
    return Edit([key, json](ModelBytes& m) { set(m.constants()["w"].as_object(), key, json); });
  };
  refused(quantized_model(), row("crc32c", R"("00000000")"), "'w' fails its checksum");
  refused(quantized_model(), row("crc32c", R"("zz")"), "hexadecimal");
  refused(quantized_model(), row("dtype", R"("float16")"), "data type");
  refused(quantized_model(), row("dtype", R"("uint8")"), "declared as uint8");
  refused(quantized_model(), row("shape", "[3,2,9]"), "stored as I8");
  refused(quantized_model(), row("shape", "[2147483647,3]"), "the limit is");
  refused(quantized_model(), row("encoding", R"("zip")"), "must be 'raw', 'nibbles' or 'rans'");
  refused(quantized_model(), row("encoding", R"("rans")"), "elements of one byte");
  refused(quantized_model(), [](ModelBytes& m) { m.stored.erase("w"); }, "'w' is missing from the file");
  refused(quantized_model(), [](ModelBytes& m) { m.constants().erase("w"); }, "not listed among the constants");
  refused(
      quantized_model(), [](ModelBytes& m) { m.encode("w", "rans", {std::byte{1}}); }, "'w': the entropy-coded data");
  refused(quantized_model(), [](ModelBytes& m) { m.encode("w", "nibbles", {std::byte{1}}); }, "nibbles");
  refused(quantized_model(), [](ModelBytes& m) { m.encode("m", "rans", {std::byte{1}}); }, "elements of one byte");
}

BOOST_AUTO_TEST_CASE(constants_above_the_limit_are_refused_before_memory_is_taken) {
  ModelBytes model = relu_model();
  for (const char* name : {"a", "b", "c"})
    model.constant<uint8_t>(name, "uint8", {1}, {0}).constants()[name].as_object()["shape"] =
        boost::json::array{250'000'000};
  refused(model.bytes(), "decoded constants of 250000008 bytes would pass the limit of ");
}

BOOST_AUTO_TEST_CASE(weight_affines_are_checked) {
  const auto affine = [](const char* json) {
    return Edit([json](ModelBytes& m) { set(m.constants()["w"].as_object(), "affine", json); });
  };
  refused(quantized_model(), affine(R"({"scale":"nope","zero_point":0,"lo":-127,"hi":127,"axis":0})"),
          "float32 constant");
  refused(quantized_model(), affine(R"({"scale":"b","zero_point":0,"lo":-127,"hi":127,"axis":0})"), "float32 constant");
  refused(quantized_model(), affine(R"({"scale":"w.scale","zero_point":0,"lo":-5,"hi":127,"axis":0})"),
          "outside its levels");
  refused(quantized_model(), affine(R"({"scale":"w.scale","zero_point":0,"lo":-127,"hi":127,"axis":4})"), "axis 4");
  refused(quantized_model(), affine(R"({"scale":"w.scale","zero_point":200,"lo":-127,"hi":127,"axis":0})"),
          "zero_point");
  refused(
      quantized_model(), [](ModelBytes& m) { m.constant<float>("w.scale", "float32", {3}, {1.0F, 0.0F, 1.0F}); },
      "finite, normal and positive");
  refused(
      quantized_model(), [](ModelBytes& m) { m.constant<float>("w.scale", "float32", {2}, {1.0F, 1.0F}); }, "1 or 3");
  refused(
      quantized_model(),
      [](ModelBytes& m) {
        m.constant<uint8_t>("k", "levels", {2}, {0, 9}, R"({"scale":0,"zero_point":0,"lo":-2,"hi":2})");
      },
      "levels end at 4");
}

BOOST_AUTO_TEST_CASE(constants_of_quantized_nodes_are_checked) {
  const auto requantize = [](const char* json) {
    return Edit([json](ModelBytes& m) { set(m.node(1)["attrs"].as_object(), "requantize", json); });
  };
  refused(quantized_model(), requantize(R"({"kind":"magic","lo":0,"hi":1})"), "'float', 'fixed', 'shift'");
  refused(quantized_model(), requantize(R"({"kind":"float","lo":-17,"hi":1})"), "-16..16");
  refused(quantized_model(), requantize(R"({"kind":"float","lo":5,"hi":4})"), "5..16");
  refused(quantized_model(), requantize(R"({"kind":"dequantize","lo":0,"hi":0})"), "writes float32");
  refused(quantized_model(), requantize(R"({"kind":"fixed","lo":0,"hi":1})"), "multiplier is float32");
  refused(quantized_model(), requantize(R"({"kind":"shift","lo":0,"hi":1})"), "'shift' is missing");
  refused(quantized_model(), [](ModelBytes& m) { set(m.node(1), "inputs", R"(["x"])"); }, "reads levels");
  refused(quantized_model(), [](ModelBytes& m) { m.constant<float>("m", "float32", {2}, {1.0F, 1.0F}); }, "1 or 3");
  refused(quantized_model(), [](ModelBytes& m) { m.constant<float>("m", "float32", {3}, {1.0F, NAN, 1.0F}); }, "2^96");
  refused(
      quantized_model(), [](ModelBytes& m) { m.constant<float>("m", "float32", {3}, {1.0F, 1e30F, 1.0F}); }, "2^96");
  refused(quantized_model(), [](ModelBytes& m) { m.constant<int32_t>("b", "int32", {1}, {1}); }, "its bias has 1");
  refused(
      quantized_model(), [](ModelBytes& m) { m.constant<float>("b", "float32", {3}, {1, 1, 1}); }, "bias is float32");
  refused(quantized_model(), [](ModelBytes& m) { m.node(1)["params"].as_object().erase("bias"); }, "'bias' is missing");
  refused(
      quantized_model(), [](ModelBytes& m) { m.node(1)["params"].as_object()["weight"] = "b"; }, "weight has shape");
}

BOOST_AUTO_TEST_CASE(integer_constants_stay_in_their_ranges) {
  const auto integers = [](const char* kind, std::initializer_list<std::pair<const char*, int32_t>> values) {
    return Edit([kind, values = std::vector(values)](ModelBytes& m) {
      m.node(1)["attrs"].as_object()["requantize"] = {{"kind", kind}, {"lo", 0}, {"hi", 1}, {"negate_residual", false}};
      for (const auto& [role, value] : values) {
        m.constant<int32_t>(role, "int32", {1}, {value});
        m.node(1)["params"].as_object()[role] = role;
      }
    });
  };
  refused(quantized_model(), integers("fixed", {{"multiplier", 1 << 30}, {"exponent", 0}}), "1..62");
  refused(quantized_model(), integers("fixed", {{"multiplier", 1 << 30}, {"exponent", 63}}), "1..62");
  refused(quantized_model(), integers("shift", {{"shift", 5000}}), "-1024..1024");
  ModelBytes good = quantized_model();
  integers("fixed", {{"multiplier", 1 << 30}, {"exponent", 62}})(good);
  BOOST_CHECK_NO_THROW(load_bytes(good.bytes()));
}

BOOST_AUTO_TEST_CASE(an_accumulator_that_int32_does_not_hold_is_refused) {
  // Channel 0 has 18 weights; reach is 130 levels. The proof is exact to one unit of the bias.
  ModelBytes model = quantized_model();
  int64_t sum = 0;
  const Model loaded = load_bytes(model.bytes());
  for (const int8_t w : loaded.constants.at("w").as<int8_t>().first(18)) sum += std::abs(int{w});
  const int64_t most = (int64_t{1} << 31) - 1 - 130 * sum;
  model.constant<int32_t>("b", "int32", {3}, {static_cast<int32_t>(most), 0, 0});
  BOOST_CHECK_NO_THROW(load_bytes(model.bytes()));
  model.constant<int32_t>("b", "int32", {3}, {static_cast<int32_t>(-most), 0, 0});
  BOOST_CHECK_NO_THROW(load_bytes(model.bytes()));
  model.constant<int32_t>("b", "int32", {3}, {static_cast<int32_t>(most + 1), 0, 0});
  refused(model.bytes(), "the accumulator of channel 0 may reach 2147483648");
}

BOOST_AUTO_TEST_CASE(table_entries_stay_in_the_outputs_levels) {
  ModelBytes model = quantized_model();
  model.tensor("tq", R"(["batch",3,"h","w"])", R"({"scale":0,"zero_point":0,"lo":-4,"hi":4})");
  model.add_node(
      R"({"op":"Table","name":"t","inputs":["yq"],"outputs":["tq"],"params":{"table":"t.table"},"attrs":{}})");
  model.constant<uint8_t>("t.table", "uint8", {256}, std::vector<uint8_t>(256, 8));
  BOOST_CHECK_NO_THROW(load_bytes(model.bytes()));
  model.constant<uint8_t>("t.table", "uint8", {256}, std::vector<uint8_t>(256, 9));
  refused(model.bytes(), "its table holds 9");
  model.constant<uint8_t>("t.table", "uint8", {255}, std::vector<uint8_t>(255, 0));
  refused(model.bytes(), "its table has");
}

BOOST_AUTO_TEST_CASE(files_that_cannot_be_opened_are_io_errors) {
  const auto code = [](const std::string& path) {
    try {
      static_cast<void>(load_model_file(path));
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::ok;
  };
  BOOST_TEST((code("/nowhere/m.fewbins") == ErrorCode::io));
  BOOST_TEST((code(std::filesystem::temp_directory_path().string()) == ErrorCode::io));
  BOOST_TEST((code("/dev/zero") == ErrorCode::io));
  const std::filesystem::path empty =
      std::filesystem::temp_directory_path() / ("fewbins-" + std::to_string(::getpid()));
  std::ofstream(empty).flush();
  BOOST_TEST((code(empty.string()) == ErrorCode::model_file));
  std::filesystem::remove(empty);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace fewbins
