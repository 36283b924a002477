// SPDX-License-Identifier: Apache-2.0
#include "base/fork.h"

#include <pthread.h>

namespace fewbins {

struct ForkHandlers {
  std::mutex mutex;
  ForkListener* first = nullptr;

  ForkHandlers() {
    pthread_atfork([] { instance().mutex.lock(); }, [] { instance().mutex.unlock(); },
                   [] {
                     for (ForkListener* one = instance().first; one != nullptr; one = one->next_)
                       one->after_fork_in_child();
                     instance().mutex.unlock();
                   });
  }

  // Never destroyed: a fork() may come while static objects are being destroyed.
  static ForkHandlers& instance() {
    static ForkHandlers* const handlers = new ForkHandlers;
    return *handlers;
  }

  void add(ForkListener* listener) {
    const std::lock_guard lock(mutex);
    listener->next_ = first;
    if (first != nullptr) first->previous_ = listener;
    first = listener;
  }

  void remove(ForkListener* listener) {
    const std::lock_guard lock(mutex);
    if (listener->previous_ != nullptr) listener->previous_->next_ = listener->next_;
    if (listener->next_ != nullptr) listener->next_->previous_ = listener->previous_;
    if (first == listener) first = listener->next_;
  }
};

ForkListener::ForkListener() { ForkHandlers::instance().add(this); }
ForkListener::~ForkListener() { ForkHandlers::instance().remove(this); }

std::mutex& fork_safe_mutex() { return ForkHandlers::instance().mutex; }

}  // namespace fewbins
