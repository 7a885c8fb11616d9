// Handing items to the consumer, and what a consumer does while there is none.

#include <algorithm>
#include <iterator>
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
  if (!ordered_) LetLoose(worker);
  if (slot.parts) HandOver(worker, token);
  bool nothing = false;
  if (slot.parts) {
    const std::lock_guard lock(head_mutex_);
    nothing = slot.out.empty() && slot.error == nullptr;
    slot.Set(Phase::kDone);
  } else {
    slot.out.swap(worker.items);
    worker.items.clear();
    nothing = slot.out.empty() && slot.error == nullptr;
    slot.Set(Phase::kDone);
  }
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

// The part in hand is the consumer's, while more of the token will come.
void Engine::HandOver(Worker& worker, int64_t token) {
  Slot& slot = SlotOf(token);
  slot.parts = true;
  if (!ordered_) LetLoose(worker);
  if (worker.items.empty()) return;
  {
    const std::lock_guard lock(head_mutex_);
    std::ranges::move(worker.items, std::back_inserter(slot.out));
    slot.handed_over.store(slot.out.size() - slot.taken);
  }
  worker.items.clear();
  if (head_.load() == token) out_.NotifyOne();
}

// Out of order: the items in hand are the consumer's at once.
void Engine::LetLoose(Worker& worker) {
  if (worker.items.empty()) return;
  {
    const std::lock_guard lock(head_mutex_);
    std::ranges::move(worker.items, std::back_inserter(loose_));
    loose_count_.store(static_cast<int64_t>(loose_.size()));
  }
  worker.items.clear();
  out_.NotifyOne();
}

// Retires tokens that have nothing to hand out. Returns the slot of the oldest one if it has.
Engine::Slot* Engine::SkipEmptyLocked() {
  while (!finished_.load()) {
    Slot& slot = SlotOf(head_.load());
    if (slot.handed_over.load() > 0) return &slot;
    if (!slot.Is(Phase::kDone)) return nullptr;
    if (slot.handed_over.load() > 0 || !slot.out.empty() || slot.error != nullptr) return &slot;
    if (cancel_.cancelled()) return nullptr;  // it may be empty because it was dropped
    RetireLocked(slot);
  }
  return nullptr;
}

void Engine::RetireLocked(Slot& slot) {
  const bool last = slot.last;
  slot.out.clear();
  slot.taken = 0;
  slot.last = false;
  slot.parts = false;
  slot.Set(Phase::kFree);
  head_.fetch_add(1);
  if (last) finished_.store(true);
}

// Whether a thread waits for room that there is now. Not for every single token: waking a thread
// costs more than many a token.
bool Engine::HasRoom() const {
  if (!tokens_wanted_.load()) return false;
  const int64_t limit = limit_.load();
  return (limit - Alive()) * 4 >= limit;
}

// After tokens were retired: wakes whoever can use the room, or is next in line.
void Engine::HeadMoved() {
  if (finished_.load()) return End();
  if (HasRoom() && tokens_wanted_.exchange(false)) NotifyWork();
  NotifyIfHeadMayGrow();
  if (OutputReady()) out_.NotifyOne();
}

// The oldest token waits for memory or, in parts, for the consumer.
void Engine::NotifyIfHeadMayGrow() {
  const int64_t head = head_.load();
  if (oldest_starved_.load() == head && MayGrow(head)) NotifyWork();
}

bool Engine::OutputReady() {
  return loose_count_.load() > 0 || finished_.load() || has_urgent_.load() || cancel_.cancelled() ||
         SlotOf(head_.load()).HasOutput();
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
    loose_.clear();
    loose_count_.store(0);
    for (Slot& slot : ring_) {
      slot.items.clear();
      slot.rest = nullptr;
      slot.frames.clear();
      slot.out.clear();
      slot.error = nullptr;
    }
  }
  source_ = nullptr;
  for (const auto& cell : stages_) cell->run = nullptr;
  pipeline_ = {};
  helping_.store(false);
  return true;
}

// What HeadMoved and the item's credit are to wake others for is left to Settle.
bool Engine::TakeOutput(Delivery* delivery) {
  const std::lock_guard lock(head_mutex_);
  const int64_t head = head_.load();
  const bool taken = TakeOutputLocked(delivery);
  delivery->wakes = taken || head_.load() != head;  // also where only empty tokens were retired
  return taken;
}

