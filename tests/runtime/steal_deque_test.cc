// The deque: every task once, whoever takes it, in the order that each end promises.

#include "runtime/steal_deque.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace spanflow::runtime {
namespace {

class Numbered final : public Task {
 public:
  explicit Numbered(std::atomic<int>* times) : times_(times) {}
  void Run() noexcept override {
    times_->fetch_add(1, std::memory_order_relaxed);
    delete this;
  }

 private:
  std::atomic<int>* times_;
};

constexpr auto kAny = [](const Lineage*) { return true; };

TEST(StealDeque, TheOwnerTakesTheNewestAndThievesTheOldest) {
  StealDeque deque;
  std::atomic<int> times{0};
  std::vector<Task*> tasks;
  EXPECT_TRUE(deque.empty());
  EXPECT_FALSE(deque.Pop(kAny));
  EXPECT_FALSE(deque.Steal(kAny));
  for (int i = 0; i < 200; ++i) {  // more than the first buffer holds
    tasks.push_back(new Numbered(&times));
    deque.Push({tasks.back(), nullptr});
  }
  EXPECT_EQ(deque.Pop(kAny).task, tasks[199]);
  EXPECT_EQ(deque.Steal(kAny).task, tasks[0]);
  for (int i = 198; i > 0; --i) EXPECT_EQ(deque.Pop(kAny).task, tasks[static_cast<size_t>(i)]);
  EXPECT_TRUE(deque.empty());
  EXPECT_FALSE(deque.Pop(kAny));
  for (Task* task : tasks) task->Run();
  EXPECT_EQ(times.load(), 200);
}

TEST(StealDeque, GivesOnlyWhatIsWanted) {
  StealDeque deque;
  Lineage mine, theirs, child;
  mine.Open(nullptr);
  theirs.Open(nullptr);
  child.Open(&mine);
  std::atomic<int> times{0};
  deque.Push({new Numbered(&times), &theirs});
  deque.Push({new Numbered(&times), &child});
  const auto covered_by = [](const Lineage& lineage) {
    return [&lineage](const Lineage* other) { return lineage.Covers(other); };
  };
  EXPECT_FALSE(deque.Pop(covered_by(theirs)));
  EXPECT_FALSE(deque.Steal(covered_by(mine)));
  const Entry first = deque.Pop(covered_by(mine));
  const Entry second = deque.Steal(covered_by(theirs));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first.lineage, &child);
  EXPECT_EQ(second.lineage, &theirs);
  first.task->Run();
  second.task->Run();
}

TEST(Lineage, CoversItselfAndWhatComesFromIt) {
  Lineage root, child, grandchild, other;
  root.Open(nullptr);
  other.Open(nullptr);
  child.Open(&root);
  grandchild.Open(&child);
  EXPECT_TRUE(root.Covers(&root) && root.Covers(&child) && root.Covers(&grandchild));
  EXPECT_FALSE(child.Covers(&root) || child.Covers(&other) || other.Covers(&grandchild));
  EXPECT_FALSE(root.Covers(nullptr));
}

TEST(StealDeque, EveryTaskIsTakenOnceByOwnerOrThieves) {
  constexpr int kTasks = 60000;
  constexpr int kThieves = 3;
  StealDeque deque;
  std::vector<std::atomic<int>> times(kTasks);
  std::atomic<bool> done{false};
  std::atomic<int64_t> stolen{0};
  std::vector<std::thread> thieves;
  for (int t = 0; t < kThieves; ++t) {
    thieves.emplace_back([&] {
      while (!done || !deque.empty()) {
        if (const Entry entry = deque.Steal(kAny)) {
          entry.task->Run();
          ++stolen;
        }
      }
    });
  }
  int64_t popped = 0;
  for (int i = 0; i < kTasks; ++i) {
    deque.Push({new Numbered(&times[static_cast<size_t>(i)]), nullptr});
    if (i % 3 != 0) continue;
    if (const Entry entry = deque.Pop(kAny)) {  // often the last one, which thieves want too
      entry.task->Run();
      ++popped;
    }
  }
  while (const Entry entry = deque.Pop(kAny)) {
    entry.task->Run();
    ++popped;
  }
  done = true;
  for (std::thread& thief : thieves) thief.join();
  EXPECT_EQ(popped + stolen, kTasks);
  for (const auto& count : times) ASSERT_EQ(count.load(), 1);
}

TEST(StealDeque, TheLastTaskGoesToOneOnly) {
  StealDeque deque;
  std::atomic<int> runs{0};
  std::atomic<int> round{0};
  constexpr int kRounds = 20000;
  std::thread thief([&] {
    while (round.load() < kRounds) {
      if (const Entry entry = deque.Steal(kAny)) entry.task->Run();
    }
  });
  for (; round < kRounds; ++round) {
    deque.Push({new Numbered(&runs), nullptr});
    if (const Entry entry = deque.Pop(kAny)) entry.task->Run();
    while (!deque.empty()) std::this_thread::yield();
  }
  thief.join();
  EXPECT_EQ(runs.load(), kRounds);
}

}  // namespace
}  // namespace spanflow::runtime
