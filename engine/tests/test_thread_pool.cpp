// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cfenv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/cpu_count.h"
#include "base/error.h"
#include "base/float_mode.h"
#include "base/thread_pool.h"

namespace fewbins {
namespace {

// How often every index of 0..count-1 was visited.
std::vector<int> visits(ThreadPool& pool, int64_t count, int64_t grain) {
  std::vector<int> seen(static_cast<size_t>(count), 0);
  pool.parallel_for(count, grain, [&](int64_t begin, int64_t end, int slot) {
    if (begin % grain != 0 || end - begin > grain || slot < 0 || slot >= pool.size()) std::abort();
    for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
  });
  return seen;
}

BOOST_AUTO_TEST_SUITE(thread_pool)

BOOST_AUTO_TEST_CASE(every_index_is_visited_once) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (const int64_t count : {0, 1, 2, 7, 100, 1001})
      for (const int64_t grain : {1, 3, 64, 5000})
        BOOST_TEST((visits(pool, count, grain) == std::vector<int>(static_cast<size_t>(count), 1)));
  }
}

BOOST_AUTO_TEST_CASE(many_short_loops_finish) {
  ThreadPool pool(4);
  int64_t total = 0;
  for (int loop = 0; loop < 20'000; ++loop) {
    std::atomic<int64_t> sum{0};
    pool.parallel_for(8, 1, [&](int64_t begin, int64_t, int) { sum += begin; });
    total += sum;
  }
  BOOST_TEST(total == 20'000 * 28);
}

BOOST_AUTO_TEST_CASE(a_slot_is_never_used_twice_at_once) {
  ThreadPool pool(4);
  std::vector<std::atomic<int>> inside(4);
  std::atomic<bool> clash{false};
  pool.parallel_for(2000, 1, [&](int64_t, int64_t, int slot) {
    if (inside[static_cast<size_t>(slot)]++ != 0) clash = true;
    std::this_thread::yield();
    --inside[static_cast<size_t>(slot)];
  });
  BOOST_TEST(!clash);
}

BOOST_AUTO_TEST_CASE(a_loop_inside_a_loop_runs_in_its_own_thread) {
  ThreadPool pool(3);
  std::atomic<int> count{0};
  pool.parallel_for(10, 1, [&](int64_t, int64_t, int) {
    pool.parallel_for(10, 1, [&](int64_t begin, int64_t end, int slot) {
      if (slot != 0) std::abort();
      count += static_cast<int>(end - begin);
    });
  });
  BOOST_TEST(count == 100);
}

BOOST_AUTO_TEST_CASE(two_threads_share_a_pool) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum{0};
  const auto work = [&] {
    for (int loop = 0; loop < 2000; ++loop)
      pool.parallel_for(100, 7, [&](int64_t begin, int64_t end, int) { sum += end - begin; });
  };
  std::thread other(work);
  work();
  other.join();
  BOOST_TEST(sum == 2 * 2000 * 100);
}

// What the calling thread's float mode makes of a sum that must be rounded. (On x86 fegetround() looks at another
// unit.)
bool rounds_up() {
  volatile float one = 1.0F;
  volatile float little = 1e-20F;
  return one + little > one;
}

BOOST_AUTO_TEST_CASE(workers_keep_the_numerics_float_mode) {
  ThreadPool pool(2);
  std::fesetround(FE_UPWARD);
  std::atomic<bool> nearest{true};
  pool.parallel_for(64, 1, [&](int64_t, int64_t, int slot) {
    if (slot != 0 && rounds_up()) nearest = false;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  });
  const bool before = rounds_up();
  bool inside = true;
  {
    const FloatMode mode;
    inside = rounds_up();
  }
  const bool after = rounds_up();
  std::fesetround(FE_TONEAREST);
  BOOST_TEST(before);
  BOOST_TEST(!inside);
  BOOST_TEST(after);
  BOOST_TEST(nearest);
}

BOOST_AUTO_TEST_CASE(a_forked_child_gets_workers_of_its_own) {
  ThreadPool pool(2);
  BOOST_TEST((visits(pool, 100, 1) == std::vector<int>(100, 1)));
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // a child that waits for workers it does not have would hang
    ::_exit(visits(pool, 1000, 1) == std::vector<int>(1000, 1) ? 0 : 1);
  }
  int status = -1;
  BOOST_TEST(waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0);
  BOOST_TEST((visits(pool, 100, 1) == std::vector<int>(100, 1)));
}

BOOST_AUTO_TEST_CASE(what_a_body_throws_reaches_the_caller_and_the_pool_goes_on) {
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (const int64_t at : {0, 1, 499, 999}) {
      const auto failing = [&](int64_t begin, int64_t, int) {
        if (begin == at) throw Error(ErrorCode::internal, "at " + std::to_string(begin));
      };
      BOOST_CHECK_EXCEPTION(pool.parallel_for(1000, 1, failing), Error,
                            [&](const Error& error) { return error.what() == "at " + std::to_string(at); });
      BOOST_TEST(!ThreadPool::is_inside_loop());
      BOOST_TEST((visits(pool, 1000, 1) == std::vector<int>(1000, 1)));
    }
  }
}

BOOST_AUTO_TEST_CASE(when_every_body_throws_one_exception_arrives_and_ranges_are_left_out) {
  ThreadPool pool(4);
  for (int loop = 0; loop < 200; ++loop) {
    std::atomic<int> begun{0};
    BOOST_CHECK_THROW(pool.parallel_for(100'000, 1,
                                        [&](int64_t, int64_t, int) {
                                          ++begun;
                                          throw std::bad_alloc();
                                        }),
                      std::bad_alloc);
    BOOST_TEST(begun <= 4);  // one for each thread
  }
  BOOST_TEST((visits(pool, 1000, 1) == std::vector<int>(1000, 1)));
}

