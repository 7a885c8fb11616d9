// Budget: how many bytes a run may hold, and Credit: some of them, in somebody's hands.
//
// Whoever makes bytes takes a credit for them; it goes back when the bytes die, wherever that
// happens. A source starts a token only with a credit in hand. A stage takes its credit without
// waiting, but the engine lets a token into a stage only while the budget is not full, so that the
// run never holds more than the budget and one item per thread. The oldest token is exempt: it can
// always move on, which is why a run cannot get stuck for memory.
//
// Owns: counters; a Credit keeps its Budget alive, so that bytes may outlive the run.
// Threads: thread-safe. Attached: not needed.
// Fails: CheckItem and HeldBack::Add return a ValueError for more than the whole budget.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "memory/block.h"
#include "runtime/event.h"
#include "runtime/fork.h"

namespace spanflow::pipeline {

class Budget {
 public:
  // `strict`: the user gave the limit, so that a larger item is an error and does not go alone.
  Budget(int64_t limit, bool strict) : limit_(limit), strict_(strict) {}

  int64_t limit() const { return limit_; }
  int64_t used() const { return used_.load(); }
  int64_t peak() const { return peak_.load(std::memory_order_relaxed); }
  bool full() const { return used() >= limit_; }
  bool Fits(int64_t nbytes) const { return used() <= limit_ - nbytes; }

  bool TryTake(int64_t nbytes);
  void Take(int64_t nbytes);
  void Give(int64_t nbytes);

  base::Status CheckItem(int64_t nbytes) const;

  // Set by a thread that is about to wait for bytes: the next Give notifies `freed`.
  std::atomic<bool> wanted{false};
  runtime::Event& freed() { return freed_; }

 private:
  void RaisePeak(int64_t used);

  const int64_t limit_;
  const bool strict_;
  const uint64_t forks_ = runtime::ForkCount();
  std::atomic<int64_t> used_{0};
  std::atomic<int64_t> peak_{0};
  std::atomic<int64_t> held_back_{0};
  runtime::Event freed_;

  friend class HeldBack;
};

// The bytes that a stage keeps until more items come. What all stages of a run keep must fit into
// its memory together, because nothing frees it before those items are there.
class HeldBack {
 public:
  explicit HeldBack(std::shared_ptr<Budget> budget) : budget_(std::move(budget)) {}
  HeldBack(const HeldBack&) = delete;
  HeldBack& operator=(const HeldBack&) = delete;
  ~HeldBack() { Remove(nbytes_); }

  base::Status Add(const std::string& stage, int64_t nbytes);
  void Remove(int64_t nbytes) {
    nbytes_ -= nbytes;
    budget_->held_back_.fetch_sub(nbytes);
  }
  void RemoveAll() { Remove(nbytes_); }

 private:
  const std::shared_ptr<Budget> budget_;
  int64_t nbytes_ = 0;
};

class Credit {
 public:
  Credit() = default;
  // Takes over `nbytes` that were taken from `budget` already.
  static Credit Adopt(std::shared_ptr<Budget> budget, int64_t nbytes) {
    return Credit(std::move(budget), nbytes);
  }
  static Credit Take(std::shared_ptr<Budget> budget, int64_t nbytes) {
    budget->Take(nbytes);
    return Credit(std::move(budget), nbytes);
  }
  Credit(Credit&& other) noexcept
      : budget_(std::move(other.budget_)), nbytes_(std::exchange(other.nbytes_, 0)) {}
  Credit& operator=(Credit&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(nbytes_, other.nbytes_);
    return *this;
  }
  ~Credit() {
    if (nbytes_ != 0) budget_->Give(nbytes_);
  }

  int64_t nbytes() const { return nbytes_; }

 private:
  Credit(std::shared_ptr<Budget> budget, int64_t nbytes)
      : budget_(std::move(budget)), nbytes_(nbytes) {}

  std::shared_ptr<Budget> budget_;
  int64_t nbytes_ = 0;
};

// The same bytes in a block that gives `credit` back when they are released.
memory::BlockRef WithCredit(memory::BlockRef block, Credit credit);

}  // namespace spanflow::pipeline
