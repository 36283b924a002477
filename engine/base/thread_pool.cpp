// SPDX-License-Identifier: Apache-2.0
#include "base/thread_pool.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/cpu_count.h"
#include "base/error.h"
#include "base/float_mode.h"

namespace fewbins {
namespace {

constexpr int kMaxThreads = 1024;
constexpr auto kSpinTime = std::chrono::microseconds(30);  // layers follow each other within this; then sleep

// Set while this thread runs a body, so that a loop inside it does not ask for workers.
thread_local bool inside_loop = false;

class InsideLoop {
 public:
  InsideLoop() { inside_loop = true; }
  ~InsideLoop() { inside_loop = before_; }
  InsideLoop(const InsideLoop&) = delete;
  InsideLoop& operator=(const InsideLoop&) = delete;

 private:
  bool before_ = inside_loop;
};

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `value` is no longer `old`: spins, then sleeps in the kernel. Returns the new value.
template <class T>
T wait_for_change(const std::atomic<T>& value, T old) {
  T now = value.load(std::memory_order_acquire);
  if (now != old) return now;
  const auto end = std::chrono::steady_clock::now() + kSpinTime;
  do {
    for (int i = 0; i < 32; ++i) {
      pause_briefly();
      now = value.load(std::memory_order_acquire);
      if (now != old) return now;
    }
  } while (std::chrono::steady_clock::now() < end);
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

// Threads start with all signals blocked: Ctrl-C belongs to the program's own threads.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &saved_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &saved_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t saved_;
};

// Gives the workers back, however their use ended.
struct Release {
  std::atomic<bool>& busy;
  ~Release() { busy.store(false, std::memory_order_release); }
};

}  // namespace

// One loop at a time. Workers join it through `gate_`: bit 0 says that the loop is open, the bits above count the
// workers inside. The caller closes the gate when its own work is done, so a worker that wakes late never enters and
// never holds anybody up.
struct ThreadPool::Impl {
  explicit Impl(int workers) {
    const BlockedSignals blocked;
    threads_.reserve(static_cast<size_t>(workers));
    for (int i = 0; i < workers; ++i) {
      try {
        threads_.emplace_back([this, slot = i + 1] { work(slot); });
      } catch (const std::system_error&) {
        break;  // the process may not have more threads; the loops run on those there are
      } catch (const std::bad_alloc&) {
        break;  // nor the memory for their handles
      }
    }
  }

  ~Impl() {
    stop_.store(true, std::memory_order_relaxed);
    announce();
    for (std::thread& thread : threads_) thread.join();
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[nodiscard]] int workers() const { return static_cast<int>(threads_.size()); }

  void run(int64_t count, int64_t grain, Call call, void* context) {
    count_ = count;
    grain_ = grain;
    call_ = call;
    context_ = context;
    next_.store(0, std::memory_order_relaxed);
    gate_.store(kOpen, std::memory_order_release);
    announce();
    take_ranges(0);
    // Closed for newcomers; those inside finish their ranges.
    uint32_t inside = gate_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
    while (inside != 0) inside = wait_for_change(gate_, inside);
    // All is quiet: what a body threw belongs to the caller now, and the next loop begins without it.
    failed_.store(false, std::memory_order_relaxed);
    if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  static constexpr uint32_t kOpen = 1;
  static constexpr uint32_t kOneWorker = 2;

  void announce() {
    loop_number_.fetch_add(1, std::memory_order_release);
    loop_number_.notify_all();
  }

  void take_ranges(int slot) noexcept {
    const InsideLoop inside;
    try {
      while (!failed_.load(std::memory_order_relaxed)) {
        const int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
        if (begin >= count_) break;
        call_(context_, begin, std::min(begin + grain_, count_), slot);
      }
    } catch (...) {
      // The first one is kept, the others would say the same; whoever sees `failed_` takes no further range.
      if (!failed_.exchange(true, std::memory_order_acq_rel)) error_ = std::current_exception();
    }
  }

  bool enter() {
    uint32_t gate = gate_.load(std::memory_order_relaxed);
    while ((gate & kOpen) != 0) {
      if (gate_.compare_exchange_weak(gate, gate + kOneWorker, std::memory_order_acq_rel)) return true;
    }
    return false;
  }

  void leave() {
    // The last one out of a closed loop wakes the caller.
    if (gate_.fetch_sub(kOneWorker, std::memory_order_acq_rel) == kOneWorker) gate_.notify_one();
  }

  void work(int slot) {
    const FloatMode mode;
    uint32_t seen = 0;
    while (true) {
      seen = wait_for_change(loop_number_, seen);
      if (stop_.load(std::memory_order_relaxed)) return;
      if (!enter()) continue;
      take_ranges(slot);
      leave();
    }
  }

  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
  int64_t count_ = 0;
  int64_t grain_ = 1;
  Call call_ = nullptr;
  void* context_ = nullptr;
  std::exception_ptr error_;  // written by who set failed_, read when all have left
  alignas(64) std::atomic<bool> failed_{false};
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<uint32_t> gate_{0};
  alignas(64) std::atomic<uint32_t> loop_number_{0};
};

ThreadPool::ThreadPool(int threads) : threads_(threads) {
  if (threads < 0 || threads > kMaxThreads)
    fail(ErrorCode::invalid_argument, "threads is ", threads, "; it must be 1..", kMaxThreads,
         ", or 0 for what this process may use");
  if (threads_ == 0) threads_ = default_threads();
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::default_threads() {
  const char* text = std::getenv("FEWBINS_NUM_THREADS");
  if (text == nullptr || *text == '\0') return std::min(usable_cpus(), kMaxThreads);
  int threads = 0;
  const char* end = text + std::strlen(text);
  const auto [last, problem] = std::from_chars(text, end, threads);
  if (problem != std::errc() || last != end || threads < 1 || threads > kMaxThreads)
    fail(ErrorCode::invalid_argument, "FEWBINS_NUM_THREADS is '", text, "'; it must be a number from 1 to ",
         kMaxThreads);
  return threads;
}

void ThreadPool::run_loop(int64_t count, int64_t grain, Call call, void* context) {
  if (count <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  if (threads_ > 1 && count > grain && !inside_loop && !busy_.exchange(true, std::memory_order_acquire)) {
    const Release release{busy_};
    start_workers();
    impl_->run(count, grain, call, context);
    return;
  }
  const InsideLoop inside;
  for (int64_t begin = 0; begin < count; begin += grain) call(context, begin, std::min(begin + grain, count), 0);
}

bool ThreadPool::is_inside_loop() { return inside_loop; }

// For who holds busy_.
void ThreadPool::start_workers() {
  if (impl_ != nullptr) return;
  impl_ = std::make_unique<Impl>(threads_ - 1);
  running_.store(1 + impl_->workers(), std::memory_order_release);
}

int ThreadPool::running() {
  if (threads_ == 1) return 1;
  while (running_.load(std::memory_order_acquire) == 0) {
    if (busy_.exchange(true, std::memory_order_acquire)) continue;  // who holds it is starting them
    const Release release{busy_};
    start_workers();
  }
  return running_.load(std::memory_order_acquire);
}

// The child has none of the workers: their handles are given up, not joined. The next loop starts new ones.
void ThreadPool::after_fork_in_child() {
  static_cast<void>(impl_.release());
  running_.store(0, std::memory_order_relaxed);
  busy_.store(false, std::memory_order_relaxed);
}

}  // namespace fewbins
