// What the tests of the runtime share: a number of threads for a while, and waiting for conditions.
#pragma once

#include <chrono>
#include <thread>

#include "runtime/pool.h"

#if defined(__SANITIZE_THREAD__)
#define SPANFLOW_NO_THREADS_AFTER_FORK 1  // ThreadSanitizer refuses to start threads there
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SPANFLOW_NO_THREADS_AFTER_FORK 1
#endif
#endif

namespace spanflow::runtime {

class Threads {
 public:
  explicit Threads(int n) : before_(NumThreads()) { SetNumThreads(n); }
  ~Threads() { SetNumThreads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

// Whether the condition comes true within ten seconds.
template <class Condition>
bool ComesTrue(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

}  // namespace spanflow::runtime
