// Slot: what one thread has while it takes part in a scheduler: its tasks, its open groups and its
// figures. Workers have one each; other threads borrow one for the time of a call.
//
// Owns: its deque and its lineages; stays in memory as long as its scheduler.
// Threads: the thread that has it writes; tasks may be stolen and figures read by any.
// Attached: not needed. Fails: std::bad_alloc when it cannot grow.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>

#include "runtime/steal_deque.h"
#include "runtime/task.h"

namespace spanflow::runtime {

class Scheduler;

struct WorkerStats {
  int64_t done = 0;     // tasks
  int64_t stolen = 0;   // of these from another thread's deque
  int64_t busy_ns = 0;  // time with tasks
  int64_t idle_ns = 0;  // time without, asleep or looking for some
};

// Counts of one thread, and how long it was busy and idle.
class Figures {
 public:
  void CountTask() { Add(done_, 1); }
  void CountStolen() { Add(stolen_, 1); }
  void Start(bool busy) {
    busy_.store(busy, std::memory_order_relaxed);
    since_.store(Now(), std::memory_order_relaxed);
  }
  void Switch(bool busy) {
    const int64_t now = Now();
    Add(busy_.load(std::memory_order_relaxed) ? busy_ns_ : idle_ns_,
        now - since_.load(std::memory_order_relaxed));
    busy_.store(busy, std::memory_order_relaxed);
    since_.store(now, std::memory_order_relaxed);
  }
  void Stop() {
    Switch(false);
    since_.store(0, std::memory_order_relaxed);
  }

  WorkerStats Read() const {
    WorkerStats stats{Get(done_), Get(stolen_), Get(busy_ns_), Get(idle_ns_)};
    if (const int64_t since = Get(since_); since != 0) {
      (busy_.load(std::memory_order_relaxed) ? stats.busy_ns : stats.idle_ns) += Now() - since;
    }
    return stats;
  }

 private:
  using Count = std::atomic<int64_t>;
  static int64_t Now() {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  static int64_t Get(const Count& count) { return count.load(std::memory_order_relaxed); }
  static void Add(Count& count, int64_t more) {  // one writer: no locked instruction
    count.store(Get(count) + more, std::memory_order_relaxed);
  }

  Count done_{0}, stolen_{0}, busy_ns_{0}, idle_ns_{0};
  Count since_{0};  // of what it is doing now; 0: there is no thread
  std::atomic<bool> busy_{false};
};

struct alignas(64) Slot {
  Slot(Scheduler* of, bool for_worker, int nth)
      : scheduler(of),
        is_worker(for_worker),
        number(nth),
        dice(static_cast<uint32_t>(nth) * 2654435761u) {}

  // Groups are opened and closed like brackets.
  Lineage* OpenLineage() {
    if (open == lineages.size()) lineages.emplace_back();
    Lineage* const lineage = &lineages[open++];
    lineage->Open(running);
    return lineage;
  }
  void CloseLineage() { --open; }

  Scheduler* const scheduler;
  const bool is_worker;
  const int number;
  StealDeque tasks;
  const Lineage* running = nullptr;  // of the task in hand
  std::deque<Lineage> lineages;      // never move
  size_t open = 0;
  uint32_t dice;  // where the next search begins
  Figures figures;
  std::atomic<bool> taken{false};  // a guest's

  // A worker's, under the scheduler's mutex.
  bool has_thread = false;
  bool called = false;  // out of its sleep
  std::condition_variable call;
};

}  // namespace spanflow::runtime
