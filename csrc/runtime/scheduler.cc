#include "runtime/scheduler.h"

#include <algorithm>
#include <new>
#include <utility>

#include "runtime/spin.h"

namespace spanflow::runtime {
namespace {

thread_local int last_guest = 0;  // the place of the guest's slot that this thread had last

struct InLineage {
  const Lineage* within;
  bool operator()(const Lineage* lineage) const {
    return within == nullptr || within->Covers(lineage);
  }
};

}  // namespace

constinit thread_local Slot* Scheduler::here = nullptr;

std::shared_ptr<Scheduler> Scheduler::Make(SchedulerOptions options) {
  return std::shared_ptr<Scheduler>(new Scheduler(std::move(options)));
}

Scheduler::Scheduler(SchedulerOptions options)
    : options_(std::move(options)), workers_(std::clamp(options_.workers, 0, kMaxThreads)) {
  asleep_.reserve(kMaxThreads);
}

Scheduler::~Scheduler() {
  for (Task* task : TakeTasks()) task->Drop();
  for (auto& slot : worker_slots_) delete slot.load();
  for (auto& slot : guest_slots_) delete slot.load();
}

void Scheduler::SetWorkers(int n) {
  workers_.store(std::clamp(n, 0, kMaxThreads));
  if (AnyWork()) Notify(n);
}

bool Scheduler::Submit(Entry entry, Priority priority) noexcept try {
  if (priority == Priority::kNormal && here != nullptr && here->scheduler == this) {
    here->tasks.Push(entry);
  } else {
    const auto queue = static_cast<size_t>(priority);
    const std::lock_guard lock(mutex_);
    shared_[queue].push_back(entry);
    num_shared_[queue].fetch_add(1);
  }
  Notify(1);
  return true;
} catch (const std::bad_alloc&) {
  return false;
}

void Scheduler::Lend(int n) {
  lent_.fetch_add(n);
  if (AnyWork()) Notify(n);
}

void Scheduler::Return(int n) { lent_.fetch_sub(n); }

// ---- finding work

Entry Scheduler::Find(Slot& slot, const Lineage* within) {
  if (Entry entry = TakeOwn(slot, within)) return entry;
  if (Entry entry = TakeShared(Priority::kNormal, within)) return entry;
  if (Entry entry = StealFor(slot, within)) return entry;
  return TakeShared(Priority::kLow, within);
}

Entry Scheduler::TakeOwn(Slot& slot, const Lineage* within) {
  if (options_.oldest_first) return slot.tasks.Steal(InLineage{within});
  return slot.tasks.Pop(InLineage{within});
}

Entry Scheduler::TakeShared(Priority priority, const Lineage* within) {
  const auto index = static_cast<size_t>(priority);
  if (num_shared_[index].load(std::memory_order_relaxed) == 0) return {};
  const std::lock_guard lock(mutex_);
  std::deque<Entry>& queue = shared_[index];
  const auto found = std::ranges::find_if(queue, InLineage{within}, &Entry::lineage);
  if (found == queue.end()) return {};
  const Entry entry = *found;
  queue.erase(found);
  num_shared_[index].fetch_sub(1);
  return entry;
}

// Guests first: work usually comes from them. Thieves begin at different workers.
Entry Scheduler::StealFor(Slot& slot, const Lineage* within) {
  const auto steal_from = [&](const std::atomic<Slot*>& place) -> Entry {
    Slot* const victim = place.load(std::memory_order_acquire);
    if (victim == nullptr || victim == &slot) return {};
    const Entry entry = victim->tasks.Steal(InLineage{within});
    if (entry) slot.figures.CountStolen();
    return entry;
  };
  for (int i = 0; i < num_guests(); ++i) {
    if (Entry entry = steal_from(guest_slots_[static_cast<size_t>(i)])) return entry;
  }
  const auto workers = static_cast<uint32_t>(num_workers());
  if (workers == 0) return {};
  slot.dice = slot.dice * 1664525u + 1013904223u;
  const uint32_t first = (slot.dice >> 16) % workers;
  for (uint32_t i = 0; i < workers; ++i) {
    if (Entry entry = steal_from(worker_slots_[(first + i) % workers])) return entry;
  }
  return {};
}

// Whether visit(deque) is true for one of them.
template <class Visit>
bool Scheduler::AnyDeque(Visit visit) const {
  const auto check = [&](const std::atomic<Slot*>& place) {
    const Slot* const slot = place.load(std::memory_order_acquire);
    return slot != nullptr && visit(slot->tasks);
  };
  return std::any_of(guest_slots_.begin(), guest_slots_.begin() + num_guests(), check) ||
         std::any_of(worker_slots_.begin(), worker_slots_.begin() + num_workers(), check);
}

bool Scheduler::AnyWork() const {
  return num_shared_[0].load() > 0 || num_shared_[1].load() > 0 ||
         AnyDeque([](const StealDeque& tasks) { return !tasks.empty(); });
}

int64_t Scheduler::queued() const {
  int64_t count = num_shared_[0].load() + num_shared_[1].load();
  AnyDeque([&count](const StealDeque& tasks) {
    count += std::max<int64_t>(tasks.size(), 0);
    return false;
  });
  return count;
}

void Scheduler::RunTask(Slot& slot, Entry entry) {
  const Lineage* const before = std::exchange(slot.running, entry.lineage);
  slot.figures.CountTask();
  entry.task->Run();
  slot.running = before;
}

// ---- waking up

// After new work lies where it can be seen. Either this sees that a worker has stopped searching,
// or that worker, which looks once more before it sleeps, sees the work: both sides write first and
// read then, in the one order of all sequentially consistent operations.
void Scheduler::Notify(int count) {
  if (searching_.load() >= count) return;
  if (awake_.load() < limit()) return Wake(count);
  if (waiters_.load() > 0) WakeWaiters();
}

void Scheduler::Wake(int count) {
  bool failed = false;
  {
    const std::lock_guard lock(mutex_);
    const int wanted = std::min(count - searching_.load(), limit() - awake_.load());
    for (int i = 0; i < wanted && !failed; ++i) {
      failed = !CallSleeperLocked() && !StartWorkerLocked();
      if (failed) break;
      awake_.fetch_add(1);
      searching_.fetch_add(1);
    }
  }
  if (failed && waiters_.load() > 0) WakeWaiters();
}

bool Scheduler::CallSleeperLocked() {
  if (asleep_.empty()) return false;
  Slot* const slot = asleep_.back();
  asleep_.pop_back();
  slot->called = true;
  slot->call.notify_one();
  return true;
}

void Scheduler::WakeWaiters() {
  {
    const std::lock_guard lock(mutex_);
    ++looked_for_;
  }
  changed_.notify_all();
}

void Scheduler::Finished() {
  if (waiters_.load() == 0) return;
  { const std::lock_guard lock(mutex_); }  // a waiter is either before its check or asleep
  changed_.notify_all();
}

// ---- waiting for a group

void Scheduler::HelpUntil(Slot& slot, const Lineage& lineage, FunctionRef<bool()> done) {
  const int rounds = spin_rounds();
  while (!done()) {
    Entry entry = Find(slot, &lineage);
    if (!entry) {
      const auto found = [&] { return static_cast<bool>(entry = StealFor(slot, &lineage)); };
      const bool over = Spin([&] { return done() || found(); }, rounds);
      if (!over) entry = SleepUntil(slot, lineage, done);
    }
    if (entry) RunTask(slot, entry);
  }
}

// Until done(), or there may be something to do: that is returned where it was found.
Entry Scheduler::SleepUntil(Slot& slot, const Lineage& lineage, FunctionRef<bool()> done) {
  const BlockingScope lent;  // a worker that sleeps here lends its place
  waiters_.fetch_add(1);
  std::unique_lock lock(mutex_);
  const uint64_t seen = looked_for_;
  lock.unlock();
  const Entry entry = Find(slot, &lineage);  // what came before we counted as waiting
  lock.lock();
  if (!entry) changed_.wait(lock, [&] { return done() || looked_for_ != seen; });
  lock.unlock();
  waiters_.fetch_sub(1);
  return entry;
}

// ---- guests

Slot* Scheduler::TakeGuest() {
  const int known = num_guests();
  for (int i = 0; i < known; ++i) {
    const int index = (last_guest + i) % known;
    Slot* const slot = guest_slots_[static_cast<size_t>(index)].load(std::memory_order_acquire);
    if (!slot->taken.load(std::memory_order_relaxed) && !slot->taken.exchange(true)) {
      last_guest = index;
      return slot;
    }
  }
  const std::lock_guard lock(mutex_);
  const int index = num_guests();
  if (index == kMaxGuests) return nullptr;
  auto* const slot = new Slot(this, false, index);
  slot->taken.store(true);
  guest_slots_[static_cast<size_t>(index)].store(slot, std::memory_order_release);
  num_guests_.store(index + 1, std::memory_order_release);
  last_guest = index;
  return slot;
}

Seat::Seat(Scheduler& scheduler) : before_(Scheduler::here) {
  if (before_ != nullptr && before_->scheduler == &scheduler) {
    slot_ = before_;
    return;
  }
  slot_ = scheduler.TakeGuest();
  guest_ = slot_ != nullptr;
  if (guest_) Scheduler::here = slot_;
}

Seat::~Seat() {
  if (guest_) slot_->taken.store(false, std::memory_order_release);
  Scheduler::here = before_;
}

BlockingScope::BlockingScope() {
  const Slot* const slot = Scheduler::here;
  if (slot == nullptr || !slot->is_worker) return;
  scheduler_ = slot->scheduler;
  scheduler_->Lend(1);
}

BlockingScope::~BlockingScope() {
  if (scheduler_ != nullptr) scheduler_->Return(1);
}

}  // namespace spanflow::runtime
