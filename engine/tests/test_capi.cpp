// SPDX-License-Identifier: Apache-2.0
// The C ABI as a C program uses it: only fewbins.h, plus a model made in memory.
#include <fewbins.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "model_bytes.h"

namespace {

using Bytes = std::vector<std::byte>;

struct Handle {
  fewbins_session* session = nullptr;
  explicit Handle(const Bytes& bytes, const fewbins_options* options = nullptr) {
    fewbins_error* error = nullptr;
    const fewbins_status status = fewbins_load_memory(bytes.data(), bytes.size(), options, &session, &error);
    BOOST_TEST(status == FEWBINS_OK, fewbins_error_message(error));
    fewbins_error_free(error);
  }
  ~Handle() { fewbins_free(session); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

// The status of a call and whether its message holds `text`; frees the error, which the call sets before this looks.
bool failed(fewbins_status status, fewbins_error*& error, fewbins_status wanted, const char* text) {
  const std::string message = fewbins_error_message(error);
  const bool good = status == wanted && fewbins_error_status(error) == wanted &&
                    message.find(text) != std::string::npos && message.find('\n') == std::string::npos;
  if (!good) BOOST_TEST_MESSAGE("status " << status << ": " << message);
  fewbins_error_free(error);
  return good;
}

BOOST_AUTO_TEST_SUITE(c_abi)

BOOST_AUTO_TEST_CASE(versions_are_those_of_the_header) {
  BOOST_TEST(fewbins_abi_version() == FEWBINS_ABI_VERSION);
  BOOST_TEST(std::string(fewbins_version()).find('.') != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_model_runs_on_the_callers_buffers) {
  const Handle model(fewbins::relu_model().bytes());
  BOOST_TEST(fewbins_input_count(model.session) == 1U);
  BOOST_TEST(fewbins_output_count(model.session) == 1U);
  fewbins_tensor_info info{};
  info.struct_size = sizeof info;
  BOOST_TEST(fewbins_input_info(model.session, 0, &info, nullptr) == FEWBINS_OK);
  BOOST_TEST(std::string(info.name) == "x");
  BOOST_TEST(info.shape.rank == 4);
  BOOST_TEST(info.shape.dims[0] == -1);
  BOOST_TEST(info.shape.dims[1] == 2);
  BOOST_TEST(info.takes_pixels == 0);
  const fewbins_shape shape{4, {1, 2, 1, 2}};
  fewbins_shape out_shape{};
  BOOST_TEST(fewbins_output_shapes(model.session, &shape, 1, &out_shape, 1, nullptr) == FEWBINS_OK);
  BOOST_TEST(out_shape.rank == 4);
  BOOST_TEST(out_shape.dims[3] == 2);
  const float x[4] = {-1.0F, 2.0F, 3.0F, -4.0F};
  float y[4] = {9, 9, 9, 9};
  const fewbins_input input{sizeof input, x, sizeof x, FEWBINS_FLOAT32, shape};
  const fewbins_output output{sizeof output, y, sizeof y};
  fewbins_error* error = nullptr;
  BOOST_TEST(fewbins_run(model.session, &input, 1, &output, 1, &error) == FEWBINS_OK);
  BOOST_TEST(error == nullptr);
  BOOST_TEST(y[0] == 0.0F);
  BOOST_TEST(y[1] == 2.0F);
  BOOST_TEST(y[2] == 3.0F);
  BOOST_TEST(y[3] == 0.0F);
}

BOOST_AUTO_TEST_CASE(pixels_are_taken_in_their_own_order) {
  fewbins::ModelBytes bytes = fewbins::relu_model();
  bytes.tensor("x", R"(["n",3,"h","w"])").tensor("y", R"(["n",3,"h","w"])");
  bytes.header["preprocessing"] = boost::json::parse(
      R"({"size":null,"resize":"none","resize_to":null,"channels":"BGR","mean":[0,0,0],"std":[1,2,4]})");
  const Handle model(bytes.bytes());
  fewbins_tensor_info info{};
  info.struct_size = sizeof info;
  BOOST_TEST(fewbins_input_info(model.session, 0, &info, nullptr) == FEWBINS_OK);
  BOOST_TEST(info.takes_pixels == 1);
  const uint8_t pixels[6] = {1, 2, 4, 10, 20, 40};  // one row of two pixels
  float y[6] = {};
  const fewbins_input input{sizeof input, pixels, sizeof pixels, FEWBINS_UINT8, {4, {1, 1, 2, 3}}};
  const fewbins_output output{sizeof output, y, sizeof y};
  BOOST_TEST(fewbins_run(model.session, &input, 1, &output, 1, nullptr) == FEWBINS_OK);
  const float expected[6] = {1, 10, 1, 10, 1, 10};
  BOOST_TEST(std::memcmp(y, expected, sizeof y) == 0);
}

BOOST_AUTO_TEST_CASE(masks_and_indices_have_their_own_types) {
  fewbins::ModelBytes bytes;
  bytes.tensor("x", R"(["n",4])").tensor("y", R"(["n",1])").tensor("m", R"(["n",4])");
  auto& tensors = bytes.graph()["tensors"].as_object();
  tensors["y"].as_object()["dtype"] = "int64";
  tensors["m"].as_object()["dtype"] = "bool";
  bytes.graph()["outputs"] = boost::json::parse(R"(["y","m"])");
  bytes.add_node(R"({"op":"ArgReduce","name":"arg","inputs":["x"],"outputs":["y"],"params":{},
                     "attrs":{"function":"max","axis":1,"keepdims":true,"last":false}})");
  bytes.add_node(R"({"op":"Cast","name":"cast","inputs":["x"],"outputs":["m"],"params":{},"attrs":{"to":"bool"}})");
  const Handle model(bytes.bytes());
  fewbins_tensor_info info{};
  info.struct_size = sizeof info;
  BOOST_TEST(fewbins_output_info(model.session, 0, &info, nullptr) == FEWBINS_OK);
  BOOST_TEST(info.dtype == FEWBINS_INT64);
  BOOST_TEST(fewbins_output_info(model.session, 1, &info, nullptr) == FEWBINS_OK);
  BOOST_TEST(info.dtype == FEWBINS_BOOL);
  const float x[4] = {0.0F, 2.0F, 5.0F, -4.0F};
  int64_t place = -1;
  uint8_t mask[4] = {9, 9, 9, 9};
  const fewbins_input input{sizeof input, x, sizeof x, FEWBINS_FLOAT32, {2, {1, 4}}};
  const fewbins_output outputs[2] = {{sizeof(fewbins_output), &place, sizeof place},
                                     {sizeof(fewbins_output), mask, sizeof mask}};
  BOOST_TEST(fewbins_run(model.session, &input, 1, outputs, 2, nullptr) == FEWBINS_OK);
  BOOST_TEST(place == 2);
  BOOST_TEST((mask[0] == 0 && mask[1] == 1 && mask[2] == 1 && mask[3] == 1));
  fewbins_error* error = nullptr;
  const fewbins_input integers{sizeof input, x, sizeof x, FEWBINS_INT32, {2, {1, 4}}};
  BOOST_TEST(failed(fewbins_run(model.session, &integers, 1, outputs, 2, &error), error, FEWBINS_SHAPE,
                    "was given as int32; the model takes float32"));
}

BOOST_AUTO_TEST_CASE(every_misuse_is_a_status_and_one_line) {
  const Bytes good = fewbins::relu_model().bytes();
  const Handle model(good);
  fewbins_error* error = nullptr;
  fewbins_session* none = nullptr;
  BOOST_TEST(failed(fewbins_load("/nowhere.fewbins", nullptr, &none, &error), error, FEWBINS_IO, "/nowhere.fewbins"));
  BOOST_TEST(none == nullptr);
  BOOST_TEST(failed(fewbins_load(nullptr, nullptr, &none, &error), error, FEWBINS_INVALID_ARGUMENT, "NULL"));
  BOOST_TEST(
      failed(fewbins_load_memory(good.data(), 30, nullptr, &none, &error), error, FEWBINS_MODEL_FILE, "truncated"));
  BOOST_TEST(failed(fewbins_load_memory(good.data(), 0, nullptr, &none, &error), error, FEWBINS_MODEL_FILE, "too few"));
  fewbins_options options = FEWBINS_OPTIONS_INIT;
  options.struct_size = 0;
  BOOST_TEST(failed(fewbins_load_memory(good.data(), good.size(), &options, &none, &error), error,
                    FEWBINS_INVALID_ARGUMENT, "struct_size"));
  options = FEWBINS_OPTIONS_INIT;
  options.threads = -7;
  BOOST_TEST(failed(fewbins_load_memory(good.data(), good.size(), &options, &none, &error), error,
                    FEWBINS_INVALID_ARGUMENT, "threads is -7"));
  fewbins_tensor_info info{};
  info.struct_size = sizeof info;
  BOOST_TEST(
      failed(fewbins_output_info(model.session, 1, &info, &error), error, FEWBINS_INVALID_ARGUMENT, "index is 1"));
  const float x[4] = {};
  float y[4] = {};
  fewbins_input input{sizeof input, x, sizeof x, FEWBINS_FLOAT32, {4, {1, 2, 1, 2}}};
  fewbins_output output{sizeof output, y, sizeof y};
  const auto run = [&] { return fewbins_run(model.session, &input, 1, &output, 1, &error); };
  input.bytes = 15;
  BOOST_TEST(failed(run(), error, FEWBINS_INVALID_ARGUMENT, "needs 16"));
  input.bytes = sizeof x;
  output.bytes = 12;
  BOOST_TEST(failed(run(), error, FEWBINS_INVALID_ARGUMENT, "output 0 has room for 12 bytes"));
  output.bytes = sizeof y;
  input.shape.dims[1] = 4;
  input.shape.dims[3] = 1;
  BOOST_TEST(failed(run(), error, FEWBINS_SHAPE, "the model takes"));
  input.shape.rank = 9;
  BOOST_TEST(failed(run(), error, FEWBINS_INVALID_ARGUMENT, "rank 9"));
  input.shape = {4, {1, 2, 1, 2}};
  input.dtype = static_cast<fewbins_dtype>(1);
  input.bytes = 4;
  BOOST_TEST(failed(run(), error, FEWBINS_INVALID_ARGUMENT, "no preprocessing"));
  BOOST_TEST(failed(fewbins_run(nullptr, &input, 1, &output, 1, &error), error, FEWBINS_INVALID_ARGUMENT, "NULL"));
  BOOST_TEST(
      failed(fewbins_run(model.session, nullptr, 1, &output, 1, &error), error, FEWBINS_INVALID_ARGUMENT, "NULL"));
  BOOST_TEST(fewbins_run(model.session, &input, 1, &output, 1, nullptr) ==
             FEWBINS_INVALID_ARGUMENT);  // an error nobody asks for
  fewbins_free(nullptr);
  fewbins_error_free(nullptr);
  BOOST_TEST(std::string(fewbins_error_message(nullptr)).empty());
}

BOOST_AUTO_TEST_CASE(a_longer_struct_of_a_newer_header_is_read) {
  const Handle model(fewbins::relu_model().bytes());
  struct NewerInput {
    fewbins_input known;
    int64_t unknown = 77;
  };
  const float x[4] = {-1, 2, -3, 4};
  float y[4] = {};
  NewerInput input{};
  input.known = {sizeof(NewerInput), x, sizeof x, FEWBINS_FLOAT32, {4, {1, 2, 1, 2}}};
  const fewbins_output output{sizeof output, y, sizeof y};
  BOOST_TEST(fewbins_run(model.session, &input.known, 1, &output, 1, nullptr) == FEWBINS_OK);
  BOOST_TEST(y[3] == 4.0F);
}

BOOST_AUTO_TEST_CASE(one_session_serves_several_threads) {
  const Handle model(fewbins::quantized_model().bytes());
  const std::vector<float> x(2 * 16 * 16, 1.25F);
  const auto run = [&](std::vector<float>& y) {
    const fewbins_input input{sizeof input, x.data(), x.size() * 4, FEWBINS_FLOAT32, {4, {1, 2, 16, 16}}};
    const fewbins_output output{sizeof output, y.data(), y.size() * 4};
    return fewbins_run(model.session, &input, 1, &output, 1, nullptr);
  };
  std::vector<float> first(3 * 16 * 16);
  BOOST_TEST(run(first) == FEWBINS_OK);
  std::vector<std::vector<float>> results(4, std::vector<float>(first.size()));
  std::vector<std::thread> threads;
  for (std::vector<float>& result : results)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) run(result);
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& result : results) BOOST_TEST((result == first));
}

BOOST_AUTO_TEST_CASE(a_profile_has_one_row_per_step) {
  const Handle model(fewbins::quantized_model().bytes());
  const std::vector<float> x(2 * 4 * 4, 1.0F);
  const fewbins_input input{sizeof input, x.data(), x.size() * 4, FEWBINS_FLOAT32, {4, {1, 2, 4, 4}}};
  std::vector<std::string> ops;
  const auto row = [](const fewbins_profile_row* one, void* user) {
    static_cast<std::vector<std::string>*>(user)->emplace_back(one->op);
  };
  BOOST_TEST(fewbins_profile(model.session, &input, 1, 2, row, &ops, nullptr) == FEWBINS_OK);
  BOOST_TEST((ops == std::vector<std::string>{"Quantize", "Conv", "Dequantize"}));
}

BOOST_AUTO_TEST_CASE(the_self_test_passes) {
  fewbins_error* error = nullptr;
  BOOST_TEST(fewbins_self_test(&error) == FEWBINS_OK, fewbins_error_message(error));
  fewbins_error_free(error);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
