// The threads of a scheduler: how they start, work, sleep and end.
#include <algorithm>
#include <new>
#include <utility>

#include "platform/thread.h"
#include "runtime/scheduler.h"
#include "runtime/spin.h"

namespace spanflow::runtime {
namespace {

// A worker that nobody needed for so long ends.
constexpr std::chrono::seconds kSparePatience{5};

}  // namespace

Slot* Scheduler::FreeWorkerSlotLocked() {
  const int known = num_workers();
  for (int i = 0; i < known; ++i) {
    Slot* const slot = worker_slots_[static_cast<size_t>(i)].load(std::memory_order_relaxed);
    if (!slot->has_thread) return slot;
  }
  if (known == kMaxThreads) return nullptr;
  auto* const slot = new Slot(this, true, known + 1);
  worker_slots_[static_cast<size_t>(known)].store(slot, std::memory_order_release);
  num_workers_.store(known + 1, std::memory_order_release);
  return slot;
}

bool Scheduler::StartWorkerLocked() try {
  Slot* const slot = FreeWorkerSlotLocked();
  if (slot == nullptr) return false;
  auto thread = platform::Thread::Start(options_.name + "-" + std::to_string(slot->number),
                                        [self = shared_from_this(), slot] {
                                          if (self->options_.pin) {
                                            platform::PinThisThread(slot->number);
                                          }
                                          self->ThreadMain(*slot);
                                        });
  if (!thread.ok()) return false;
  thread->Detach();
  slot->has_thread = true;
  ++threads_;
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void Scheduler::ThreadMain(Slot& slot) {
  here = &slot;
  slot.figures.Start(false);
  bool worked = false;
  const auto work = [&] {
    worked = true;
    WorkerLoop(slot);
  };
  if (options_.around) {
    options_.around(work);
  } else {
    work();
  }
  slot.figures.Stop();
  {
    const std::lock_guard lock(mutex_);
    slot.has_thread = false;
    --threads_;
    if (!worked) {
      awake_.fetch_sub(1);
      searching_.fetch_sub(1);
    }
  }
  changed_.notify_all();
}

// Begins, as whoever wakes a worker counts it, awake and searching.
void Scheduler::WorkerLoop(Slot& slot) {
  for (;;) {
    if (const Entry entry = Search(slot)) {
      WorkUntilIdle(slot, entry);
      searching_.fetch_add(1);
    } else if (!Sleep(slot)) {
      return;
    }
  }
}

void Scheduler::WorkUntilIdle(Slot& slot, Entry entry) {
  slot.figures.Switch(true);
  do {
    RunTask(slot, entry);
  } while (!Surplus(slot) && (entry = Find(slot, nullptr)));
  slot.figures.Switch(false);
}

// Looks for a moment. Whoever finds something and was the last to look wakes another one if there
// is more: so work that lies about always has somebody coming for it. Surplus workers look for
// nothing.
Entry Scheduler::Search(Slot& slot) {
  Entry entry;
  const auto over = [&] { return Surplus(slot) || (entry = Find(slot, nullptr)); };
  Spin(over, spin_rounds());
  if (entry && searching_.fetch_sub(1) == 1 && AnyWork()) Notify(1);
  return entry;
}

// False when the thread is to end. Otherwise the worker is awake and searching again.
bool Scheduler::Sleep(Slot& slot) {
  std::unique_lock lock(mutex_);
  searching_.fetch_sub(1);
  awake_.fetch_sub(1);
  if (AnyWork()) {
    if (awake_.load() < limit()) {
      awake_.fetch_add(1);
      searching_.fetch_add(1);
      return true;
    }
    ++looked_for_;  // too many workers are awake; whoever waits for that work may do it
    changed_.notify_all();
  }
  if (stopping_) return false;
  asleep_.push_back(&slot);
  return AwaitCall(slot, lock);
}

// Whoever calls a worker has counted it as awake and searching.
bool Scheduler::AwaitCall(Slot& slot, std::unique_lock<std::mutex>& lock) {
  const auto over = [&] { return slot.called || stopping_; };
  while (!slot.call.wait_for(lock, kSparePatience, over) && threads_ <= limit()) {
  }
  if (std::exchange(slot.called, false)) return true;
  std::erase(asleep_, &slot);
  return false;
}

// ---- the end

void Scheduler::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    for (Slot* slot : asleep_) slot->call.notify_one();
  }
}

std::vector<Task*> Scheduler::TakeTasks() {
  std::vector<Task*> tasks;
  {
    const std::lock_guard lock(mutex_);
    for (size_t i = 0; i < shared_.size(); ++i) {
      for (const Entry& entry : shared_[i]) tasks.push_back(entry.task);
      shared_[i].clear();
      num_shared_[i].store(0);
    }
  }
  for (int i = 0; i < num_workers(); ++i) {
    StealDeque& deque = worker_slots_[static_cast<size_t>(i)].load()->tasks;
    while (!deque.empty()) {
      if (const Entry entry = deque.Steal([](const Lineage*) { return true; }))
        tasks.push_back(entry.task);
    }
  }
  return tasks;
}

bool Scheduler::AwaitEnd(std::chrono::nanoseconds time) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [this] { return threads_ == 0; });
}

std::vector<WorkerStats> Scheduler::Stats() const {
  std::vector<WorkerStats> stats;
  for (int i = 0; i < num_workers(); ++i) {
    stats.push_back(worker_slots_[static_cast<size_t>(i)].load()->figures.Read());
  }
  return stats;
}

int Scheduler::threads() const {
  const std::lock_guard lock(mutex_);
  return threads_;
}

}  // namespace spanflow::runtime
