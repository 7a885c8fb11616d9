// Starting tokens: who may, how many at once, and with which credits.

#include <algorithm>
#include <exception>
#include <new>

#include "pipeline/engine.h"

namespace spanflow::pipeline {
namespace {

using base::Status;

// Tiny items are started several at a time, so that taking turns at the source costs less than the
// work; as soon as an item takes longer than this, each goes alone.
constexpr int64_t kLeaseTarget = 20'000;  // ns
constexpr int kMaxLease = 64;
// A lease that turns out to take this long gives the rest away.
constexpr int64_t kLeaseLimit = 200'000;  // ns

}  // namespace

bool Engine::CanStart() {
  if (stop_.load() != kNever) return false;
  const int64_t tail = tail_.load();
  const bool at_end = tail >= end_.load();
  if (at_end && end_started_.load()) return false;
  if (!at_end && source_mode_ != Mode::kParallel) {
    source_wanted_.store(true);
    if (source_busy_.load()) return false;
  }
  tokens_wanted_.store(true);
  const int64_t alive = Alive();
  if (alive >= limit_.load()) return false;
  if (at_end || alive == 0) return true;
  budget_->wanted.store(true);
  return budget_->Fits(next_bytes_.load());
}

// Takes the right to start tokens: their numbers (parallel source) or the source (serial).
bool Engine::TakeLease(Worker& worker, Lease* lease) {
  const std::lock_guard lock(start_mutex_);
  if (stop_.load() != kNever) return false;
  const int64_t tail = tail_.load();
  const int64_t end = end_.load();
  const int64_t alive = Alive();
  const int64_t room = limit_.load() - alive;
  if (room <= 0) return false;
  lease->first = tail;
  if (tail >= end) {
    if (end_started_.exchange(true)) return false;
    lease->last = true;
    lease->count = 1;
  } else if (source_mode_ == Mode::kParallel) {
    lease->count = TakeCredits(worker, std::min({int64_t{worker.lease}, room, end - tail}));
  } else {
    if (source_busy_.load() || (alive > 0 && budget_->full())) return false;
    source_busy_.store(true);
    lease->count = std::min(int64_t{worker.lease}, room);
    return true;
  }
  tail_.store(tail + lease->count);
  tokens_peak_.store(std::max(tokens_peak_.load(), alive + lease->count));
  return lease->count > 0;
}

// Credits for the next items of a parallel source, as many as fit; at least one while nothing else
// is alive.
int64_t Engine::TakeCredits(Worker& worker, int64_t wanted) {
  const int64_t tail = tail_.load();
  worker.credits.clear();
  next_bytes_.store(0);
  for (int64_t i = 0; i < wanted; ++i) {
    const int64_t nbytes = source_->BytesOf(tail + i);
    if (!budget_->TryTake(nbytes)) {
      next_bytes_.store(nbytes);
      if (i > 0 || Alive() > 0) break;
      budget_->Take(nbytes);
    }
    worker.credits.push_back(nbytes);
  }
  return static_cast<int64_t>(worker.credits.size());
}

bool Engine::StartTokens(Worker& worker) {
  // The consumer asks a source that may wait only while there is nothing else to wait for.
  if (source_may_wait_ && worker.caller_ != nullptr && tail_.load() != head_.load()) return false;
  Lease lease;
  if (!CanStart() || !TakeLease(worker, &lease)) return false;
  if (CanStart()) work_.NotifyOne();  // there is room for another thread too
  worker.now = Now();
  if (lease.last) {
    Slot& slot = SlotOf(lease.first);
    slot.Set(Phase::kWalking);
    slot.last = true;
    worker.items.clear();
    Walk(worker, lease.first, end_stage_, false);
    return true;
  }
  const int64_t begun = worker.now;
  if (ProduceInto(worker, &lease)) WalkLease(worker, lease);
  AdaptLease(worker, lease.count, worker.now - begun);
  return true;
}

// Fills worker.batch with lease->count items; a failure of the source becomes a token too.
bool Engine::ProduceInto(Worker& worker, Lease* lease) {
  worker.batch.clear();
  worker.batch.resize(static_cast<size_t>(lease->count));
  worker.Enter(lease->first, 0);
  Produced produced;
  Status status;
  try {
    const Request request{lease->first, worker.batch,
                          std::max<int64_t>(budget_->limit() - budget_->used(), 1)};
    status = source_->Produce(request, &produced, worker);
  } catch (const std::bad_alloc&) {
    status = Status::Memory("out of memory in " + source_name_);
  } catch (const std::exception& error) {
    status = Status(base::Code::kRuntime, error.what());
  }
  Charge(worker, produced.count);  // before another thread asks the source for as much as is free
  if (source_mode_ != Mode::kParallel) ReturnSource(produced, !status.ok(), lease);
  for (int64_t i = 0; i < lease->count; ++i) SlotOf(lease->first + i).Set(Phase::kWalking);

  StageCounters& counters = worker.counters[0];
  const int64_t begun = worker.now;
  worker.now = Now();
  Count(counters.busy_ns, worker.now - begun);
  const int64_t each = (worker.now - begun) / std::max<int64_t>(produced.count, 1);
  Count(counters.times[TimeBuckets::Of(each)], produced.count);
  Count(counters.attached_ns, std::exchange(worker.attached_ns_, 0));
  if (worker.trace) {
    worker.trace->Add({TraceEvent::Kind::kStage, 0, lease->first, begun, worker.now});
    worker.trace->Add(Level());
  }
  Count(counters.items, produced.count);
  Count(counters.items_out, produced.count);
  if (status.ok()) return lease->count > 0;

  // The item that could not be had is an item with an error; those behind it do not exist.
  const int64_t failed = lease->first + produced.count;
  if (source_mode_ == Mode::kParallel) {
    for (int64_t i = produced.count; i < lease->count; ++i) {
      budget_->Give(worker.credits[static_cast<size_t>(i)]);
    }
  }
  Fail(worker, failed, source_name_, std::move(status));
  lease->count = produced.count;
  return lease->count > 0;
}

// Gives the serial source to the next thread and numbers what it brought.
void Engine::ReturnSource(const Produced& produced, bool failed, Lease* lease) {
  {
    const std::lock_guard lock(start_mutex_);
    lease->first = tail_.load();
    lease->count = produced.count + (failed ? 1 : 0);
    tail_.store(lease->first + lease->count);
    const int64_t alive = tail_.load() - head_.load();
    tokens_peak_.store(std::max(tokens_peak_.load(), alive));
    if (produced.end || closed_) end_.store(tail_.load());
    source_busy_.store(false);
  }
  if (source_wanted_.exchange(false)) NotifyWork();
}

// Gives the items of the batch their credits.
void Engine::Charge(Worker& worker, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    Item& item = worker.batch[static_cast<size_t>(i)];
    const int64_t nbytes = item->nbytes();
    Count(worker.counters[0].nbytes, nbytes);
    const int64_t taken =
        source_mode_ == Mode::kParallel ? worker.credits[static_cast<size_t>(i)] : 0;
    if (taken > 0)
      item->credit = Credit::Adopt(budget_, taken);
    else if (nbytes > 0)
      item->credit = Credit::Take(budget_, nbytes);
  }
}

