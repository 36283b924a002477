// SPDX-License-Identifier: Apache-2.0
// Makes model files in memory for tests, good ones and broken ones: the header is plain JSON that a test may edit.
#pragma once

#include <algorithm>
#include <boost/json.hpp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "file/crc32c.h"
#include "file/model.h"

namespace fewbins {

inline std::string hex8(uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", value);
  return text;
}

class ModelBytes {
 public:
  struct Stored {
    std::string dtype;
    boost::json::array shape;
    std::vector<std::byte> bytes;
  };

  boost::json::object header;
  std::map<std::string, Stored> stored;

  ModelBytes() {
    header = boost::json::parse(R"({"format":"fewbins","version":[1,1],"numerics":1,"scheme":"float",
      "preprocessing":null,"labels":null,"provenance":{},"report":null,"constants":{},
      "graph":{"name":"g","inputs":["x"],"outputs":["y"],"tensors":{},"nodes":[]}})")
                 .as_object();
    constant<float>("__scales", "float32", {static_cast<int64_t>(2)}, {0.5F, 0.25F});
  }

  boost::json::object& graph() { return header["graph"].as_object(); }
  boost::json::object& constants() { return header["constants"].as_object(); }
  boost::json::object& node(size_t i) { return graph()["nodes"].as_array()[i].as_object(); }

  ModelBytes& tensor(const char* name, const char* shape, const char* affine = nullptr) {
    boost::json::object row{{"shape", boost::json::parse(shape)}, {"dtype", affine != nullptr ? "levels" : "float32"}};
    if (affine != nullptr) row["affine"] = boost::json::parse(affine);
    graph()["tensors"].as_object()[name] = row;
    return *this;
  }

  ModelBytes& add_node(const char* text) {
    graph()["nodes"].as_array().push_back(boost::json::parse(text));
    return *this;
  }

  template <class T>
  ModelBytes& constant(const char* name, const char* dtype, const boost::json::array& shape,
                       const std::vector<T>& values, const char* affine = nullptr) {
    static const std::map<std::string, std::string> kNames = {{"float32", "F32"}, {"levels", "U8"}, {"int8", "I8"},
                                                              {"uint8", "U8"},    {"int32", "I32"}, {"int64", "I64"},
                                                              {"bool", "U8"}};
    const auto bytes = std::as_bytes(std::span(values));
    Stored one{kNames.at(dtype), shape, {bytes.begin(), bytes.end()}};
    boost::json::object row{
        {"dtype", dtype}, {"shape", shape}, {"encoding", "raw"}, {"crc32c", hex8(crc32c(one.bytes))}};
    if (affine != nullptr) row["affine"] = boost::json::parse(affine);
    constants()[name] = row;
    stored[name] = std::move(one);
    return *this;
  }

  // Stores other bytes for a constant that is declared already, with their checksum.
  ModelBytes& encode(const char* name, const char* encoding, std::vector<std::byte> bytes) {
    constants()[name].as_object()["encoding"] = encoding;
    constants()[name].as_object()["crc32c"] = hex8(crc32c(bytes));
    stored[name] = {"U8", {static_cast<int64_t>(bytes.size())}, std::move(bytes)};
    return *this;
  }

  [[nodiscard]] std::string text() const {
    const std::string body = boost::json::serialize(header);
    const std::string start = body.substr(0, body.size() - 1);
    return start + ",\"crc32c\":\"" + hex8(crc32c(std::as_bytes(std::span(start)))) + "\"}";
  }

  [[nodiscard]] std::vector<std::byte> bytes() const { return bytes(text()); }

  [[nodiscard]] std::vector<std::byte> bytes(const std::string& text) const {
    boost::json::object entries{{"__metadata__", {{"fewbins", text}}}};
    std::vector<std::byte> data;
    for (const auto& [name, one] : stored) {
      const auto begin = static_cast<int64_t>(data.size());
      data.insert(data.end(), one.bytes.begin(), one.bytes.end());
      const auto end = static_cast<int64_t>(data.size());
      entries[name] = {{"dtype", one.dtype}, {"shape", one.shape}, {"data_offsets", {begin, end}}};
    }
    return container(boost::json::serialize(entries), data);
  }

  static std::vector<std::byte> container(std::string head, const std::vector<std::byte>& data) {
    head.append((64 - (head.size() + 8) % 64) % 64, ' ');
    std::vector<std::byte> file(8 + head.size() + data.size());
    for (size_t i = 0; i < 8; ++i) file[i] = static_cast<std::byte>(uint64_t{head.size()} >> (8 * i) & 255U);
    std::memcpy(file.data() + 8, head.data(), head.size());
    std::ranges::copy(data, file.begin() + static_cast<std::ptrdiff_t>(8 + head.size()));
    return file;
  }
};

inline Model load_bytes(const std::vector<std::byte>& bytes) {
  const auto copy = std::make_shared<AlignedBytes>(bytes.size());
  std::ranges::copy(bytes, copy->data());
  return load_model({copy->data(), copy->size()}, "m.fewbins", copy);
}

// x (batch, 2, h, w) -> relu -> y
inline ModelBytes relu_model() {
  ModelBytes model;
  model.tensor("x", R"(["batch",2,"h","w"])").tensor("y", R"(["batch",2,"h","w"])");
  model.add_node(R"({"op":"Unary","name":"relu","inputs":["x"],"outputs":["y"],"params":{},
                 "attrs":{"function":"relu","alpha":0.0,"beta":0.0,"lo":null,"hi":null}})");
  return model;
}

// x -> Quantize -> Conv 3x3, 2 -> 3 channels, 8-bit weights, kind float -> Dequantize -> y
inline ModelBytes quantized_model() {
  ModelBytes model;
  const char* levels_x = R"({"scale":0,"zero_point":-3,"lo":-128,"hi":127})";
  const char* levels_y = R"({"scale":1,"zero_point":2,"lo":-16,"hi":16})";
  model.tensor("x", R"(["batch",2,"h","w"])").tensor("xq", R"(["batch",2,"h","w"])", levels_x);
  model.tensor("yq", R"(["batch",3,"h","w"])", levels_y).tensor("y", R"(["batch",3,"h","w"])");
  std::vector<int8_t> weights(3 * 2 * 9);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<int8_t>(static_cast<int>(i * 37 % 255) - 127);
  model.constant<float>("w.scale", "float32", {3}, {0.01F, 0.02F, 0.03F});
  model.constant("w", "int8", {3, 2, 3, 3}, weights,
                 R"({"scale":"w.scale","zero_point":0,"lo":-127,"hi":127,"axis":0})");
  model.constant<int32_t>("b", "int32", {3}, {100, -200, 300});
  model.constant<float>("m", "float32", {3}, {0.001F, 0.002F, 0.0005F});
  model.add_node(R"({"op":"Quantize","name":"q","inputs":["x"],"outputs":["xq"],"params":{},"attrs":{"axis":1}})");
  model.add_node(R"({"op":"Conv","name":"conv","inputs":["xq"],"outputs":["yq"],
                 "params":{"weight":"w","bias":"b","multiplier":"m"},
                 "attrs":{"kernel":[3,3],"strides":[1,1],"pads":[1,1,1,1],"dilations":[1,1],"groups":1,
                          "auto_pad":"explicit","clamp":null,
                          "requantize":{"kind":"float","lo":2,"hi":16,"negate_residual":false}}})");
  model.add_node(R"({"op":"Dequantize","name":"d","inputs":["yq"],"outputs":["y"],"params":{},"attrs":{}})");
  return model;
}

}  // namespace fewbins
