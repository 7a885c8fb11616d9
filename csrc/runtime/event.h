// Event: sleeping until another thread changed something, without missing the change and without
// a system call when nobody sleeps.
//
// The changed state must be atomic with the default (sequentially consistent) order, or be changed
// under a mutex that the condition takes too. Then either the notifier sees the waiter, or the
// waiter sees the change.
//
// Owns: a mutex and a condition variable. Threads: thread-safe; conditions run under the event's
// mutex, so nobody may notify while holding a mutex that a condition takes.
// Attached: never while waiting. Fails: never.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace spanflow::runtime {

class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  template <class Condition>
  void Wait(Condition condition) {
    waiters_.fetch_add(1);
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, condition);
    }
    waiters_.fetch_sub(1);
  }

  // False when the time ran out first.
  template <class Condition>
  bool WaitFor(std::chrono::nanoseconds time, Condition condition) {
    waiters_.fetch_add(1);
    bool result;
    {
      std::unique_lock lock(mutex_);
      result = changed_.wait_for(lock, time, condition);
    }
    waiters_.fetch_sub(1);
    return result;
  }

  // Both return whether somebody was waiting.
  bool NotifyOne() {
    if (waiters_.load() == 0) return false;
    { const std::lock_guard lock(mutex_); }  // a waiter is either before its check or asleep
    changed_.notify_one();
    return true;
  }
  bool NotifyAll() {
    if (waiters_.load() == 0) return false;
    { const std::lock_guard lock(mutex_); }
    changed_.notify_all();
    return true;
  }

 private:
  std::atomic<int> waiters_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace spanflow::runtime
