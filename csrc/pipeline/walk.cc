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
  while (WalkDown(worker, token, stage, granted)) {
    Slot& slot = SlotOf(token);
    if (Dropped(token)) {
      worker.items.clear();
      slot.frames.clear();
    }
    if (slot.frames.empty()) return Complete(worker, token);
    HandOver(worker, token);
    stage = TakeUpFrame(worker, token);
    granted = false;
    if (worker.caller_ != nullptr && OutputReady()) {  // the consumer has something to take
      Park(worker, token, stage, Phase::kParked);
      return PushReady(token);
    }
  }
}

// The same for the part in hand; false: it was parked, and is not in hand any more.
bool Engine::WalkDown(Worker& worker, int64_t token, size_t stage, bool granted) {
  const int64_t begun = worker.now;
  for (; stage < stages_.size(); ++stage, granted = false) {
    Cell& cell = *stages_[stage];
    if (Dropped(token)) {
      if (granted) LeaveGate(cell, stage);
      break;
    }
    if (SlotOf(token).error != nullptr && worker.items.empty()) break;
    if (!Admit(worker, token, stage, granted)) return false;
    if (cell.mode == Mode::kParallel && worker.now - begun > kLongWork &&
        LeaveToOthers(worker, token, stage)) {
      return false;
    }
    if (!PassStage(worker, token, stage)) return false;
  }
  worker.rest_ = nullptr;  // of a token that was dropped
  worker.finishing = worker.back = false;
  return true;
}

// Runs the stage and gives the next token its turn. False: the stage's own threads have the items
// now, or an urgent error has ended the run.
bool Engine::PassStage(Worker& worker, int64_t token, size_t stage) {
  Cell& cell = *stages_[stage];
  Slot& slot = SlotOf(token);
  worker.Enter(token, stage + 1);
  const bool away = cell.calls != nullptr && !worker.back && !worker.items.empty();
  Status status = away ? SendAway(worker, token, stage) : RunStage(worker, token, stage);
  if (away && status.ok()) return false;
  if (std::exchange(worker.end_here_, false) && status.ok()) {
    EndAt(token);
    slot.frames.clear();
  }
  const bool failed = !status.ok();
  const bool goes_on = !failed || NoteError(worker, token, cell.name, std::move(status));
  if (cell.mode == Mode::kParallel) return goes_on;
  slot.frames.empty() ? LeaveGate(cell, stage) : KeepGate(cell, stage, token);
  return goes_on;
}

// Whether the token may become more. While the memory is full only the oldest one may, one part
// after the other; and no token may get far ahead of the consumer.
bool Engine::MayGrow(int64_t token) {
  constexpr size_t kMostHandedOver = 256;
  const size_t waiting = SlotOf(token).handed_over.load();
  if (waiting >= kMostHandedOver) return false;
  return !budget_->full() || (waiting == 0 && token == head_.load() && loose_count_.load() == 0);
}

// Whether the token may enter the stage now. If not, it was parked and is no longer in hand.
bool Engine::Admit(Worker& worker, int64_t token, size_t stage, bool granted) {
  Cell& cell = *stages_[stage];
  const bool in_hand = !worker.items.empty() || worker.rest_ != nullptr;
  if (in_hand && (cell.grows || SlotOf(token).parts) && !MayGrow(token)) {
    Starve(worker, token, stage, granted);
    return false;
  }
  return granted || cell.mode == Mode::kParallel || EnterGate(worker, cell, token, stage);
}

// What is left of the token at its deepest frame is in hand again.
size_t Engine::TakeUpFrame(Worker& worker, int64_t token) {
  std::vector<Frame>& frames = SlotOf(token).frames;
  Frame frame = std::move(frames.back());
  frames.pop_back();
  worker.rest_ = std::move(frame.rest);
  worker.items = std::move(frame.items);
  worker.finishing = frame.finishing;
  worker.back = frame.back;
  return frame.stage;
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
  if (MayGrow(token)) NotifyWork();
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
  if (cell.owner == token) return true;
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
    cell.owner = -1;
    next = NextInGate(cell, stage);
    cell.busy = next >= 0;
    if (next >= 0) SlotOf(next).granted = true;
  }
  if (next >= 0) PushReady(next);
}