void Engine::WalkLease(Worker& worker, const Lease& lease) {
  const int64_t begun = worker.now;
  for (int64_t i = 0; i < lease.count; ++i) {
    const int64_t token = lease.first + i;
    Item& item = worker.batch[static_cast<size_t>(i)];
    const int64_t nbytes = item->nbytes();
    Status status = budget_->CheckItem(nbytes);
    worker.items.clear();
    worker.items.push_back(std::move(item));
    if (!status.ok()) {
      Fail(worker, token, source_name_, std::move(status));
    } else if (nbytes > kLargeItem && LeaveToOthers(worker, token, 0)) {
      continue;
    } else if (i > 0 && worker.now - begun > kLeaseLimit) {
      Park(worker, token, 0, Phase::kParked);  // longer than thought: another thread may be free
      PushReady(token);
    } else {
      Walk(worker, token, 0, false);
    }
  }
}

void Engine::AdaptLease(Worker& worker, int64_t count, int64_t elapsed) {
  int64_t each = elapsed / std::max<int64_t>(count, 1) + 1;
  if (places_ > 0) each += call_ns_.load(std::memory_order_relaxed);  // it went on elsewhere
  const int64_t wanted = std::clamp<int64_t>(kLeaseTarget / each, 1, 2 * worker.lease);
  int64_t most = kMaxLease;
  if (limit_is_fixed_) {
    most = places_ > 0 ? 1 : std::max<int64_t>(limit_.load() / (2 * threads_), 1);
  }
  worker.lease = static_cast<int>(std::min(wanted, most));
  if (limit_is_fixed_ || worker.lease == 1) return;
  // Room for every thread's lease, one in hand and one waiting for the consumer.
  const int64_t room =
      std::min<int64_t>(3 * threads_ * worker.lease, static_cast<int64_t>(ring_.size()));
  if (room > limit_.load()) limit_.store(room);
}

}  // namespace spanflow::pipeline
