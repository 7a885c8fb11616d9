// ParallelFor: one index space in as many strands as the call may use threads.
#include <algorithm>
#include <atomic>
#include <memory>
#include <new>

#include "runtime/group.h"
#include "runtime/pool.h"
#include "runtime/scheduler.h"

namespace spanflow::runtime {
namespace {

struct LoopOptions {
  int64_t n;
  int64_t grain;
  bool whole_ranges;  // the body takes several runs at once
  int limit;          // strands
  const CancelToken* cancel;
};

// Runs of the index space are done by strands, each of which goes through its own range in order.
// The loop always has as many strands as it may use threads: when one comes to its end, another
// cuts the second half of its range off and lets it lie for whoever is free. So a range is cut only
// when somebody could use it, and what nobody takes is done by the thread that cut it.
class Loop {
  // A thread's share in whole ranges: so many that the last ones, which cannot be divided any more,
  // make no difference, and so few that a call for each costs nothing.
  static constexpr int64_t kPieces = 128;

 public:
  Loop(const LoopOptions& options, FunctionRef<void(int64_t, int64_t)> body)
      : options_(options),
        runs_((options.n - 1) / options.grain + 1),
        piece_(options.whole_ranges ? std::max<int64_t>(runs_ / (options.limit * kPieces), 1) : 1),
        body_(body) {}

  // Everything, on the calling thread alone.
  void DoAlone() { Strand(0, runs_); }

  void DoTogether(Slot& slot) {
    Scheduler& pool = *slot.scheduler;
    GroupScope scope(slot);
    scope_ = &scope;
    const int lent = std::max(options_.limit - 1 - pool.workers(), 0);
    if (lent > 0) pool.Lend(lent);
    const int64_t end = Begin(slot);
    scope.Enter([this, end] { Strand(0, end); });
    strands_.fetch_sub(1);
    pool.HelpUntil(slot, scope.lineage(), [this] { return strands_.load() == 0; });
    if (lent > 0) pool.Return(lent);
  }

  void Rethrow() { failure_.Rethrow(); }

 private:
  class StrandTask;

  int64_t FirstRun(int64_t part) const {
    return runs_ / options_.limit * part + std::min<int64_t>(runs_ % options_.limit, part);
  }
  int64_t Begin(Slot& slot);
  void Strand(int64_t begin, int64_t end);
  int64_t Split(int64_t begin, int64_t end);
  void Do(int64_t begin, int64_t end);
  bool Stopped() const {
    return failure_.failed() || (options_.cancel != nullptr && options_.cancel->cancelled());
  }

  const LoopOptions options_;
  const int64_t runs_;
  const int64_t piece_;  // runs for one call of the body
  const FunctionRef<void(int64_t, int64_t)> body_;
  GroupScope* scope_ = nullptr;  // null: alone
  std::atomic<int> strands_{1};  // that have not ended
  FirstFailure failure_;
};

class Loop::StrandTask final : public Task {
 public:
  StrandTask(Loop* loop, int64_t begin, int64_t end) : loop_(loop), begin_(begin), end_(end) {}

  void Run() noexcept override {
    Loop* const loop = loop_;
    Scheduler& pool = loop->scope_->scheduler();
    loop->Strand(begin_, end_);
    delete this;
    if (loop->strands_.fetch_sub(1) == 1) pool.Finished();  // the loop may be gone now
  }

 private:
  Loop* const loop_;
  const int64_t begin_;
  const int64_t end_;
};

// Equal parts for all, the caller's neighbour on top. Returns the end of the caller's own, which is
// larger where memory for the others is short.
int64_t Loop::Begin(Slot& slot) {
  strands_.store(options_.limit, std::memory_order_relaxed);
  int part = options_.limit - 1;
  try {
    for (; part > 0; --part) {
      std::unique_ptr<StrandTask> task(new StrandTask(this, FirstRun(part), FirstRun(part + 1)));
      slot.tasks.Push({task.get(), &scope_->lineage()});
      task.release();
    }
  } catch (const std::bad_alloc&) {
    strands_.fetch_sub(part);
  }
  slot.scheduler->Announce(options_.limit - 1 - part);
  return FirstRun(part + 1);
}

void Loop::Strand(int64_t begin, int64_t end) {
  while (begin < end && !Stopped()) {
    if (end - begin > piece_ && strands_.load(std::memory_order_relaxed) < options_.limit &&
        scope_ != nullptr) {
      end = Split(begin, end);
    }
    const int64_t next = std::min(begin + piece_, end);
    Do(begin, next);
    begin = next;
  }
}

// The new end of this strand.
int64_t Loop::Split(int64_t begin, int64_t end) {
  if (strands_.fetch_add(1) >= options_.limit) {
    strands_.fetch_sub(1);  // not the last one: this strand counts
    return end;
  }
  const int64_t middle = begin + (end - begin + 1) / 2;
  std::unique_ptr<StrandTask> half(new (std::nothrow) StrandTask(this, middle, end));
  if (half && scope_->scheduler().Submit({half.get(), &scope_->lineage()})) {
    half.release();
    return middle;
  }
  strands_.fetch_sub(1);
  return end;
}

void Loop::Do(int64_t begin, int64_t end) {
  try {
    body_(begin * options_.grain, end == runs_ ? options_.n : end * options_.grain);
  } catch (...) {
    failure_.Keep();
  }
}

void Run(LoopOptions options, FunctionRef<void(int64_t, int64_t)> body, int max_threads) {
  if (options.n <= 0) return;
  options.grain = std::max<int64_t>(options.grain, 1);
  const int64_t runs = (options.n - 1) / options.grain + 1;
  const int most = max_threads > 0 ? std::min(max_threads, kMaxThreads) : NumThreads();
  options.limit = static_cast<int>(std::min<int64_t>(most, runs));
  Loop loop(options, body);
  if (options.limit == 1) {
    loop.DoAlone();
  } else {
    const Seat seat(Pool());
    if (seat.slot() == nullptr) {
      loop.DoAlone();
    } else {
      loop.DoTogether(*seat.slot());
    }
  }
  loop.Rethrow();
}

}  // namespace

void ParallelFor(int64_t n, int64_t grain, FunctionRef<void(int64_t begin, int64_t end)> body,
                 int max_threads, const CancelToken* cancel) {
  Run({n, grain, false, 1, cancel}, body, max_threads);
}

void ParallelForRanges(int64_t n, int64_t grain, FunctionRef<void(int64_t begin, int64_t end)> body,
                       int max_threads, const CancelToken* cancel) {
  Run({n, grain, true, 1, cancel}, body, max_threads);
}

}  // namespace spanflow::runtime
