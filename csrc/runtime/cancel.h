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

  // In the default order, because conditions of events ask for it (event.h).
  bool cancelled() const { return cancelled_.load(); }
  void Cancel() { cancelled_.store(true); }
  base::Status Check() const {
    return cancelled() ? base::Status::Cancelled() : base::Status::Ok();
  }

 private:
  std::atomic<bool> cancelled_{false};
};

}  // namespace spanflow::runtime
