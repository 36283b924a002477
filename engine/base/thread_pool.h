// SPDX-License-Identifier: Apache-2.0
// A persistent pool of threads that share loops. The split of a loop never changes a result: a body writes only what
// belongs to its indices.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "base/fork.h"

namespace fewbins {

class ThreadPool final : private ForkListener {
 public:
  // threads = 1 runs everything in the calling thread; 0 takes default_threads().
  explicit ThreadPool(int threads);
  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // The largest number of threads that may work on one loop, the caller included.
  [[nodiscard]] int size() const { return threads_; }

  // How many really do: fewer than size() where the system did not let the process start them all. Starts them.
  [[nodiscard]] int running();

  // FEWBINS_NUM_THREADS, else the smaller of the CPUs this process may use and its cgroup's quota. At least 1.
  [[nodiscard]] static int default_threads();

  // Calls body(int64_t begin, int64_t end, int slot) for disjoint ranges that cover [0, count), and returns when all
  // are done. Ranges are handed out dynamically, `grain` indices at a time (at least 1; the last range may be shorter),
  // so begin is always a multiple of grain. `slot` is in [0, size()); no two ranges run at the same time with the same
  // slot of the same loop, so per-slot scratch is safe. Loops do not nest: a loop started inside a body, or while
  // another run uses the pool, runs in its own thread with slot 0.
  // Bodies of operators do not allocate: they have scratch per slot. What a body throws all the same reaches the
  // caller, the first of several; ranges that nobody had begun are then left out, and the pool is as good as before.
  template <class Body>
  void parallel_for(int64_t count, int64_t grain, Body&& body) {
    using Plain = std::remove_reference_t<Body>;
    const auto call = [](void* context, int64_t begin, int64_t end, int slot) {
      (*static_cast<Plain*>(context))(begin, end, slot);
    };
    run_loop(count, grain, call, const_cast<void*>(static_cast<const void*>(&body)));
  }

  // The same for bodies that need no slot, body(int64_t begin, int64_t end), in about four ranges per thread.
  template <class Body>
  void parallel_for(int64_t count, Body&& body) {
    const int64_t ranges = int64_t{4} * threads_;
    parallel_for(count, (count + ranges - 1) / ranges,
                 [&body](int64_t begin, int64_t end, int /*slot*/) { body(begin, end); });
  }

  // Whether the calling thread runs a body now: for tests of what bodies do.
  [[nodiscard]] static bool is_inside_loop();

 private:
  using Call = void (*)(void* context, int64_t begin, int64_t end, int slot);
  void run_loop(int64_t count, int64_t grain, Call call, void* context);
  void start_workers();

  void after_fork_in_child() override;

  struct Impl;
  int threads_;
  std::atomic<bool> busy_{false};  // a loop is using the workers
  std::atomic<int> running_{0};    // 0: the workers have not been started
  std::unique_ptr<Impl> impl_;     // made by the first loop that needs workers; touched only by who holds busy_
};

}  // namespace fewbins
