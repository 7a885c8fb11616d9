// Task: something to be done once, on whichever thread takes it; Lineage: whose part it is.
//
// A group of tasks has a lineage while it is open. Its parent is the lineage of the task that
// opened the group, so that whoever waits for a group can tell the work that it waits for, at any
// depth, from everybody else's.
//
// Owns: a task owns itself: Run and Drop are the last that is seen of it. Lineages belong to the
// slot of the thread that opens them (scheduler.h) and stay in memory when they are closed.
// Threads: a task is run or dropped by one thread. Lineages may be read by any, even while they are
// closed and opened anew; what is read then counts only if the task was not taken meanwhile.
// Attached: not needed. Fails: Run throws nothing; groups and loops keep what their bodies throw.
#pragma once

#include <atomic>
#include <cstdint>

namespace spanflow::runtime {

enum class Priority : uint8_t { kNormal, kLow };  // kLow: when there is nothing else to do

class Task {
 public:
  virtual void Run() noexcept = 0;
  virtual void Drop() noexcept { delete this; }  // instead of Run

 protected:
  virtual ~Task() = default;
};

class Lineage {
 public:
  void Open(const Lineage* parent) {
    parent_.store(parent, std::memory_order_relaxed);
    depth_.store(parent == nullptr ? 0 : parent->depth() + 1, std::memory_order_relaxed);
  }

  // Whether `other` is this one or comes from it.
  bool Covers(const Lineage* other) const {
    if (other == nullptr) return false;
    for (int up = other->depth() - depth(); up > 0 && other != nullptr; --up) {
      other = other->parent_.load(std::memory_order_relaxed);
    }
    return other == this;
  }

 private:
  int depth() const { return depth_.load(std::memory_order_relaxed); }

  std::atomic<const Lineage*> parent_{nullptr};
  std::atomic<int> depth_{0};
};

// What queues hold.
struct Entry {
  Task* task = nullptr;
  const Lineage* lineage = nullptr;

  explicit operator bool() const { return task != nullptr; }
};

}  // namespace spanflow::runtime
