// CancelToken: says "stop when you can" to whoever works, because somebody asked for it, because a
// deadline has passed, or because a larger piece of work was told so.
//
// Owns: its flag; the parent must outlive it. Threads: thread-safe; a cancelled token stays
// cancelled. Attached: not needed. Fails: never.
#pragma once

#include <atomic>
#include <chrono>

#include "base/status.h"

namespace spanflow::runtime {

class CancelToken {
 public:
  using Clock = std::chrono::steady_clock;

  CancelToken() = default;
  explicit CancelToken(Clock::time_point deadline, const CancelToken* parent = nullptr)
      : deadline_(deadline), parent_(parent) {}
  explicit CancelToken(const CancelToken* parent) : parent_(parent) {}
  CancelToken(const CancelToken&) = delete;
  CancelToken& operator=(const CancelToken&) = delete;

  // In the default order, because conditions of events ask for it (event.h).
  bool cancelled() const {
    return cancelled_.load() || late() || (parent_ != nullptr && parent_->cancelled());
  }
  void Cancel() { cancelled_.store(true); }

  // Ok, or why to stop: Cancelled, or Timeout where only the deadline has passed.
  base::Status Check() const {
    if (cancelled_.load()) return base::Status::Cancelled();
    if (parent_ != nullptr) SPANFLOW_TRY(parent_->Check());
    if (late()) return {base::Code::kTimeout, "the deadline has passed"};
    return base::Status::Ok();
  }

 private:
  bool late() const { return deadline_ != Clock::time_point::max() && Clock::now() >= deadline_; }

  std::atomic<bool> cancelled_{false};
  const Clock::time_point deadline_ = Clock::time_point::max();
  const CancelToken* const parent_ = nullptr;
};

}  // namespace spanflow::runtime
