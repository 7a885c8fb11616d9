// Handing items to the consumer, and what a consumer does while there is none.

#include <utility>

#include "pipeline/engine.h"
#include "runtime/spin.h"

namespace spanflow::pipeline {

thread_local const HelpFrame* help_of_this_thread = nullptr;

namespace {

using base::Status;

// A consumer that works on an item cannot answer Ctrl-C, so it leaves long ones to other threads.
constexpr int kSlowMemory = 64;               // pieces of work until a long one is forgotten
constexpr int64_t kAskInterval = 40'000'000;  // ns between two Caller::Interrupted
constexpr std::chrono::milliseconds kWaitSlice{40};

}  // namespace

// The token has reached the consumer's end, with whatever items it has.
void Engine::Complete(Worker& worker, int64_t token) {
  Slot& slot = SlotOf(token);
  slot.items.swap(worker.items);
  worker.items.clear();
  const bool nothing = slot.items.empty() && slot.error == nullptr;
  slot.Set(Phase::kDone);
  if (head_.load() != token) return;  // whoever hands out the ones before it looks again
  if (nothing) {
    {
      const std::lock_guard lock(head_mutex_);
      SkipEmptyLocked();
    }
    HeadMoved();
  } else {
    out_.NotifyOne();
  }
}

// Retires tokens that have nothing to hand out. Returns the slot of the oldest one if it has.
Engine::Slot* Engine::SkipEmptyLocked() {
  while (!finished_.load()) {
    Slot& slot = SlotOf(head_.load());
    if (!slot.Is(Phase::kDone)) return nullptr;
    if (!slot.items.empty() || slot.error != nullptr) return &slot;
    RetireLocked(slot);
  }
  return nullptr;
}

void Engine::RetireLocked(Slot& slot) {
  const bool last = slot.last;
  slot.items.clear();
  slot.taken = 0;
  slot.last = false;
  slot.Set(Phase::kFree);
  head_.fetch_add(1);
  if (last) finished_.store(true);
}

// After tokens were retired: wakes whoever can use the room, or is next in line.
void Engine::HeadMoved() {
  if (finished_.load()) return End();
  if (tokens_wanted_.load()) {
    const int64_t limit = limit_.load();
    const int64_t room = limit - (tail_.load() - head_.load());
    // Not for every single token: waking a thread costs more than many a token.
    if (room * 4 >= limit && tokens_wanted_.exchange(false)) NotifyWork();
  }
  if (oldest_starved_.load() == head_.load()) NotifyWork();
  if (OutputReady()) out_.NotifyOne();
}

bool Engine::OutputReady() {
  return finished_.load() || has_urgent_.load() || cancel_.cancelled() ||
         SlotOf(head_.load()).Is(Phase::kDone);
}

void Engine::FailNow(std::unique_ptr<Error> error) {
  {
    const std::lock_guard lock(head_mutex_);
    if (urgent_ == nullptr) urgent_ = std::move(error);
    has_urgent_.store(true);
  }
  stop_.store(-1);
  out_.NotifyAll();
}

// Once the threads are gone: drops all that the run borrows and what the consumer will never take.
// False while a consumer is still at work; then it goes with the run.
bool Engine::LetGo() {
  if (helping_.exchange(true)) return false;
  {
    const std::lock_guard lock(head_mutex_);
    for (Slot& slot : ring_) {
      slot.items.clear();
      slot.error = nullptr;
    }
  }
  source_ = nullptr;
  for (const auto& cell : stages_) cell->run = nullptr;
  pipeline_ = {};
  helping_.store(false);
  return true;
}

bool Engine::TakeOutput(Delivery* delivery) {
  bool taken, moved;
  {
    const std::lock_guard lock(head_mutex_);
    const int64_t head = head_.load();
    taken = TakeOutputLocked(delivery);
    moved = head_.load() != head;  // also where only tokens without items were retired
  }
  if (taken || moved) HeadMoved();
  return taken;
}

bool Engine::TakeOutputLocked(Delivery* delivery) {
  const auto fail = [&](std::unique_ptr<Error> error) {
    delivery->kind = Delivery::Kind::kFailed;
    delivery->error = std::move(error);
    finished_.store(true);
    return true;
  };
  if (finished_.load()) return true;  // Delivery::Kind::kEnd
  if (urgent_ != nullptr) return fail(std::move(urgent_));
  if (cancel_.cancelled()) {
    // Not finished: whoever asks again is told again, because this is not the end of the data.
    delivery->kind = Delivery::Kind::kFailed;
    delivery->error = std::make_unique<Error>();
    delivery->error->status = Status::Cancelled();
    return true;
  }
  // One look at the slot's state decides: a token may become done at any moment.
  Slot* done = SkipEmptyLocked();
  if (finished_.load()) return true;
  if (done == nullptr) return false;
  Slot& slot = *done;
  if (slot.error != nullptr) return fail(std::move(slot.error));
  delivery->kind = Delivery::Kind::kItem;
  delivery->item = std::move(slot.items[slot.taken++]);
  delivered_.fetch_add(1, std::memory_order_relaxed);
  if (slot.taken == slot.items.size()) RetireLocked(slot);
  return true;
}

// Works on the run with the calling thread. False when there is nothing to do, or somebody else
// does it already.
bool Engine::Help(Caller& caller) {
  if (full_crew_.load() || helping_.exchange(true)) return false;
  const HelpFrame frame{this, help_of_this_thread};
  help_of_this_thread = &frame;
  Worker& worker = *consumer_;
  if (!exit_.load() && source_mode_ == Mode::kParallel && end_.load() > tail_.load() &&
      source_->BytesOf(tail_.load()) > kLargeItem) {
    ExpandCrew();
  }
  bool worked = false;
  if (!full_crew_.load()) {
    worker.caller_ = &caller;
    const int64_t begun = Now();
    worked = Work(worker);
    worker.caller_ = nullptr;
    // Not at the first time, because a busy machine may stop any thread for that long now and then.
    if (worked && worker.now - begun > kLongWork) {
      if (slowness_ > 0) ExpandCrew();
      slowness_ = kSlowMemory;
    } else if (worked && slowness_ > 0) {
      --slowness_;
    }
  }
  help_of_this_thread = frame.outer;
  helping_.store(false);
  if (exit_.load()) thread_ended_.NotifyAll();
  return worked;
}

void Engine::Wait(bool may_help) {
  const int64_t begun = Now();
  const auto wake = [this, may_help] { return OutputReady() || (may_help && HasWork()); };
  if (!runtime::Spin(wake)) out_.WaitFor(kWaitSlice, wake);
  consumer_wait_ns_.fetch_add(Now() - begun, std::memory_order_relaxed);
}

bool Engine::TryNext(Delivery* delivery) {
  if (Forked()) {
    delivery->kind = Delivery::Kind::kFailed;
    delivery->error = std::make_unique<Error>();
    delivery->error->status = Status(
        base::Code::kPipeline, "the run was started before this process was forked: start it anew");
    return true;
  }
  if (!OutputReady() || !TakeOutput(delivery)) return false;
  if (delivery->kind == Delivery::Kind::kItem) delivery->item->credit = {};
  return true;
}

Delivery Engine::Next(Caller& caller) {
  Delivery delivery;
  int64_t asked = 0;
  while (!TryNext(&delivery)) {
    bool helped = false;
    try {
      helped = Help(caller);
    } catch (const LeftBehind&) {
      continue;  // TryNext says it
    }
    if (!helped) Wait(!full_crew_.load() && !helping_.load());
    const int64_t now = Now();
    if (asked == 0) asked = now;
    if (now - asked < kAskInterval) continue;
    asked = now;
    if (caller.Interrupted()) {
      delivery.kind = Delivery::Kind::kInterrupted;
      break;
    }
  }
  return delivery;
}

}  // namespace spanflow::pipeline
