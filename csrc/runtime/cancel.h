// CancelToken: one flag that says "stop when you can", shared by whoever asks and whoever works.
//
// Owns: the flag. Threads: thread-safe; a cancelled token stays cancelled.
// Attached: not needed. Fails: never.
#pragma once

#include <atomic>

#include "base/status.h"

namespace spanflow::runtime {

class CancelToken {
 public:
  CancelToken() = default;
  CancelToken(const CancelToken&) = delete;
  CancelToken& operator=(const CancelToken&) = delete;

  // Relaxed on purpose: the flag orders nothing, it only asks for an early end.
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  base::Status Check() const {
    return cancelled() ? base::Status::Cancelled() : base::Status::Ok();
  }

 private:
  std::atomic<bool> cancelled_{false};
};

}  // namespace spanflow::runtime
