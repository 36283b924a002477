// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cfenv>
#include <cmath>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "base/error.h"
#include "kernels/kernels.h"
#include "model_bytes.h"
#include "plan/arena.h"
#include "plan/self_test.h"
#include "plan/session.h"

namespace fewbins {
namespace {

std::vector<float> ramp(const Dims& dims, float step) {
  std::vector<float> values(static_cast<size_t>(dims.count()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = step * (static_cast<float>(i * 7 % 61) - 30.0F);
  return values;
}

InputView view(const std::vector<float>& values, const Dims& dims) { return {values.data(), dims, false}; }

std::vector<float> run_one(Session& session, const std::vector<float>& x, const Dims& dims) {
  const std::vector<Dims> in = {dims};
  std::vector<float> y(static_cast<size_t>(session.output_dims(in)[0].count()));
  const InputView input = view(x, dims);
  void* const output = y.data();
  session.run({&input, 1}, {&output, 1});
  return y;
}

// What docs/numerics.md says of quantized_model(), written out.
std::vector<float> quantized_reference(const std::vector<float>& x, const Dims& dims) {
  const std::vector<std::byte> bytes = quantized_model().bytes();
  const Model model = load_bytes(bytes);
  const auto w = model.constants.at("w").as<int8_t>();
  const auto b = model.constants.at("b").as<int32_t>();
  const auto m = model.constants.at("m").as<float>();
  const int64_t h = dims[2];
  const int64_t width = dims[3];
  const auto q = [&](int64_t n, int64_t c, int64_t i, int64_t j) {
    const float value = x[static_cast<size_t>(((n * 2 + c) * h + i) * width + j)];
    return static_cast<int32_t>(std::clamp(std::nearbyint(value / 0.5F) - 3.0F, -128.0F, 127.0F));
  };
  std::vector<float> y;
  for (int64_t n = 0; n < dims[0]; ++n)
    for (size_t o = 0; o < 3; ++o)
      for (int64_t i = 0; i < h; ++i)
        for (int64_t j = 0; j < width; ++j) {
          int32_t acc = b[o];
          for (int64_t c = 0; c < 2; ++c)
            for (int64_t di = 0; di < 3; ++di)
              for (int64_t dj = 0; dj < 3; ++dj) {
                const int64_t row = i + di - 1;
                const int64_t column = j + dj - 1;
                if (row < 0 || row >= h || column < 0 || column >= width) continue;
                acc += (q(n, c, row, column) + 3) *
                       w[(o * 2 + static_cast<size_t>(c)) * 9 + static_cast<size_t>(di * 3 + dj)];
              }
          const float scaled = static_cast<float>(acc) * m[o];
          y.push_back(0.25F * std::nearbyint(std::clamp(scaled, 0.0F, 14.0F)));
        }
  return y;
}

std::unique_ptr<Session> open(const ModelBytes& model, const SessionOptions& options = {}) {
  return Session::open(model.bytes(), options);
}

ErrorCode code_of(const std::function<void()>& call, const std::string& text) {
  try {
    call();
  } catch (const Error& error) {
    BOOST_TEST(std::string(error.what()).find(text) != std::string::npos, error.what());
    return error.code();
  }
  return ErrorCode::ok;
}

BOOST_AUTO_TEST_SUITE(plan)

BOOST_AUTO_TEST_CASE(pieces_that_live_together_never_share_memory) {
  std::minstd_rand random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> pieces;
    const size_t count = random() % 40 + 1;
    size_t sum = 0;
    for (size_t i = 0; i < count; ++i) {
      const auto first = static_cast<int64_t>(random() % 20);
      pieces.push_back({random() % 1000, first, first + static_cast<int64_t>(random() % 6), 0});
      sum += pieces.back().bytes + 64;
    }
    const size_t total = plan_arena(pieces, 1U << 30);
    BOOST_TEST(total <= sum + 64);
    for (size_t a = 0; a < count; ++a) {
      BOOST_TEST(pieces[a].offset % 64 == 0U);
      BOOST_TEST(pieces[a].offset + pieces[a].bytes + 64 <= total);
      for (size_t b = 0; b < a; ++b) {
        const bool together = pieces[a].first <= pieces[b].last && pieces[b].first <= pieces[a].last;
        const bool overlap = pieces[a].offset < pieces[b].offset + pieces[b].bytes &&
                             pieces[b].offset < pieces[a].offset + pieces[a].bytes;
        BOOST_TEST(!(together && overlap));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_chain_needs_no_more_than_its_two_largest_neighbours) {
  std::vector<Lifetime> chain;
  for (int64_t i = 0; i < 10; ++i) chain.push_back({size_t{1024}, i, i + 1, 0});
  BOOST_TEST(plan_arena(chain, 1U << 30) == 2048U + 64U);
}

BOOST_AUTO_TEST_CASE(an_arena_above_the_limit_is_refused_before_it_is_taken) {
  std::vector<Lifetime> pieces = {{600, 0, 1, 0}, {600, 1, 2, 0}};
  BOOST_CHECK_THROW(plan_arena(pieces, 1000), Error);
  const auto session = open(relu_model());
  const std::vector<Dims> too_many = {Dims{1, 2, 60000, 60000}};
  BOOST_TEST((code_of([&] { session->output_dims(too_many); }, "at most") == ErrorCode::shape));
}

BOOST_AUTO_TEST_CASE(a_float_model_runs_in_the_users_axis_order) {
  const auto session = open(relu_model());
  const Dims dims{2, 2, 3, 5};
  const std::vector<float> x = ramp(dims, 0.5F);
  std::vector<float> expected = x;
  for (float& value : expected) value = std::max(value, 0.0F);
  BOOST_TEST((run_one(*session, x, dims) == expected));
}

BOOST_AUTO_TEST_CASE(a_quantized_model_gives_the_contracts_integers) {
  for (const int threads : {1, 2})
    for (int i = 0; i < kIsaCount; ++i) {
      const auto isa = static_cast<Isa>(i);
      if (!is_of_this_architecture(isa)) continue;
      const auto session =
          open(quantized_model(), {.threads = threads, .isa = isa_name(isa), .kernel = {}, .check_finite = false});
      for (const Dims& dims : {Dims{1, 2, 1, 1}, Dims{3, 2, 7, 5}, Dims{1, 2, 33, 20}}) {
        const std::vector<float> x = ramp(dims, 2.3F);
        BOOST_TEST((run_one(*session, x, dims) == quantized_reference(x, dims)), isa_name(isa) << " " << dims.text());
      }
    }
}

BOOST_AUTO_TEST_CASE(an_input_that_has_another_reader_than_its_quantize_is_kept) {
  ModelBytes model = quantized_model();
  model.tensor("n", R"(["batch",2,"h","w"])");
  model.add_node(R"({"op":"Unary","name":"neg","inputs":["x"],"outputs":["n"],"params":{},
                     "attrs":{"function":"neg","alpha":0.0,"beta":0.0,"lo":null,"hi":null}})");
  model.graph()["outputs"] = {"y", "n"};
  const auto session = open(model);
  const Dims dims{2, 2, 70, 70};  // more pixels than one piece of work
  const std::vector<float> x = ramp(dims, 1.5F);
  const std::vector<float> expected = quantized_reference(x, dims);
  std::vector<float> y(expected.size());
  std::vector<float> n(x.size());
  const InputView input = view(x, dims);
  void* const outputs[] = {y.data(), n.data()};
  session->run({&input, 1}, outputs);
  BOOST_TEST((y == expected));
  BOOST_TEST(n[7] == -x[7]);
  BOOST_TEST((run_one(*open(quantized_model()), x, dims) == expected));
}

BOOST_AUTO_TEST_CASE(the_callers_float_mode_changes_nothing_and_stays) {
  const auto session = open(quantized_model());
  const Dims dims{1, 2, 9, 9};
  const std::vector<float> x = ramp(dims, 0.7F);
  const std::vector<float> expected = run_one(*session, x, dims);
  std::fesetround(FE_DOWNWARD);
  const std::vector<float> found = run_one(*session, x, dims);
  const int mode = std::fegetround();
  std::fesetround(FE_TONEAREST);
  BOOST_TEST(mode == FE_DOWNWARD);
  BOOST_TEST((found == expected));
}

BOOST_AUTO_TEST_CASE(a_session_serves_several_threads_at_once) {
  const auto session = open(quantized_model(), {.threads = 2, .isa = {}, .kernel = {}, .check_finite = false});
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const Dims dims{1 + t % 2, 2, 5 + t, 7};
      const std::vector<float> x = ramp(dims, 1.0F + static_cast<float>(t));
      const std::vector<float> expected = quantized_reference(x, dims);
      for (int i = 0; i < 50; ++i)
        if (run_one(*session, x, dims) != expected) ++wrong;
    });
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(more_sizes_than_plans_are_kept) {
  const auto session = open(quantized_model());
  for (int64_t round = 0; round < 2; ++round)
    for (int64_t h = 1; h < 9; ++h) {
      const Dims dims{1, 2, h, 4};
      const std::vector<float> x = ramp(dims, 1.5F);
      BOOST_TEST((run_one(*session, x, dims) == quantized_reference(x, dims)));
    }
}

BOOST_AUTO_TEST_CASE(a_trace_holds_every_activation) {
  const auto session = open(quantized_model());
  const Dims dims{1, 2, 4, 3};
  const std::vector<float> x = ramp(dims, 1.5F);
  const InputView input = view(x, dims);
  const std::vector<TracedTensor> all = session->trace({&input, 1}, {});
  BOOST_TEST(all.size() == 4U);
  const auto find = [&](const std::string& name) { return *std::ranges::find(all, name, &TracedTensor::name); };
  BOOST_TEST((std::memcmp(find("x").data.data(), x.data(), find("x").data.size()) == 0));
  const TracedTensor levels = find("xq");
  BOOST_TEST((levels.dtype == DType::levels));
  for (size_t i = 0; i < x.size(); ++i) {
    const float q = std::clamp(std::nearbyint(x[i] / 0.5F) - 3.0F, -128.0F, 127.0F);
    BOOST_TEST(std::to_integer<int>(levels.data[i]) == static_cast<int>(q) + 128);
  }
  const std::vector<float> expected = quantized_reference(x, dims);
  BOOST_TEST((std::memcmp(find("y").data.data(), expected.data(), expected.size() * 4) == 0));
  const std::vector<std::string> names = {"yq"};
  BOOST_TEST(session->trace({&input, 1}, names).size() == 1U);
  const std::vector<std::string> unknown = {"w"};
  BOOST_TEST((code_of([&] { session->trace({&input, 1}, unknown); }, "'w'") == ErrorCode::invalid_argument));
}

// A graph where every way to share memory is wrong once: x is read again after relu, a reshape is read by two, and a
// graph output is read on.
ModelBytes sharing_model() {
  ModelBytes model;
  for (const char* name : {"x", "a", "b", "c", "y"}) model.tensor(name, R"(["n",2,2,2])");
  for (const char* name : {"r", "s"}) model.tensor(name, R"(["n",8])");
  model.tensor("z", R"(["n",8])");
  model.graph()["outputs"] = {"y", "z", "a"};
  const auto unary = [&](const char* name, const char* in, const char* out, const char* function) {
    model.add_node((std::string(R"({"op":"Unary","name":")") + name + R"(","inputs":[")" + in + R"("],"outputs":[")" +
                    out + R"("],"params":{},"attrs":{"function":")" + function +
                    R"(","alpha":0.0,"beta":0.0,"lo":null,"hi":null}})")
                       .c_str());
  };
  const auto binary = [&](const char* name, const char* a, const char* b, const char* out) {
    model.add_node((std::string(R"({"op":"Binary","name":")") + name + R"(","inputs":[")" + a + R"(",")" + b +
                    R"("],"outputs":[")" + out +
                    R"("],"params":{},"attrs":{"function":"add","clamp":null,"requantize":null}})")
                       .c_str());
  };
  unary("neg", "x", "a", "neg");
  model.add_node(
      R"({"op":"Reshape","name":"flat","inputs":["a"],"outputs":["r"],"params":{},"attrs":{"shape":[0,-1],"axes":[],"divisors":[]}})");
  unary("abs", "a", "b", "abs");
  unary("relu", "r", "s", "relu");
  binary("add", "b", "x", "c");
  binary("twice", "c", "c", "y");
  binary("sum", "s", "r", "z");
  return model;
}

