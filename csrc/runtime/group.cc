#include "runtime/group.h"

#include "runtime/pool.h"

namespace spanflow::runtime {

TaskGroup::TaskGroup(Priority priority, const CancelToken* cancel)
    : seat_(Pool()), priority_(priority), cancel_(cancel) {
  if (seat_.slot() != nullptr) scope_.emplace(*seat_.slot());
}

TaskGroup::~TaskGroup() {
  Cancel();
  Await();
}

void TaskGroup::Start(Task* task) {
  const bool queued = scope_ && scope_->scheduler().Submit({task, &scope_->lineage()}, priority_);
  if (!queued) task->Run();
}

void TaskGroup::Finish() {
  if (!scope_) {
    pending_.fetch_sub(1);
    return;
  }
  Scheduler& scheduler = scope_->scheduler();
  if (pending_.fetch_sub(1) == 1) scheduler.Finished();  // the group may be gone now
}

void TaskGroup::Await() {
  if (!scope_) return;
  scope_->scheduler().HelpUntil(scope_->slot(), scope_->lineage(),
                                [this] { return pending_.load() == 0; });
}

void TaskGroup::Wait() {
  Await();
  failure_.Rethrow();
}

}  // namespace spanflow::runtime
