// Groups of tasks: nesting, errors, cancellation, deadlines, priorities, and one value from many.

#include "runtime/group.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "runtime/reduce.h"
#include "testing.h"

namespace spanflow::runtime {
namespace {

using std::chrono::milliseconds;

int64_t Fibonacci(int n) {
  if (n < 2) return n;
  int64_t left = 0;
  TaskGroup group;
  group.Spawn([&left, n] { left = Fibonacci(n - 1); });
  const int64_t right = Fibonacci(n - 2);
  group.Wait();
  return left + right;
}

TEST(TaskGroup, NestsAsDeepAsTheWork) {
  for (int threads : {1, 2, 4}) {
    const Threads some(threads);
    EXPECT_EQ(Fibonacci(18), 2584) << threads;
  }
}

TEST(TaskGroup, TasksSpawnIntoTheirOwnGroup) {
  const Threads four(4);
  TaskGroup group;
  std::atomic<int> runs{0};
  const auto spawn = [&](auto& self, int depth) -> void {
    ++runs;
    if (depth == 0) return;
    for (int i = 0; i < 2; ++i) group.Spawn([&, depth] { self(self, depth - 1); });
  };
  spawn(spawn, 9);
  group.Wait();
  EXPECT_EQ(runs.load(), 1023);
  group.Spawn([&] { ++runs; });  // a group may be used again
  group.Wait();
  EXPECT_EQ(runs.load(), 1024);
}

TEST(TaskGroup, ManyThreadsUseGroupsAtOnce) {
  const Threads three(3);
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  for (int t = 0; t < 6; ++t) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) sum += Fibonacci(10);
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum.load(), 6 * 50 * 55);
}

