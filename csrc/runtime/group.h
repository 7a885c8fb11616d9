// TaskGroup: tasks that are waited for together; GroupScope and FirstFailure, what groups and loops
// are made of.
//
// Owns: a group waits for its tasks before it goes away. Groups of one thread are made and
// destroyed like brackets.
// Threads: Spawn may be called by the thread that made the group, by its tasks and by what these
// spawn, Cancel by any; Wait by the thread that made it.
// Attached: not needed; never while it waits. Fails: Wait rethrows the first exception of a task;
// tasks not yet begun are skipped then.
#pragma once

#include <atomic>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "runtime/cancel.h"
#include "runtime/scheduler.h"

namespace spanflow::runtime {

// The first exception of several threads.
class FirstFailure {
 public:
  bool failed() const { return failed_.load(std::memory_order_relaxed); }
  // Inside of a catch block.
  void Keep() noexcept {
    if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
  }
  // After all threads have left. Forgets it.
  void Rethrow() {
    failed_.store(false, std::memory_order_relaxed);
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
};

// An open lineage in the calling thread's slot.
class GroupScope {
 public:
  explicit GroupScope(Slot& slot) : slot_(slot), lineage_(slot.OpenLineage()) {}
  ~GroupScope() { slot_.CloseLineage(); }
  GroupScope(const GroupScope&) = delete;
  GroupScope& operator=(const GroupScope&) = delete;

  Scheduler& scheduler() const { return *slot_.scheduler; }
  Slot& slot() const { return slot_; }
  const Lineage& lineage() const { return *lineage_; }

  // Work of the group that this thread does itself: groups opened in it come from this one.
  template <class Work>
  void Enter(Work&& work) {
    const Lineage* const before = std::exchange(slot_.running, lineage_);
    work();
    slot_.running = before;
  }

 private:
  Slot& slot_;
  const Lineage* const lineage_;
};

class TaskGroup {
 public:
  explicit TaskGroup(Priority priority = Priority::kNormal, const CancelToken* cancel = nullptr);
  ~TaskGroup();  // cancels and waits
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Runs function() on some thread, this one at the latest in Wait.
  template <class Function>
  void Spawn(Function&& function) {
    auto* const task = new Spawned<std::decay_t<Function>>(this, std::forward<Function>(function));
    pending_.fetch_add(1, std::memory_order_relaxed);
    Start(task);
  }

  // Helps with the group's tasks and what these wait for until all are done.
  void Wait();

  void Cancel() { cancel_.Cancel(); }
  // For long tasks to ask: the group was cancelled, failed, or its token was cancelled.
  bool cancelled() const { return failure_.failed() || cancel_.cancelled(); }

 private:
  template <class Function>
  class Spawned final : public Task {
   public:
    template <class From>
    Spawned(TaskGroup* group, From&& function)
        : group_(group), function_(std::forward<From>(function)) {}

    void Run() noexcept override {
      TaskGroup* const group = group_;
      if (!group->cancelled()) {
        try {
          function_();
        } catch (...) {
          group->failure_.Keep();
        }
      }
      delete this;  // what the function holds may be the waiter's
      group->Finish();
    }

   private:
    TaskGroup* const group_;
    Function function_;
  };

  void Start(Task* task);
  void Finish();
  void Await();

  const Seat seat_;
  std::optional<GroupScope>
      scope_;  // none: there was no seat, and tasks run where they are spawned
  const Priority priority_;
  CancelToken cancel_;
  std::atomic<int64_t> pending_{0};
  FirstFailure failure_;
};

}  // namespace spanflow::runtime
