// Scheduler: threads that take tasks from each other, sleep when there are none, and are lent out
// when one of them has to wait.
//
// Every worker has a deque of its own; tasks from other threads, and those of low priority, lie in
// two queues that all share. A worker takes its own first, then shared ones, then others', then
// those of low priority. README.md says why nothing is forgotten and nothing gets stuck.
//
// Owns: its threads and slots; tasks until they are run. Threads that are still running keep the
// scheduler alive. Threads: thread-safe. Attached: not needed; never while it waits.
// Fails: with no more threads to be had it works with those it has; Submit is false where there is
// no memory for one more entry.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/function_ref.h"
#include "runtime/pool.h"
#include "runtime/slot.h"
#include "runtime/spin.h"
#include "runtime/task.h"

namespace spanflow::runtime {

struct SchedulerOptions {
  std::string name;           // of the threads, with a number behind it
  int workers = 1;            // that may be awake at once
  bool oldest_first = false;  // a worker takes its own tasks in the order in which they came
  bool pin = false;           // each worker stays on one core
  // Called on each worker with what it does there; by default just that.
  std::function<void(FunctionRef<void()> work)> around = nullptr;
};

class Scheduler : public std::enable_shared_from_this<Scheduler> {
 public:
  static std::shared_ptr<Scheduler> Make(SchedulerOptions options);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  int workers() const { return workers_.load(std::memory_order_relaxed); }
  void SetWorkers(int n);

  // On a worker of this scheduler or a guest the task goes to its own deque, otherwise, and at low
  // priority, to a shared queue. When false, the task is still the caller's.
  [[nodiscard]] bool Submit(Entry entry, Priority priority = Priority::kNormal) noexcept;

  // The same for `count` entries at once, which a guest or worker has pushed into its own deque.
  void Announce(int count) { Notify(count); }

  // Lets `n` more workers be awake than SetWorkers said, until Return: for a worker that is about
  // to wait, or a call that asks for more threads.
  void Lend(int n);
  void Return(int n);

  // Runs tasks of the lineage, and sleeps while there are none, until done() is true. What makes it
  // true calls Finished afterwards, and may touch nothing of the waiter's any more.
  void HelpUntil(Slot& slot, const Lineage& lineage, FunctionRef<bool()> done);
  void Finished();

  // No more work will come: workers end when there is none left.
  void Stop();
  // Those that nobody has begun.
  std::vector<Task*> TakeTasks();
  // Whether, after Stop, all workers ended in time.
  bool AwaitEnd(std::chrono::nanoseconds time);

  std::vector<WorkerStats> Stats() const;  // one for each worker that there ever was
  int threads() const;                     // workers that exist now
  int64_t queued() const;                  // tasks that nobody has begun

  // Around a fork; the child leaves this scheduler as it is and uses another one.
  void LockForFork() { mutex_.lock(); }
  void UnlockAfterFork() { mutex_.unlock(); }

 private:
  friend class Seat;
  friend class BlockingScope;
  static constexpr int kMaxGuests = 64;

  static constinit thread_local Slot* here;  // the calling thread's, in whichever scheduler

  explicit Scheduler(SchedulerOptions options);

  Slot* TakeGuest();
  int limit() const { return workers_.load() + lent_.load(); }
  int num_workers() const { return num_workers_.load(std::memory_order_acquire); }
  int num_guests() const { return num_guests_.load(std::memory_order_acquire); }
  // Looking into every slot takes longer the more there are.
  int spin_rounds() const {
    return std::max(kSpinRounds * 4 / (4 + num_workers() + num_guests()), 16);
  }

  Entry Find(Slot& slot, const Lineage* within);
  Entry TakeOwn(Slot& slot, const Lineage* within);
  Entry TakeShared(Priority priority, const Lineage* within);
  Entry StealFor(Slot& slot, const Lineage* within);
  bool AnyWork() const;
  template <class Visit>
  bool AnyDeque(Visit visit) const;
  static void RunTask(Slot& slot, Entry entry);

  Entry SleepUntil(Slot& slot, const Lineage& lineage, FunctionRef<bool()> done);
  void Notify(int count);
  void Wake(int count);
  void WakeWaiters();
  bool CallSleeperLocked();
  bool StartWorkerLocked();
  Slot* FreeWorkerSlotLocked();
  void ThreadMain(Slot& slot);
  void WorkerLoop(Slot& slot);
  void WorkUntilIdle(Slot& slot, Entry entry);
  Entry Search(Slot& slot);
  bool Sleep(Slot& slot);
  bool AwaitCall(Slot& slot, std::unique_lock<std::mutex>& lock);
  bool Surplus(const Slot& slot) const { return awake_.load() > limit() && slot.tasks.empty(); }

  const SchedulerOptions options_;
  std::atomic<int> workers_;
  std::atomic<int> lent_{0};

  // Workers are awake or asleep; those awake work or search. Changed under the mutex, but for one
  // case: a worker that finds something while it searches.
  std::atomic<int> awake_{0};
  std::atomic<int> searching_{0};
  std::vector<Slot*> asleep_;  // the last one is called first: its caches are warm
  int threads_ = 0;
  bool stopping_ = false;
  uint64_t looked_for_ = 0;  // how often waiting threads were told to look for work again

  mutable std::mutex mutex_;
  std::condition_variable changed_;  // a group finished, a thread ended, or work came
  std::atomic<int> waiters_{0};      // threads in changed_

  std::array<std::deque<Entry>, 2> shared_;  // by priority; under the mutex
  std::array<std::atomic<int64_t>, 2> num_shared_{};

  std::array<std::atomic<Slot*>, kMaxThreads> worker_slots_{};
  std::array<std::atomic<Slot*>, kMaxGuests> guest_slots_{};
  std::atomic<int> num_workers_{0};
  std::atomic<int> num_guests_{0};
};

// The calling thread's place in a scheduler for as long as the scope lasts: its own if it is a
// worker or has one already, else a guest's. There are 64 guests; with more calls at once than
// that, slot() is null and the caller does its work alone.
class Seat {
 public:
  explicit Seat(Scheduler& scheduler);
  ~Seat();
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

  Slot* slot() const { return slot_; }

 private:
  Slot* const before_;
  Slot* slot_;
  bool guest_ = false;
};

// Around something that waits, a lock or a disk: a worker lends its place to another one meanwhile.
// Does nothing on any other thread.
class BlockingScope {
 public:
  BlockingScope();
  ~BlockingScope();
  BlockingScope(const BlockingScope&) = delete;
  BlockingScope& operator=(const BlockingScope&) = delete;

 private:
  Scheduler* scheduler_ = nullptr;
};

}  // namespace spanflow::runtime