// More calls at once than there are places for: the rest works alone.
TEST(TaskGroup, WorksWithoutAPlaceInTheScheduler) {
  const Threads two(2);
  std::vector<std::thread> callers;
  std::atomic<int> inside{0};
  std::atomic<int64_t> sum{0};
  for (int t = 0; t < 70; ++t) {
    callers.emplace_back([&] {
      TaskGroup group;
      ++inside;
      EXPECT_TRUE(ComesTrue([&] { return inside.load() == 70; }));
      group.Spawn([&] { ++sum; });
      ParallelFor(10, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
      group.Wait();
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum.load(), 70 * 11);
}

TEST(TaskGroup, TheFirstErrorWinsAndSkipsTheRest) {
  const Threads two(2);
  std::atomic<int> begun{0};
  TaskGroup group;
  for (int i = 0; i < 1000; ++i) {
    group.Spawn([&, i] {
      if (++begun == 20) throw std::runtime_error("task " + std::to_string(i));
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    });
  }
  EXPECT_THROW(group.Wait(), std::runtime_error);
  EXPECT_LT(begun.load(), 500);
  EXPECT_FALSE(group.cancelled());
  group.Spawn([&] { begun = -1; });
  group.Wait();  // the error was told once
  EXPECT_EQ(begun.load(), -1);
}

TEST(TaskGroup, AnErrorOfATaskReachesThroughNestedGroups) {
  const Threads three(3);
  TaskGroup outer;
  for (int i = 0; i < 8; ++i) {
    outer.Spawn([i] {
      TaskGroup inner;
      inner.Spawn([i] {
        if (i == 5) throw std::logic_error("inner");
      });
      inner.Wait();
    });
  }
  EXPECT_THROW(outer.Wait(), std::logic_error);
}

TEST(TaskGroup, CancelSkipsWhatHasNotBegun) {
  const Threads two(2);
  std::atomic<int> begun{0};
  TaskGroup group;
  for (int i = 0; i < 1000; ++i) {
    group.Spawn([&] {
      if (++begun == 10) group.Cancel();
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    });
  }
  group.Wait();
  EXPECT_TRUE(group.cancelled());
  EXPECT_LT(begun.load(), 500);
}

TEST(TaskGroup, DestructionCancelsAndWaits) {
  const Threads two(2);
  std::atomic<int> begun{0}, ended{0};
  {
    TaskGroup group;
    for (int i = 0; i < 100; ++i) {
      group.Spawn([&] {
        ++begun;
        std::this_thread::sleep_for(milliseconds(1));
        ++ended;
      });
    }
    ASSERT_TRUE(ComesTrue([&] { return begun.load() > 0; }));
  }
  EXPECT_EQ(begun.load(), ended.load());
  EXPECT_LT(begun.load(), 100);
}

TEST(TaskGroup, ADeadlineEndsIt) {
  const Threads two(2);
  const CancelToken deadline(CancelToken::Clock::now() + milliseconds(30));
  std::atomic<int> begun{0};
  TaskGroup group(Priority::kNormal, &deadline);
  for (int i = 0; i < 2000; ++i) {
    group.Spawn([&] {
      ++begun;
      std::this_thread::sleep_for(milliseconds(1));
    });
  }
  group.Wait();
  EXPECT_GT(begun.load(), 0);
  EXPECT_LT(begun.load(), 1000);
  EXPECT_EQ(deadline.Check().code(), base::Code::kTimeout);
}

TEST(TaskGroup, LowPriorityGoesLast) {
  const Threads two(2);
  std::mutex mutex;
  std::vector<int> order;
  const auto note = [&](int what) {
    const std::lock_guard lock(mutex);
    order.push_back(what);
  };
  std::atomic<bool> held{false}, release{false};
  TaskGroup urgent, patient(Priority::kLow);
  urgent.Spawn([&] {  // keeps the one worker
    held = true;
    while (!release) std::this_thread::yield();
  });
  ASSERT_TRUE(ComesTrue([&] { return held.load(); }));
  for (int i = 0; i < 5; ++i) patient.Spawn([&] { note(1); });
  for (int i = 0; i < 5; ++i) urgent.Spawn([&] { note(0); });
  release = true;
  ASSERT_TRUE(ComesTrue([&] {
    const std::lock_guard lock(mutex);
    return order.size() == 10;
  }));
  patient.Wait();
  urgent.Wait();
  EXPECT_EQ(order, (std::vector<int>{0, 0, 0, 0, 0, 1, 1, 1, 1, 1}));
}

TEST(TaskGroup, AWaiterHelpsOnlyWithItsOwnWork) {
  const Threads two(2);
  std::mutex mutex;  // held over a nested loop: another family's task on this thread would hang
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        TaskGroup group;
        for (int i = 0; i < 4; ++i) {
          group.Spawn([&] {
            const std::lock_guard lock(mutex);
            ParallelFor(4, 1, [&](int64_t, int64_t) { ++sum; });
          });
        }
        group.Wait();
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum.load(), 4 * 100 * 4 * 4);
}

TEST(ParallelReduce, TheTreeDependsOnSizesOnly) {
  const auto leaf = [](int64_t begin, int64_t end) {
    return std::to_string(begin) + "-" + std::to_string(end);
  };
  const auto combine = [](std::string left, std::string right) {
    return "(" + std::move(left) + " " + std::move(right) + ")";
  };
  const auto shape = [&](int64_t n, int64_t grain) {
    return ParallelReduce<std::string>(n, grain, leaf, combine);
  };
  EXPECT_EQ(shape(1, 1), "0-1");
  EXPECT_EQ(shape(10, 4), "(0-4 (4-8 8-10))");
  std::string first;
  for (int threads : {1, 2, 3, 8}) {
    const Threads some(threads);
    for (int round = 0; round < 20; ++round) {
      const std::string now = shape(1000, 7);
      if (first.empty()) first = now;
      ASSERT_EQ(now, first) << threads;
    }
  }
}

TEST(ParallelReduce, FloatsAddUpToTheSameBits) {
  const auto leaf = [](int64_t begin, int64_t end) {
    float sum = 0;
    for (int64_t i = begin; i < end; ++i) sum += 1.0f / static_cast<float>(i + 1);
    return sum;
  };
  const auto add = [](float a, float b) { return a + b; };
  const float one = ParallelReduce<float>(100'000, 64, leaf, add, 1);
  for (int threads : {2, 4, 7}) {
    EXPECT_EQ(ParallelReduce<float>(100'000, 64, leaf, add, threads), one) << threads;
  }
}

TEST(ParallelReduce, RethrowsWhatALeafThrows) {
  const Threads three(3);
  const auto leaf = [](int64_t begin, int64_t) -> int64_t {
    if (begin == 77) throw std::out_of_range("77");
    return begin;
  };
  const auto add = [](int64_t a, int64_t b) { return a + b; };
  EXPECT_THROW(ParallelReduce<int64_t>(1000, 1, leaf, add), std::out_of_range);
}

}  // namespace
}  // namespace spanflow::runtime