BOOST_AUTO_TEST_CASE(an_exception_of_a_loop_inside_a_loop_reaches_the_outer_caller) {
  ThreadPool pool(3);
  BOOST_CHECK_THROW(pool.parallel_for(10, 1,
                                      [&](int64_t, int64_t, int) {
                                        pool.parallel_for(10, 1, [&](int64_t begin, int64_t, int) {
                                          if (begin == 5) throw std::runtime_error("inside");
                                        });
                                      }),
                    std::runtime_error);
  BOOST_TEST(!ThreadPool::is_inside_loop());
  BOOST_TEST((visits(pool, 1000, 1) == std::vector<int>(1000, 1)));
}

BOOST_AUTO_TEST_CASE(an_exception_stays_with_its_loop_when_threads_share_a_pool) {
  ThreadPool pool(2);
  std::atomic<int> thrown{0};
  std::atomic<int64_t> sum{0};
  std::thread other([&] {
    for (int loop = 0; loop < 1000; ++loop) {
      try {
        pool.parallel_for(100, 7, [&](int64_t, int64_t, int) { throw std::runtime_error("mine"); });
      } catch (const std::runtime_error&) {
        ++thrown;
      }
    }
  });
  for (int loop = 0; loop < 1000; ++loop)
    pool.parallel_for(100, 7, [&](int64_t begin, int64_t end, int) { sum += end - begin; });
  other.join();
  BOOST_TEST(thrown == 1000);
  BOOST_TEST(sum == 1000 * 100);
}

BOOST_AUTO_TEST_CASE(a_forked_child_of_a_pool_that_has_thrown_works) {
  ThreadPool pool(2);
  const auto fail_all = [&] { pool.parallel_for(100, 1, [](int64_t, int64_t, int) { throw std::bad_alloc(); }); };
  BOOST_CHECK_THROW(fail_all(), std::bad_alloc);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    bool right = visits(pool, 1000, 1) == std::vector<int>(1000, 1);
    try {
      fail_all();
      right = false;
    } catch (const std::bad_alloc&) {
    }
    ::_exit(right && visits(pool, 1000, 1) == std::vector<int>(1000, 1) ? 0 : 1);
  }
  int status = -1;
  BOOST_TEST(waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_CASE(a_pool_says_how_many_threads_it_runs_on) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    BOOST_TEST(pool.running() == threads);
  }
}

BOOST_AUTO_TEST_CASE(impossible_numbers_of_threads_are_refused) {
  BOOST_CHECK_THROW(ThreadPool(-1), Error);
  BOOST_CHECK_THROW(ThreadPool(5000), Error);
}

BOOST_AUTO_TEST_CASE(the_environment_sets_the_default) {
  const char* old = std::getenv("FEWBINS_NUM_THREADS");
  const std::string before = old == nullptr ? "" : old;
  setenv("FEWBINS_NUM_THREADS", "3", 1);
  BOOST_TEST(ThreadPool::default_threads() == 3);
  BOOST_TEST(ThreadPool(0).size() == 3);
  for (const char* wrong : {"0", "-2", "many", "3x", "99999"}) {
    setenv("FEWBINS_NUM_THREADS", wrong, 1);
    BOOST_CHECK_THROW(static_cast<void>(ThreadPool::default_threads()), Error);
  }
  unsetenv("FEWBINS_NUM_THREADS");
  BOOST_TEST(ThreadPool::default_threads() == usable_cpus());
  if (old != nullptr) setenv("FEWBINS_NUM_THREADS", before.c_str(), 1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cpu_count)

class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / ("fewbins-cgroup-" + std::to_string(getpid()))) {}
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
  }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

BOOST_AUTO_TEST_CASE(the_smallest_quota_on_the_way_up_counts) {
  const Folder root;
  root.write("cpu.max", "max 100000\n");
  root.write("a/cpu.max", "250000 100000\n");
  root.write("a/b/cpu.max", "400000 100000\n");
  BOOST_TEST(cgroup_cpu_quota(root.path(), "0::/a/b\n") == 2);
  BOOST_TEST(cgroup_cpu_quota(root.path(), "0::/a\n") == 2);
  BOOST_TEST(cgroup_cpu_quota(root.path(), "0::/\n") == 0);
}

BOOST_AUTO_TEST_CASE(less_than_one_cpu_is_one) {
  const Folder root;
  root.write("a/cpu.max", "20000 100000\n");
  BOOST_TEST(cgroup_cpu_quota(root.path(), "0::/a\n") == 1);
}

BOOST_AUTO_TEST_CASE(version_1_files_are_read) {
  const Folder root;
  root.write("cpu/a/cpu.cfs_quota_us", "300000\n");
  root.write("cpu/a/cpu.cfs_period_us", "100000\n");
  BOOST_TEST(cgroup_cpu_quota(root.path(), "5:memory:/a\n4:cpu,cpuacct:/a\n") == 3);
  root.write("cpu/a/cpu.cfs_quota_us", "-1\n");
  BOOST_TEST(cgroup_cpu_quota(root.path(), "4:cpu,cpuacct:/a\n") == 0);
}

BOOST_AUTO_TEST_CASE(garbage_is_no_quota) {
  const Folder root;
  root.write("a/cpu.max", "lots\n");
  BOOST_TEST(cgroup_cpu_quota(root.path(), "0::/a\nnonsense\n") == 0);
  BOOST_TEST(usable_cpus() >= 1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace fewbins
