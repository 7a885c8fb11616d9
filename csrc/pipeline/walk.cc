// Taking a token through the stages: turns at serial stages, parking, and what happens on errors.

#include <algorithm>
#include <exception>
#include <functional>
#include <new>
#include <utility>

#include "pipeline/engine.h"

namespace spanflow::pipeline {

using base::Status;

// Takes the token in hand (worker.items) as far as it can go. `granted`: it holds the serial stage
// that it starts at.
void Engine::Walk(Worker& worker, int64_t token, size_t stage, bool granted) {
  bool last = SlotOf(token).last;
  const int64_t begun = worker.now;
  for (; stage < stages_.size(); ++stage, granted = false) {
    Cell& cell = *stages_[stage];
    if (Dropped(token)) {
      if (granted) LeaveGate(cell, stage);
      break;
    }
    if (!Admit(worker, token, stage, granted)) return;
    if (cell.mode == Mode::kParallel && worker.now - begun > kLongWork &&
        LeaveToOthers(worker, token, stage)) {
      return;
    }
    worker.item_ = token;
    Status status = RunStage(worker, cell, stage, last);
    if (status.ok() && std::exchange(worker.end_here_, false)) {
      EndAt(token);
      last = true;
    }
    if (cell.mode != Mode::kParallel) LeaveGate(cell, stage);
    if (!status.ok()) return Fail(worker, token, cell.name, std::move(status));
  }
  if (Dropped(token)) worker.items.clear();
  Complete(worker, token);
}

// Whether the token may enter the stage now. If not, it was parked and is no longer in hand.
bool Engine::Admit(Worker& worker, int64_t token, size_t stage, bool granted) {
  Cell& cell = *stages_[stage];
  if (cell.grows && !worker.items.empty() && budget_->full() && token != head_.load()) {
    Starve(worker, token, stage, granted);
    return false;
  }
  return granted || cell.mode == Mode::kParallel || EnterGate(worker, cell, token, stage);
}

// The token waits for memory. One that has its turn at a stage in order keeps it, as only later
// tokens wait behind it; at a stage out of order the oldest one may, which must not wait.
void Engine::Starve(Worker& worker, int64_t token, size_t stage, bool granted) {
  Cell& cell = *stages_[stage];
  const bool keeps = granted && cell.mode == Mode::kSerialInOrder;
  Park(worker, token, stage, Phase::kParked);
  SlotOf(token).granted = keeps;
  {
    const std::lock_guard lock(ready_mutex_);
    starved_.push_back(token);
    std::push_heap(starved_.begin(), starved_.end(), std::greater<>());
    oldest_starved_.store(starved_.front());
  }
  if (granted && !keeps) LeaveGate(cell, stage, false);
  // Whoever sleeps did not know that this token waits.
  budget_->wanted.store(true);
  if (!budget_->full() || token == head_.load()) NotifyWork();
}

// Where the consumer works on the run and has no time for this token: another thread takes it.
bool Engine::LeaveToOthers(Worker& worker, int64_t token, size_t stage) {
  if (worker.caller_ == nullptr) return false;
  ExpandCrew();
  if (!full_crew_.load()) return false;
  Park(worker, token, stage, Phase::kParked);
  PushReady(token);
  return true;
}

bool Engine::EnterGate(Worker& worker, Cell& cell, int64_t token, size_t stage) {
  std::unique_lock lock(cell.mutex);
  const bool last = SlotOf(token).last;
  if (cell.mode == Mode::kSerialInOrder) {
    // `busy` stays set while the next token is granted its turn, so only `passed` may enter.
    if (cell.busy || cell.passed != token) return WaitInGate(worker, cell, token, stage);
  } else if (cell.busy || (last && cell.passed != token)) {
    return WaitInGate(worker, cell, token, stage);
  }
  cell.busy = true;
  return true;
}

bool Engine::WaitInGate(Worker& worker, Cell& cell, int64_t token, size_t stage) {
  if (cell.mode == Mode::kSerialOutOfOrder) {
    if (SlotOf(token).last)
      cell.last_waiting = token;
    else
      cell.waiting.push_back(token);
  }
  Park(worker, token, stage, Phase::kInGate);
  return false;
}

// Ends the turn and gives the stage to the next token that waits for it. `passed` is false when the
// turn was not used.
void Engine::LeaveGate(Cell& cell, size_t stage, bool passed) {
  int64_t next;
  {
    const std::lock_guard lock(cell.mutex);
    if (passed) ++cell.passed;
    next = NextInGate(cell, stage);
    cell.busy = next >= 0;
    if (next >= 0) SlotOf(next).granted = true;
  }
  if (next >= 0) PushReady(next);
}

int64_t Engine::NextInGate(Cell& cell, size_t stage) {
  if (cell.mode == Mode::kSerialInOrder) {
    return SlotOf(cell.passed).Is(Phase::kInGate, stage) ? cell.passed : -1;
  }
  if (!cell.waiting.empty()) {
    const int64_t next = cell.waiting.front();
    cell.waiting.erase(cell.waiting.begin());
    return next;
  }
  return cell.last_waiting == cell.passed ? std::exchange(cell.last_waiting, -1) : -1;
}

// Processes the items in hand; what the stage emitted is in hand afterwards.
Status Engine::RunStage(Worker& worker, Cell& cell, size_t stage, bool last) {
  const bool finish = last && cell.mode != Mode::kParallel;
  if (worker.items.empty() && !finish) return Status::Ok();
  StageCounters& counters = worker.counters[stage + 1];
  Count(counters.items, static_cast<int64_t>(worker.items.size()));
  worker.out_.clear();
  Status status;
  try {
    for (Item& item : worker.items) {
      Count(counters.nbytes, item->nbytes());
      status = cell.run->Process(std::move(item), worker);
      if (!status.ok()) break;
    }
    if (status.ok() && finish) status = cell.run->Finish(worker);
  } catch (const std::bad_alloc&) {
    status = Status::Memory("out of memory");
  } catch (const std::exception& error) {
    status = Status(base::Code::kRuntime, error.what());
  }
  worker.items.clear();
  worker.items.swap(worker.out_);
  Count(counters.items_out, static_cast<int64_t>(worker.items.size()));
  const int64_t begun = worker.now;
  worker.now = Now();
  Count(counters.busy_ns, worker.now - begun);
  Count(counters.times[TimeBuckets::Of(worker.now - begun)], 1);
  if (worker.attached_ns_ != 0) {
    Count(counters.attached_ns, std::exchange(worker.attached_ns_, 0));
  }
  return status;
}

// The token lies before `stage` from now on; whoever takes it up next finds its items in its slot.
void Engine::Park(Worker& worker, int64_t token, size_t stage, Phase phase) {
  Slot& slot = SlotOf(token);
  slot.items.swap(worker.items);
  worker.items.clear();
  slot.granted = false;
  slot.parked_at = worker.now;
  slot.Set(phase, stage);
}

void Engine::PushReady(int64_t token) {
  {
    const std::lock_guard lock(ready_mutex_);
    ready_.push_back(token);
    std::push_heap(ready_.begin(), ready_.end(), std::greater<>());
    ready_count_.fetch_add(1);
  }
  NotifyWork();
}

// The oldest parked token that can go on, or -1.
int64_t Engine::PopRunnable() {
  if (ready_count_.load() == 0 && oldest_starved_.load() == kNever) return -1;
  const std::lock_guard lock(ready_mutex_);
  const auto pop = [](std::vector<int64_t>& heap) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const int64_t token = heap.back();
    heap.pop_back();
    return token;
  };
  const bool may_starved = !starved_.empty() &&
                           (!budget_->full() || starved_.front() == head_.load()) &&
                           (ready_.empty() || starved_.front() < ready_.front());
  if (may_starved) {
    const int64_t token = pop(starved_);
    oldest_starved_.store(starved_.empty() ? kNever : starved_.front());
    return token;
  }
  if (ready_.empty()) return -1;
  ready_count_.fetch_sub(1);
  return pop(ready_);
}