BOOST_AUTO_TEST_CASE(sharing_memory_changes_no_value) {
  const auto session = open(sharing_model());
  const Dims dims{3, 2, 2, 2};
  const std::vector<float> x = ramp(dims, 0.5F);
  std::vector<float> y(x.size());
  std::vector<float> z(x.size());
  std::vector<float> a(x.size());
  const InputView input = view(x, dims);
  void* const outputs[] = {y.data(), z.data(), a.data()};
  session->run({&input, 1}, outputs);
  for (size_t i = 0; i < x.size(); ++i) {
    BOOST_TEST(y[i] == 2.0F * (std::fabs(x[i]) + x[i]));
    BOOST_TEST(z[i] == std::max(-x[i], 0.0F) - x[i]);
    BOOST_TEST(a[i] == -x[i]);
  }
  for (const TracedTensor& tensor : session->trace({&input, 1}, {}))
    if (tensor.name == "z") BOOST_TEST((std::memcmp(tensor.data.data(), z.data(), z.size() * 4) == 0));
}

BOOST_AUTO_TEST_CASE(constant_operands_are_in_the_users_axis_order) {
  ModelBytes model;
  model.tensor("x", R"(["n",2,2,3])").tensor("y", R"(["n",2,2,3])");
  std::vector<float> k(12);
  for (size_t i = 0; i < k.size(); ++i) k[i] = static_cast<float>(i) * 10.0F;
  model.constant<float>("k", "float32", {1, 2, 2, 3}, k);
  model.add_node(R"({"op":"Binary","name":"add","inputs":["x","k"],"outputs":["y"],"params":{},
                 "attrs":{"function":"add","clamp":null,"requantize":null}})");
  const auto session = open(model);
  const Dims dims{1, 2, 2, 3};
  const std::vector<float> x = ramp(dims, 1.0F);
  const std::vector<float> y = run_one(*session, x, dims);
  for (size_t i = 0; i < x.size(); ++i) BOOST_TEST(y[i] == x[i] + k[i]);
}

