// SPDX-License-Identifier: Apache-2.0
// Memory that is not there: every allocation of a load and of a run fails once, alone and with all that follow it. The
// C API must answer with a status, lose nothing, and give the same bits afterwards. A binary of its own, since it
// replaces operator new.
#include <fewbins.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <set>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "tests/model_bytes.h"

namespace {

std::atomic<int64_t> left{INT64_MAX};  // allocations that still succeed
std::atomic<bool> only_one{false};     // after the one that fails, they succeed again
std::atomic<bool> has_failed{false};
std::atomic<int64_t> alive{0};
std::atomic<int64_t> in_bodies{0};  // allocations inside a body of a parallel loop

void* take(std::size_t size, std::size_t border) noexcept {
  if (fewbins::ThreadPool::is_inside_loop()) ++in_bodies;
  const int64_t before = left.fetch_sub(1);
  if (before == 0 || (before < 0 && !only_one)) {
    has_failed = true;
    return nullptr;
  }
  const std::size_t whole = (size + border - 1) / border * border;
  void* memory = border > alignof(std::max_align_t) ? std::aligned_alloc(border, whole) : std::malloc(size);
  if (memory != nullptr) ++alive;
  return memory;
}

void* take_or_throw(std::size_t size, std::size_t border) {
  if (void* memory = take(size == 0 ? 1 : size, border)) return memory;
  throw std::bad_alloc();
}

void give_back(void* memory) noexcept {
  if (memory == nullptr) return;
  --alive;
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return take_or_throw(size, 1); }
void* operator new[](std::size_t size) { return take_or_throw(size, 1); }
void* operator new(std::size_t size, std::align_val_t border) {
  return take_or_throw(size, static_cast<std::size_t>(border));
}
void* operator new[](std::size_t size, std::align_val_t border) {
  return take_or_throw(size, static_cast<std::size_t>(border));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return take(size, 1); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return take(size, 1); }
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete[](void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { give_back(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { give_back(memory); }

namespace fewbins {
namespace {

// Lets `n` allocations succeed, and then one, or all, fail until the object dies.
class Failing {
 public:
  Failing(int64_t n, bool alone) {
    has_failed = false;
    only_one = alone;
    left = n;
  }
  ~Failing() { left = INT64_MAX; }
  Failing(const Failing&) = delete;
  Failing& operator=(const Failing&) = delete;
  [[nodiscard]] static bool happened() { return has_failed; }
};

struct Session {
  fewbins_session* handle = nullptr;
  Session() = default;
  ~Session() { fewbins_free(handle); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
};

// The status, if the error object agrees with it; there may be none where there was no memory for it.
fewbins_status checked(fewbins_status status, fewbins_error* error) {
  const bool agrees = error == nullptr || (status != FEWBINS_OK && fewbins_error_status(error) == status);
  if (!agrees) std::abort();
  fewbins_error_free(error);
  return status;
}

fewbins_status load(const std::vector<std::byte>& bytes, int threads, Session& session) {
  fewbins_options options = FEWBINS_OPTIONS_INIT;
  options.threads = threads;
  fewbins_error* error = nullptr;
  const fewbins_status status = fewbins_load_memory(bytes.data(), bytes.size(), &options, &session.handle, &error);
  return checked(status, error);
}

// One input and the outputs, with room that is made while nothing fails.
struct Data {
  explicit Data(const Session& session) {
    fewbins_tensor_info info{};
    info.struct_size = sizeof info;
    BOOST_REQUIRE(fewbins_input_info(session.handle, 0, &info, nullptr) == FEWBINS_OK);
    shape = info.shape;
    size_t count = 1;
    for (int axis = 0; axis < shape.rank; ++axis) {
      if (shape.dims[axis] < 0) shape.dims[axis] = axis == 0 ? 2 : 24;
      count *= static_cast<size_t>(shape.dims[axis]);
    }
    input.resize(count);
    for (size_t i = 0; i < count; ++i) input[i] = static_cast<float>(i * 37 % 101) / 50.0F - 1.0F;
    std::vector<fewbins_shape> out(fewbins_output_count(session.handle));
    BOOST_REQUIRE(fewbins_output_shapes(session.handle, &shape, 1, out.data(), out.size(), nullptr) == FEWBINS_OK);
    for (size_t i = 0; i < out.size(); ++i) {
      BOOST_REQUIRE(fewbins_output_info(session.handle, i, &info, nullptr) == FEWBINS_OK);
      count = element_bytes(info.dtype);
      for (int axis = 0; axis < out[i].rank; ++axis) count *= static_cast<size_t>(out[i].dims[axis]);
      output.emplace_back(count);
    }
    places.resize(output.size());
  }

  fewbins_shape shape{};
  std::vector<float> input;
  std::vector<std::vector<std::byte>> output;
  std::vector<fewbins_output> places;

 private:
  static size_t element_bytes(fewbins_dtype dtype) {
    if (dtype == FEWBINS_INT64) return 8;
    return dtype == FEWBINS_FLOAT32 || dtype == FEWBINS_INT32 ? 4 : 1;
  }
};

fewbins_status run(const Session& session, Data& data) {
  fewbins_input in{};
  in.struct_size = sizeof in;
  in.data = data.input.data();
  in.bytes = data.input.size() * sizeof(float);
  in.dtype = FEWBINS_FLOAT32;
  in.shape = data.shape;
  for (size_t i = 0; i < data.output.size(); ++i) {
    std::ranges::fill(data.output[i], std::byte{0xA5});
    data.places[i].struct_size = sizeof(fewbins_output);
    data.places[i].data = data.output[i].data();
    data.places[i].bytes = data.output[i].size();
  }
  fewbins_error* error = nullptr;
  const fewbins_status status = fewbins_run(session.handle, &in, 1, data.places.data(), data.places.size(), &error);
  return checked(status, error);
}

struct Case {
  std::string name;
  std::vector<std::byte> bytes;
};

std::vector<Case> cases() {
  std::vector<Case> all{{"relu", relu_model().bytes()}, {"quantized", quantized_model().bytes()}};
  for (const auto& entry : std::filesystem::directory_iterator(FEWBINS_TEST_MODELS)) {
    if (entry.path().extension() != ".fewbins") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::vector<char> text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const auto bytes = std::as_bytes(std::span(text));
    all.push_back({entry.path().filename().string(), {bytes.begin(), bytes.end()}});
  }
  BOOST_REQUIRE(all.size() > 4);
  return all;
}

bool is_answer(fewbins_status status, bool happened) {
  return happened ? status == FEWBINS_OUT_OF_MEMORY || status == FEWBINS_OK : status == FEWBINS_OK;
}

BOOST_AUTO_TEST_SUITE(allocations)

BOOST_AUTO_TEST_CASE(bodies_of_loops_do_not_allocate) {
  for (const Case& one : cases()) {
    for (const int threads : {1, 2}) {
      Session session;
      BOOST_REQUIRE(load(one.bytes, threads, session) == FEWBINS_OK);
      Data data(session);
      in_bodies = 0;
      BOOST_REQUIRE(run(session, data) == FEWBINS_OK);
      BOOST_TEST(in_bodies == 0, one.name << " on " << threads << " threads allocates in " << in_bodies << " bodies");
    }
  }
}

BOOST_AUTO_TEST_CASE(every_allocation_of_a_load_may_fail) {
  for (const Case& one : cases()) {
    {
      Session warm;  // what is made once per process is made now
      BOOST_REQUIRE(load(one.bytes, 2, warm) == FEWBINS_OK);
      Data data(warm);
      BOOST_REQUIRE(run(warm, data) == FEWBINS_OK);
    }
    for (const bool alone : {false, true}) {
      int64_t n = 0;
      for (bool happened = true; happened; ++n) {
        const int64_t before = alive;
        fewbins_status status = FEWBINS_OK;
        {
          Session session;
          const Failing failing(n, alone);
          status = load(one.bytes, 2, session);
          happened = Failing::happened();
        }
        if (is_answer(status, happened) && alive == before) continue;
        BOOST_ERROR(one.name << ": allocation " << n << ": status " << status << ", " << alive - before << " leaked");
      }
      BOOST_TEST(n > 50, one.name << " made " << n << " allocations");
      BOOST_TEST_MESSAGE(one.name << ": " << n << " allocations of a load");
    }
  }
}

BOOST_AUTO_TEST_CASE(every_allocation_of_a_run_may_fail_and_the_next_run_is_right) {
  for (const Case& one : cases()) {
    for (const int threads : {1, 2}) {
      Session model;
      BOOST_REQUIRE(load(one.bytes, threads, model) == FEWBINS_OK);
      Data data(model);
      BOOST_REQUIRE(run(model, data) == FEWBINS_OK);
      const std::vector<std::vector<std::byte>> right = data.output;
      for (const bool alone : {false, true}) {
        int64_t n = 0;
        for (bool happened = true; happened; ++n) {
          const int64_t before = alive;
          {
            // A new session, so that the first run makes its threads, its plan and its memory too.
            Session session;
            BOOST_REQUIRE(load(one.bytes, threads, session) == FEWBINS_OK);
            fewbins_status status = FEWBINS_OK;
            {
              const Failing failing(n, alone);
              status = run(session, data);
              happened = Failing::happened();
            }
            if (!is_answer(status, happened)) BOOST_ERROR(one.name << ": allocation " << n << ": status " << status);
            if (status == FEWBINS_OK) BOOST_TEST((data.output == right), one.name << ": allocation " << n);
            BOOST_TEST(run(session, data) == FEWBINS_OK);
            BOOST_TEST((data.output == right), one.name << ": the run after allocation " << n);
          }
          BOOST_TEST(alive == before, one.name << ": allocation " << n << " leaks " << alive - before);
        }
        BOOST_TEST_MESSAGE(one.name << ": " << n << " allocations of a run");
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace fewbins
