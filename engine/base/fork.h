// SPDX-License-Identifier: Apache-2.0
// fork() copies one thread and whatever the others held locked. Short critical sections of the engine share one mutex
// that fork() waits for, so that a child never finds it locked by a thread that does not exist there.
#pragma once

#include <mutex>

namespace fewbins {

// Something that the child of a fork() must repair before it goes on.
class ForkListener {
 public:
  ForkListener();
  ForkListener(const ForkListener&) = delete;
  ForkListener& operator=(const ForkListener&) = delete;

  // Runs in the child, in its only thread.
  virtual void after_fork_in_child() = 0;

 protected:
  virtual ~ForkListener();

 private:
  friend struct ForkHandlers;
  ForkListener* next_ = nullptr;
  ForkListener* previous_ = nullptr;
};

// The mutex. Hold it for moments only, and never while starting threads or running kernels.
std::mutex& fork_safe_mutex();

}  // namespace fewbins