BOOST_AUTO_TEST_CASE(sizes_that_do_not_fit_are_named) {
  const auto session = open(relu_model());
  const auto code = [&](std::vector<Dims> dims, const char* text) {
    return code_of([&] { session->output_dims(dims); }, text);
  };
  BOOST_TEST((code({Dims{1, 3, 4, 4}}, "the model takes [batch, 2, h, w]") == ErrorCode::shape));
  BOOST_TEST((code({Dims{1, 2, 4}}, "input 'x' has shape [1, 2, 4]") == ErrorCode::shape));
  BOOST_TEST((code({Dims{1, 2, 0, 4}}, "at least 1") == ErrorCode::shape));
  BOOST_TEST((code({}, "0 inputs were given") == ErrorCode::shape));
  ModelBytes two = relu_model();
  two.graph()["inputs"] = {"x", "other"};
  two.tensor("other", R"(["batch","?",7])");
  const auto pair = open(two);
  const std::vector<Dims> unequal = {Dims{1, 2, 4, 4}, Dims{2, 5, 7}};
  BOOST_TEST((code_of([&] { pair->output_dims(unequal); }, "batch = 2") == ErrorCode::shape));
  ModelBytes wrong = relu_model();
  wrong.tensor("y", R"(["batch",3,"h","w"])");
  const auto lying = open(wrong);
  const std::vector<Dims> dims = {Dims{1, 2, 4, 4}};
  BOOST_TEST((code_of([&] { lying->output_dims(dims); }, "but the file says") == ErrorCode::shape));
}