bool Engine::RunParked(Worker& worker) {
  const int64_t token = PopRunnable();
  if (token < 0) return false;
  Slot& slot = SlotOf(token);
  const size_t stage = slot.state.load() >> 8;
  const bool granted = slot.granted;
  worker.items.clear();
  worker.items.swap(slot.items);
  slot.Set(Phase::kWalking);
  worker.now = Now();
  Count(worker.counters[stage + 1].wait_ns, worker.now - slot.parked_at);
  Walk(worker, token, stage, granted);
  return true;
}

// The token is the last one: it takes the end token's place, and what is behind it is dropped.
void Engine::EndAt(int64_t token) {
  SlotOf(token).last = true;
  StopAt(token);
}

void Engine::StopAt(int64_t token) {
  int64_t stop = stop_.load();
  while (token < stop && !stop_.compare_exchange_weak(stop, token)) {
  }
}

void Engine::Fail(Worker& worker, int64_t token, const std::string& stage, Status status) {
  worker.items.clear();
  worker.out_.clear();
  worker.end_here_ = false;
  auto error = std::make_unique<Error>();
  error->status = std::move(status);
  error->exception = std::move(worker.exception_);
  error->stage = stage;
  error->item = SlotOf(token).last ? -1 : token;
  if (std::exchange(worker.urgent_, false)) return FailNow(std::move(error));

  StopAt(token);
  SlotOf(token).error = std::move(error);
  Complete(worker, token);
}

}  // namespace spanflow::pipeline