// Whether Settle would find somebody. Who is about to sleep says so before looking at head_ for the
// last time, so that it is not missed here.
bool Engine::WouldWake(const Delivery& delivery) const {
  if (delivery.kind != Delivery::Kind::kItem || finished_.load()) return true;
  if (delivery.item->credit.nbytes() > 0 && budget_->wanted.load()) return true;
  return HasRoom() || oldest_starved_.load() == head_.load();
}

void Engine::Settle(Delivery* delivery) {
  if (delivery->item != nullptr) delivery->item->credit = {};
  if (std::exchange(delivery->wakes, false)) HeadMoved();
}

// Not finished: whoever asks again is told again, because this is not the end of the data.
bool Engine::TellCancelled(Delivery* delivery) {
  delivery->kind = Delivery::Kind::kFailed;
  delivery->error = std::make_unique<Error>();
  delivery->error->status = Status::Cancelled();
  return true;
}

bool Engine::TakeOutputLocked(Delivery* delivery) {
  const auto fail = [&](std::unique_ptr<Error> error) {
    delivery->kind = Delivery::Kind::kFailed;
    delivery->error = std::move(error);
    loose_.clear();
    loose_count_.store(0);
    finished_.store(true);
    return true;
  };
  if (finished_.load() && loose_.empty()) return true;  // Delivery::Kind::kEnd
  if (urgent_ != nullptr) return fail(std::move(urgent_));
  if (cancel_.cancelled()) return TellCancelled(delivery);
  if (!loose_.empty()) return TakeLooseLocked(delivery);
  // One look at the slot's state decides: a token may become done at any moment.
  Slot* done = SkipEmptyLocked();
  if (finished_.load()) return true;
  if (cancel_.cancelled()) return TellCancelled(delivery);
  if (done == nullptr) return false;
  Slot& slot = *done;
  if (slot.out.empty()) return fail(std::move(slot.error));
  delivery->kind = Delivery::Kind::kItem;
  delivery->item = TakeItemLocked(slot);
  delivered_.fetch_add(1, std::memory_order_relaxed);
  if (slot.out.empty() && slot.Is(Phase::kDone) && slot.error == nullptr && !cancel_.cancelled()) {
    RetireLocked(slot);
  }
  if (out_trace_) out_trace_->Add(Level());
  return true;
}

bool Engine::TakeLooseLocked(Delivery* delivery) {
  delivery->kind = Delivery::Kind::kItem;
  delivery->item = std::move(loose_.front());
  loose_.pop_front();
  loose_count_.store(static_cast<int64_t>(loose_.size()));
  delivered_.fetch_add(1, std::memory_order_relaxed);
  if (out_trace_) out_trace_->Add(Level());
  return true;
}

Item Engine::TakeItemLocked(Slot& slot) {
  Item item = std::move(slot.out[slot.taken++]);
  if (slot.taken == slot.out.size()) {
    slot.out.clear();
    slot.taken = 0;
  }
  if (slot.parts) slot.handed_over.store(slot.out.size() - slot.taken);
  return item;
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
  const auto left = std::chrono::nanoseconds(std::max<int64_t>(deadline_ - begun, 0));
  if (!runtime::Spin(wake)) {
    out_.WaitFor(std::min<std::chrono::nanoseconds>(kWaitSlice, left), wake);
  }
  consumer_wait_ns_.fetch_add(Now() - begun, std::memory_order_relaxed);
  if (out_trace_) TraceWait(begun);
}

bool Engine::TryNext(Delivery* delivery) {
  if (Forked()) {
    delivery->kind = Delivery::Kind::kFailed;
    delivery->error = std::make_unique<Error>();
    delivery->error->status = Status(
        base::Code::kPipeline, "the run was started before this process was forked: start it anew");
    return true;
  }
  CheckDeadline();
  if (!OutputReady() || !TakeOutput(delivery)) return false;
  delivery->wakes = WouldWake(*delivery);
  if (delivery->wakes) return true;
  Settle(delivery);
  if (OutputReady()) out_.NotifyOne();  // only where several consumers take
  return true;
}

Delivery Engine::Next(Caller& caller) {
  Delivery delivery;
  int64_t asked = 0;
  while (!TryNext(&delivery)) {
    Settle(&delivery);
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
  Settle(&delivery);
  return delivery;
}

}  // namespace spanflow::pipeline