// The token will come back: in order nobody else may enter before it has, else anybody may.
void Engine::KeepGate(Cell& cell, size_t stage, int64_t token) {
  if (cell.mode == Mode::kSerialOutOfOrder) return LeaveGate(cell, stage, false);
  const std::lock_guard lock(cell.mutex);
  cell.owner = token;
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

// Makes what is in hand into what the stage emits of it; what it has not come to becomes a frame of
// the token.
Status Engine::RunStage(Worker& worker, int64_t token, size_t stage) {
  Cell& cell = *stages_[stage];
  Slot& slot = SlotOf(token);
  const bool back = std::exchange(worker.back, false);
  bool finishing = std::exchange(worker.finishing, false);
  const auto finishes = [&] {
    return slot.last && !finishing && cell.mode != Mode::kParallel && slot.frames.empty() &&
           slot.error == nullptr;
  };
  if (worker.items.empty() && worker.rest_ == nullptr && !finishes()) return Status::Ok();
  StageCounters& counters = worker.counters[stage + 1];
  for (const Item& item : worker.items) Count(counters.nbytes, item->nbytes());
  worker.out_.clear();
  size_t processed = 0;
  Status status;
  try {
    status = ProcessItems(worker, *cell.run, &processed);
    const bool is_done = worker.rest_ == nullptr && processed == worker.items.size();
    if (status.ok() && is_done && finishes()) {
      finishing = true;
      status = cell.run->Finish(worker);
    }
  } catch (const std::bad_alloc&) {
    status = Status::Memory("out of memory");
  } catch (const std::exception& error) {
    status = Status(base::Code::kRuntime, error.what());
  }
  worker.items.erase(worker.items.begin(),
                     worker.items.begin() + static_cast<ptrdiff_t>(processed));
  if (status.ok() && (worker.rest_ != nullptr || !worker.items.empty())) {
    slot.frames.push_back(
        {stage, std::move(worker.rest_), std::move(worker.items), finishing, back});
  }
  worker.rest_ = nullptr;
  worker.items.clear();
  worker.items.swap(worker.out_);
  Count(counters.items, static_cast<int64_t>(processed));
  Count(counters.items_out, static_cast<int64_t>(worker.items.size()));
  const int64_t begun = worker.now;
  worker.now = Now();
  const int64_t busy = worker.now - begun + std::exchange(worker.elsewhere_ns, 0);
  Count(counters.busy_ns, busy);
  Count(counters.times[TimeBuckets::Of(busy)], 1);
  if (worker.trace) {
    worker.trace->Add({TraceEvent::Kind::kStage, static_cast<int64_t>(stage) + 1, worker.item_,
                       begun, worker.now});
  }
  if (worker.attached_ns_ != 0) {
    Count(counters.attached_ns, std::exchange(worker.attached_ns_, 0));
  }
  return status;
}

// Until all are done or enough came of them; at least one step.
Status Engine::ProcessItems(Worker& worker, StageRun& run, size_t* processed) {
  do {
    if (const std::unique_ptr<Rest> rest = std::move(worker.rest_); rest != nullptr) {
      SPANFLOW_TRY(rest->Continue(worker));
    } else if (*processed < worker.items.size()) {
      SPANFLOW_TRY(run.Process(std::move(worker.items[(*processed)++]), worker));
    } else {
      break;
    }
    if (worker.end_here_) {
      worker.rest_ = nullptr;
      *processed = worker.items.size();
    }
  } while (worker.rest_ == nullptr && !worker.Enough());
  return Status::Ok();
}

// Hands the items to the stage's own threads; then the token is not in hand any more.
Status Engine::SendAway(Worker& worker, int64_t token, size_t stage) {
  Cell& cell = *stages_[stage];
  ServedRun* const served = cell.run->AsServed();
  const std::shared_ptr<Calls> calls = cell.calls;
  for (Item& item : worker.items) {
    if (Status status = served->Pack(&item, worker); !status.ok()) {
      worker.items.clear();
      return status;
    }
  }
  if (worker.attached_ns_ != 0) {
    Count(worker.counters[stage + 1].attached_ns, std::exchange(worker.attached_ns_, 0));
  }
  Items items;
  items.swap(worker.items);
  worker.items.resize(items.size());
  Park(worker, token, stage, Phase::kAway);
  Slot& slot = SlotOf(token);
  slot.granted = cell.mode != Mode::kParallel;  // the token keeps its turn
  slot.away.store(items.size());
  // With the last of them the token may be back, and gone.
  for (size_t i = 0; i < items.size(); ++i) calls->Put({token, i, std::move(items[i])});
  return Status::Ok();
}

// Called with the calls' mutex held: nothing here may stop them, wait, or drop what is Python's.
void Engine::TakeBack(size_t stage, Call call) {
  Slot& slot = SlotOf(call.token);
  slot.items[call.place] = std::move(call.item);
  slot.elsewhere_ns.fetch_add(call.elapsed_ns);
  slot.attached_ns.fetch_add(call.attached_ns);
  const int64_t usual = call_ns_.load(std::memory_order_relaxed);
  call_ns_.store(usual + (call.elapsed_ns - usual) / 8, std::memory_order_relaxed);
  if (slot.away.fetch_sub(1) > 1) return;
  slot.back = true;
  slot.parked_at = Now();
  slot.Set(Phase::kParked, stage);
  PushReady(call.token);
}

// The token lies before `stage` from now on; whoever takes it up next finds its items in its slot.
void Engine::Park(Worker& worker, int64_t token, size_t stage, Phase phase) {
  Slot& slot = SlotOf(token);
  slot.items.swap(worker.items);
  worker.items.clear();
  slot.rest = std::move(worker.rest_);
  slot.finishing = std::exchange(worker.finishing, false);
  slot.back = std::exchange(worker.back, false);
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
  const bool may_starved = !starved_.empty() && MayGrow(starved_.front()) &&
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
  worker.elsewhere_ns = slot.elsewhere_ns.exchange(0);
  worker.attached_ns_ = slot.attached_ns.exchange(0);
  worker.items.clear();
  worker.items.swap(slot.items);
  worker.rest_ = std::move(slot.rest);
  worker.finishing = slot.finishing;
  worker.back = slot.back;
  slot.Set(Phase::kWalking);
  worker.now = Now();
  Count(worker.counters[stage + 1].wait_ns, worker.now - slot.parked_at);
  if (worker.trace) {
    worker.trace->Add({TraceEvent::Kind::kWait, static_cast<int64_t>(stage) + 1, token,
                       slot.parked_at, worker.now});
  }
  Walk(worker, token, stage, granted);
  worker.elsewhere_ns = 0;  // of a token that was dropped
  worker.attached_ns_ = 0;
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

// The token fails before any stage.
void Engine::Fail(Worker& worker, int64_t token, const std::string& stage, Status status) {
  worker.items.clear();
  if (NoteError(worker, token, stage, std::move(status))) Complete(worker, token);
}

// The token ends with this error, behind what is in hand. False: the run ends at once.
bool Engine::NoteError(Worker& worker, int64_t token, const std::string& stage, Status status) {
  Slot& slot = SlotOf(token);
  slot.frames.clear();
  worker.end_here_ = false;
  auto error = std::make_unique<Error>();
  error->status = std::move(status);
  error->exception = std::move(worker.exception_);
  error->stage = stage;
  error->item = slot.last ? -1 : token;
  if (std::exchange(worker.urgent_, false)) {
    worker.items.clear();
    FailNow(std::move(error));
    return false;
  }
  StopAt(token);
  slot.error = std::move(error);
  return true;
}

}  // namespace spanflow::pipeline
