#include "runtime/fork.h"

#include <atomic>

#include "platform/thread.h"

namespace spanflow::runtime {
namespace {

std::atomic<uint64_t> forks{0};

}  // namespace

uint64_t ForkCount() {
  static const bool watching = [] {
    platform::OnFork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
    return true;
  }();
  static_cast<void>(watching);
  return forks.load(std::memory_order_relaxed);
}

}  // namespace spanflow::runtime