BOOST_AUTO_TEST_CASE(check_finite_refuses_nan_and_infinity) {
  const Dims dims{1, 2, 3, 3};
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    std::vector<float> x = ramp(dims, 1.0F);
    x[5] = bad;
    const auto strict = open(quantized_model(), {.threads = 1, .isa = {}, .kernel = {}, .check_finite = true});
    BOOST_TEST((code_of([&] { run_one(*strict, x, dims); }, "check_finite") == ErrorCode::invalid_argument));
    BOOST_CHECK_NO_THROW(run_one(*open(quantized_model()), x, dims));
  }
}

BOOST_AUTO_TEST_CASE(options_that_make_no_sense_are_refused) {
  const auto with = [](const SessionOptions& options) { return [options] { open(relu_model(), options); }; };
  BOOST_TEST((code_of(with({.threads = -1, .isa = {}, .kernel = {}, .check_finite = false}), "threads is -1") ==
              ErrorCode::invalid_argument));
  BOOST_TEST((code_of(with({.threads = 1, .isa = "mmx", .kernel = {}, .check_finite = false}), "isa 'mmx'") ==
              ErrorCode::invalid_argument));
  BOOST_TEST((code_of(with({.threads = 1, .isa = {}, .kernel = "none_such", .check_finite = false}), "none_such") ==
              ErrorCode::invalid_argument));
}

