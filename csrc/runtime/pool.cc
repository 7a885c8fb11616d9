#include "runtime/pool.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "platform/thread.h"
#include "platform/topology.h"
#include "runtime/scheduler.h"

namespace spanflow::runtime {
namespace {

// What the environment asks for, or the usable cores; spanflow/_settings.py warns of a value that
// cannot be followed.
int DefaultNumThreads() {
  if (const char* text = std::getenv("SPANFLOW_NUM_THREADS")) {
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    if (end != text && *end == '\0' && n >= 1) {
      return static_cast<int>(std::min<long>(n, kMaxThreads));
    }
  }
  return std::clamp(platform::UsableCores(), 1, kMaxThreads);
}

bool PinAsked() {
  const char* const text = std::getenv("SPANFLOW_PIN_THREADS");
  return text != nullptr && std::string_view(text) == "1";
}

std::atomic<int>& ThreadLimit() {
  static std::atomic<int> limit{DefaultNumThreads()};  // trivially destroyed
  return limit;
}

Scheduler* NewPool() {
  auto pool = Scheduler::Make({.name = "spanflow", .workers = NumThreads() - 1, .pin = PinAsked()});
  return (new std::shared_ptr<Scheduler>(std::move(pool)))->get();  // never destroyed
}

// A forked child has only the thread that forked. What the other threads were doing in the pool is
// nobody's any more, so the old one is left as it was and never touched again.
std::atomic<Scheduler*>& Current() {
  static std::atomic<Scheduler*> current = [] {
    platform::OnFork([] { Current().load()->LockForFork(); },
                     [] { Current().load()->UnlockAfterFork(); },
                     [] { Current().store(NewPool()); });
    return NewPool();
  }();
  return current;
}

}  // namespace

int NumThreads() { return ThreadLimit().load(std::memory_order_relaxed); }

void SetNumThreads(int n) {
  const int threads = std::clamp(n, 1, kMaxThreads);
  ThreadLimit().store(threads, std::memory_order_relaxed);
  Pool().SetWorkers(threads - 1);
}

Scheduler& Pool() { return *Current().load(std::memory_order_relaxed); }

}  // namespace spanflow::runtime
