// Calls: items on their way to threads that work for one stage alone, and back.
//
// A stage that waits much (for another process, a sleeping coroutine) or that needs threads of a
// special kind (each with an interpreter of its own) does not hold up the run's threads: they put
// the items here, the stage's own threads take them and return what became of them, and a thread of
// the run goes on with that.
//
// Owns: the items that wait. Threads: thread-safe; nothing is called or dropped under the mutex but
// the home's TakeBack. Attached: never while inside Take or Sleep; not needed elsewhere.
// Fails: after Stop nothing is given out any more and what comes back is dropped.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "pipeline/item.h"
#include "pipeline/tuner.h"
#include "platform/wake.h"
#include "runtime/event.h"

namespace spanflow::pipeline {

struct Call {
  int64_t token = -1;
  size_t place = 0;         // among the items of its token
  Item item;                // on the way back: what became of it, never null
  int64_t elapsed_ns = 0;   // that it took there
  int64_t attached_ns = 0;  // and was attached to an interpreter
};

// Where the calls come from: the scheduler.
class CallHome {
 public:
  virtual bool Wanted(int64_t token) const = 0;  // false: it is dropped in any case
  virtual void TakeBack(size_t stage, Call call) = 0;

 protected:
  ~CallHome() = default;
};

class Calls {
 public:
  // At most `places` calls are in hand at once; with `tuned` as many of them as help.
  Calls(CallHome* home, size_t stage, int places, bool tuned)
      : home_(home), stage_(stage), places_(places) {
    if (tuned) tuner_.emplace(places);
  }

  // How many calls are in hand at once, at most; and how many that may become.
  int places() const { return tuner_.has_value() ? tuner_->allowed() : places_; }
  int most_places() const { return places_; }
  // For a thread that is about to serve: waits until there is a place for it. False once stopped.
  bool Admit();

  void Put(Call call);
  // The oldest one; waits for it. None once it is stopped.
  std::optional<Call> Take();
  std::optional<Call> TryTake();
  // Every call that was taken comes back, once.
  void Return(Call call);

  // Everybody wakes up; the calls that wait are dropped.
  void Stop();
  bool stopped() const { return stopped_.load(); }
  // False when it was stopped before the time was over.
  bool Sleep(std::chrono::nanoseconds time);
  // Notified by Put and Stop, for a thread that waits for descriptors; for the whole of its life.
  base::Result<int> WakeDescriptor();

  // For the statistics.
  std::atomic<int64_t> retried{0};
  std::atomic<int64_t> skipped{0};

 private:
  std::optional<Call> Pop();
  bool HasWork() const { return count_.load() > 0 && in_hand_.load() < places(); }

  CallHome* const home_;
  const size_t stage_;
  const int places_;
  std::mutex mutex_;
  std::deque<Call> waiting_;
  std::optional<platform::Wake> wake_;
  std::atomic<int64_t> count_{0};  // of waiting_
  std::atomic<int> in_hand_{0};
  std::atomic<int> admitted_{0};
  std::optional<Tuner> tuner_;  // changed under the mutex
  std::atomic<bool> stopped_{false};
  runtime::Event changed_;  // for Take
  runtime::Event grew_;     // for Admit
  runtime::Event ended_;    // for Sleep, so that no Put wakes a sleeper in place of a taker
};

}  // namespace spanflow::pipeline