BOOST_AUTO_TEST_CASE(a_forced_kernel_that_no_layer_can_take_is_refused_by_name) {
  const auto with = [](const ModelBytes& model, const char* isa, const char* kernel) {
    return [&model, options = SessionOptions{1, isa, kernel, false}] { open(model, options); };
  };
  const ModelBytes model = quantized_model();
  BOOST_CHECK_NO_THROW(with(model, "scalar", "dot32_1x8k4__scalar")());
  // Its activations begin below 0, which products of 4 bits do not take.
  BOOST_TEST((code_of(with(model, "scalar", "u4_1x8k4__scalar"), "kernel 'u4_1x8k4__scalar' fits no layer") ==
              ErrorCode::invalid_argument));
  BOOST_TEST(
      (code_of(with(relu_model(), "scalar", "dot32_1x8k4__scalar"), "fits no layer") == ErrorCode::invalid_argument));
  for (const KernelRow& row : kernel_rows())
    if (row.isa != Isa::scalar)
      BOOST_TEST((code_of(with(model, "scalar", row.name), "and this session may use scalar at most") ==
                  ErrorCode::invalid_argument));
}

BOOST_AUTO_TEST_CASE(a_kernel_forced_by_the_environment_leaves_float_models_alone) {
  setenv("FEWBINS_KERNEL", "u4_1x8k4__scalar", 1);
  BOOST_CHECK_NO_THROW(open(relu_model(), {.threads = 1, .isa = {}, .kernel = {}, .check_finite = false}));
  BOOST_TEST((code_of([] { open(quantized_model()); }, "'u4_1x8k4__scalar' (FEWBINS_KERNEL) fits no layer") ==
              ErrorCode::invalid_argument));
  unsetenv("FEWBINS_KERNEL");
}

BOOST_AUTO_TEST_CASE(operators_and_attributes_of_a_later_release_are_refused) {
  ModelBytes model = relu_model();
  model.node(0)["op"] = "Fft";
  BOOST_TEST((code_of([&] { open(model); }, "operator 'Fft'") == ErrorCode::model_file));
  model = relu_model();
  model.node(0)["attrs"].as_object()["extra"] = 1;
  BOOST_TEST((code_of([&] { open(model); }, "attribute 'extra' is unknown") == ErrorCode::model_file));
  model = relu_model();
  model.node(0)["attrs"].as_object().erase("beta");
  BOOST_TEST((code_of([&] { open(model); }, "attribute 'beta' is missing") == ErrorCode::model_file));
}

BOOST_AUTO_TEST_CASE(an_empty_batch_has_an_empty_result) {
  const auto session = open(quantized_model());
  const std::vector<Dims> in = {Dims{0, 2, 4, 5}};
  BOOST_TEST((session->output_dims(in)[0] == Dims{0, 3, 4, 5}));
  const InputView input{nullptr, in[0], false};
  void* const output = nullptr;
  BOOST_CHECK_NO_THROW(session->run({&input, 1}, {&output, 1}));
  const std::vector<TracedTensor> traced = session->trace({&input, 1}, {});
  BOOST_TEST(traced.size() == 4U);
  for (const TracedTensor& tensor : traced) BOOST_TEST(tensor.dims[0] == 0);
  const std::vector<Dims> flat = {Dims{1, 2, 0, 5}};
  BOOST_TEST((code_of([&] { session->output_dims(flat); }, "at least 1") == ErrorCode::shape));
}

BOOST_AUTO_TEST_CASE(rows_describe_the_steps) {
  const auto session = open(quantized_model());
  const std::vector<Dims> dims = {Dims{1, 2, 8, 8}};
  const std::vector<StepRow> rows = session->plan_rows(dims);
  BOOST_TEST(rows.size() == 3U);
  BOOST_TEST(rows[1].op == "Conv");
  BOOST_TEST(rows[1].bins == "256x255");
  BOOST_TEST(rows[1].requantize == "float");
  BOOST_TEST(rows[1].macs == 8 * 8 * 3 * 2 * 9);
  BOOST_TEST(!rows[1].kernel.empty());
  const std::vector<float> x = ramp(dims[0], 1.0F);
  const InputView input = view(x, dims[0]);
  for (const StepRow& row : session->profile({&input, 1}, 3))
    BOOST_TEST((row.median_ms >= row.min_ms && row.min_ms >= 0));
}

BOOST_AUTO_TEST_CASE(pixels_go_through_the_files_preprocessing) {
  ModelBytes model;
  model.tensor("x", R"(["n",3,"h","w"])").tensor("y", R"(["n",3,"h","w"])");
  model.add_node(R"({"op":"Unary","name":"neg","inputs":["x"],"outputs":["y"],"params":{},
                 "attrs":{"function":"neg","alpha":0.0,"beta":0.0,"lo":null,"hi":null}})");
  model.header["preprocessing"] = boost::json::parse(
      R"({"size":[2,2],"resize":"none","resize_to":null,"channels":"RGB","mean":[10,20,30],"std":[2,4,8]})");
  const auto session = open(model);
  const std::vector<uint8_t> pixels = {1, 2, 3, 4, 5, 6, 7, 8, 9, 200, 210, 220};
  const InputView input{pixels.data(), Dims{1, 3, 2, 2}, true};
  std::vector<float> y(12);
  void* const output = y.data();
  session->run({&input, 1}, {&output, 1});
  for (size_t c = 0; c < 3; ++c)
    for (size_t p = 0; p < 4; ++p) {
      const float mean = 10.0F * static_cast<float>(c + 1);
      const float std = static_cast<float>(2U << c);
      BOOST_TEST(y[c * 4 + p] == -((static_cast<float>(pixels[p * 3 + c]) - mean) / std));
    }
  const InputView wrong{pixels.data(), Dims{1, 3, 1, 4}, true};
  BOOST_TEST((code_of([&] { session->run({&wrong, 1}, {&output, 1}); }, "preprocessing") == ErrorCode::shape));
  const std::vector<uint8_t> two(8);
  const InputView none{two.data(), Dims{1, 2, 2, 2}, true};
  const auto plain = open(relu_model());
  BOOST_TEST(
      (code_of([&] { plain->run({&none, 1}, {&output, 1}); }, "no preprocessing") == ErrorCode::invalid_argument));
}

BOOST_AUTO_TEST_CASE(sessions_on_one_unchanged_file_share_their_program) {
  const std::string path = "/tmp/fewbins-share-" + std::to_string(getpid()) + ".fewbins";
  const auto write = [&](const ModelBytes& model) {
    const std::vector<std::byte> bytes = model.bytes();
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  };
  write(relu_model());
  const auto first = Session::open(path, {});
  const auto second = Session::open(path, {});
  BOOST_TEST(&first->program() == &second->program());
  const auto capped = Session::open(path, {.threads = 1, .isa = "scalar", .kernel = {}, .check_finite = false});
  if (choose_isa("") != Isa::scalar) BOOST_TEST(&first->program() != &capped->program());
  std::remove(path.c_str());
  write(quantized_model());
  const auto changed = Session::open(path, {});
  BOOST_TEST(changed->program().steps().size() == 3U);
  std::remove(path.c_str());
}

BOOST_AUTO_TEST_CASE(a_forked_child_runs_the_parents_session) {
  const auto session = open(quantized_model(), {.threads = 2, .isa = {}, .kernel = {}, .check_finite = false});
  const Dims dims{2, 2, 30, 30};
  const std::vector<float> x = ramp(dims, 1.0F);
  const std::vector<float> expected = run_one(*session, x, dims);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    ::_exit(run_one(*session, x, dims) == expected ? 0 : 1);
  }
  int status = -1;
  BOOST_TEST(waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(the_self_test_passes) {
  for (const std::string& failure : self_test()) BOOST_ERROR(failure);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace fewbins
