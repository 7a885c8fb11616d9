// Schedulers: tasks from anywhere, sizes that change, threads that are lent, the end, and forks.

#include "runtime/scheduler.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <fstream>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "runtime/group.h"
#include "testing.h"

namespace spanflow::runtime {
namespace {

using std::chrono::milliseconds;

class Call final : public Task {
 public:
  Call(std::function<void()> function, std::function<void()> dropped = nullptr)
      : function_(std::move(function)), dropped_(std::move(dropped)) {}
  void Run() noexcept override {
    function_();
    delete this;
  }
  void Drop() noexcept override {
    if (dropped_) dropped_();
    delete this;
  }

 private:
  std::function<void()> function_, dropped_;
};

void Submit(Scheduler& scheduler, std::function<void()> function) {
  ASSERT_TRUE(scheduler.Submit({new Call(std::move(function)), nullptr}));
}

void End(Scheduler& scheduler) {
  scheduler.Stop();
  EXPECT_TRUE(scheduler.AwaitEnd(std::chrono::seconds(20)));
  EXPECT_EQ(scheduler.threads(), 0);
}

TEST(Scheduler, RunsTasksFromManyThreads) {
  const auto scheduler = Scheduler::Make({.name = "test", .workers = 3});
  EXPECT_EQ(scheduler->threads(), 0);  // none until there is something to do
  std::atomic<int> runs{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        Submit(*scheduler, [&] {
          ++runs;
          Submit(*scheduler, [&] { ++runs; });
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_TRUE(ComesTrue([&] { return runs.load() == 4000; }));
  EXPECT_LE(scheduler->threads(), 3);
  End(*scheduler);
  int64_t done = 0;
  for (const WorkerStats& worker : scheduler->Stats()) done += worker.done;
  EXPECT_EQ(done, 4000);
}

TEST(Scheduler, StopRunsWhatIsQueuedAndTakeTasksDoesNot) {
  for (const bool take : {false, true}) {
    const auto scheduler = Scheduler::Make({.name = "test", .workers = 1});
    std::atomic<bool> begun{false}, release{false};
    std::atomic<int> runs{0}, drops{0};
    Submit(*scheduler, [&] {
      begun = true;
      while (!release) std::this_thread::yield();
    });
    ASSERT_TRUE(ComesTrue([&] { return begun.load(); }));
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(scheduler->Submit({new Call([&] { ++runs; }, [&] { ++drops; }), nullptr}));
    }
    EXPECT_EQ(scheduler->queued(), 10);
    scheduler->Stop();
    if (take) {
      for (Task* task : scheduler->TakeTasks()) task->Drop();
    }
    EXPECT_FALSE(scheduler->AwaitEnd(milliseconds(5)));
    release = true;
    EXPECT_TRUE(scheduler->AwaitEnd(std::chrono::seconds(20)));
    EXPECT_EQ(runs.load(), take ? 0 : 10);
    EXPECT_EQ(drops.load(), take ? 10 : 0);
  }
}

TEST(Scheduler, OneWorkerKeepsTheOrder) {
  const auto scheduler = Scheduler::Make({.name = "test", .workers = 1, .oldest_first = true});
  std::vector<int> order;
  std::atomic<int> left{200};
  for (int i = 0; i < 100; ++i) {
    Submit(*scheduler, [&, i] {
      order.push_back(i);
      --left;
    });
  }
  Submit(*scheduler, [&] {
    for (int i = 100; i < 200; ++i) {
      Submit(*scheduler, [&, i] {
        order.push_back(i);
        --left;
      });
    }
  });
  ASSERT_TRUE(ComesTrue([&] { return left.load() == 0; }));
  End(*scheduler);
  for (int i = 0; i < 200; ++i) ASSERT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(Scheduler, IdleWorkersUseNoTime) {
  const auto scheduler = Scheduler::Make({.name = "test", .workers = 4});
  std::atomic<int> runs{0};
  for (int i = 0; i < 100; ++i) Submit(*scheduler, [&] { ++runs; });
  ASSERT_TRUE(ComesTrue([&] { return runs.load() == 100; }));
  std::this_thread::sleep_for(milliseconds(20));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.03);
  End(*scheduler);
}

// How many tasks that wait for each other can be inside at once.
int MostAtOnce(Scheduler& scheduler, int tasks, bool lending) {
  std::atomic<int> inside{0}, most{0}, left{tasks};
  std::atomic<bool> release{false};
  for (int i = 0; i < tasks; ++i) {
    Submit(scheduler, [&] {
      const int now = ++inside;
      for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
      }
      const auto wait = [&] {
        while (!release) std::this_thread::sleep_for(milliseconds(1));
      };
      if (lending) {
        const BlockingScope blocking;
        wait();
      } else {
        wait();
      }
      --inside;
      --left;
    });
  }
  if (lending) {
    EXPECT_TRUE(ComesTrue([&] { return most.load() == tasks; }));
  } else {
    EXPECT_TRUE(ComesTrue([&] { return most.load() == scheduler.workers(); }));
    std::this_thread::sleep_for(milliseconds(50));  // time for one too many
  }
  release = true;
  EXPECT_TRUE(ComesTrue([&] { return left.load() == 0; }));
  return most.load();
}

TEST(BlockingScope, LendsAWorkerForEachThatWaits) {
  const auto scheduler = Scheduler::Make({.name = "test", .workers = 2});
  EXPECT_EQ(MostAtOnce(*scheduler, 8, false), 2);
  EXPECT_EQ(MostAtOnce(*scheduler, 8, true), 8);
  EXPECT_EQ(MostAtOnce(*scheduler, 8, false), 2);  // and takes it back
  End(*scheduler);
}

TEST(BlockingScope, NativeComputeGoesOnWhileAllWorkersWait) {
  const Threads three(3);
  std::atomic<bool> release{false};
  std::atomic<int> waiting{0};
  TaskGroup slow;
  for (int i = 0; i < 2; ++i) {
    slow.Spawn([&] {
      const BlockingScope blocking;
      ++waiting;
      while (!release) std::this_thread::sleep_for(milliseconds(1));
    });
  }
  ASSERT_TRUE(ComesTrue([&] { return waiting.load() == 2; }));
  std::mutex mutex;
  std::set<std::thread::id> ids;
  ParallelFor(3, 1, [&](int64_t, int64_t) {  // three must be here at once
    {
      const std::lock_guard lock(mutex);
      ids.insert(std::this_thread::get_id());
    }
    EXPECT_TRUE(ComesTrue([&] {
      const std::lock_guard lock(mutex);
      return ids.size() == 3;
    }));
  });
  release = true;
  slow.Wait();
}

TEST(Scheduler, IsResizedWhileItWorks) {
  const auto scheduler = Scheduler::Make({.name = "test", .workers = 1});
  std::atomic<int> runs{0};
  std::atomic<bool> stop{false};
  std::thread resizer([&] {
    for (int n = 0; !stop; ++n) {
      scheduler->SetWorkers(1 + n % 6);
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
    scheduler->SetWorkers(2);
  });
  for (int i = 0; i < 20000; ++i) {
    Submit(*scheduler, [&] { ++runs; });
  }
  EXPECT_TRUE(ComesTrue([&] { return runs.load() == 20000; }));
  stop = true;
  resizer.join();
  EXPECT_EQ(MostAtOnce(*scheduler, 6, false), 2);
  End(*scheduler);
}

TEST(Pool, IsResizedWhileItWorks) {
  const Threads three(3);
  std::atomic<bool> stop{false};
  std::thread resizer([&] {
    for (int n = 0; !stop; ++n) {
      SetNumThreads(1 + n % 5);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  std::atomic<int64_t> sum{0};
  for (int round = 0; round < 300; ++round) {
    ParallelFor(64, 1, [&](int64_t, int64_t) {
      TaskGroup group;
      for (int i = 0; i < 3; ++i) group.Spawn([&] { ++sum; });
      group.Wait();
    });
  }
  stop = true;
  resizer.join();
  EXPECT_EQ(sum.load(), 300 * 64 * 3);
}

TEST(Scheduler, WorkersAreNamedAndRunInsideOfAround) {
  std::atomic<int> around{0};
  std::string name;
  std::atomic<bool> done{false};
  const auto scheduler =
      Scheduler::Make({.name = "sf-test", .workers = 1, .around = [&](auto work) {
                         ++around;
                         work();
                         --around;
                       }});
  Submit(*scheduler, [&] {
    EXPECT_EQ(around.load(), 1);
    std::ifstream("/proc/thread-self/comm") >> name;
    done = true;
  });
  ASSERT_TRUE(ComesTrue([&] { return done.load(); }));
  End(*scheduler);
  EXPECT_EQ(name, "sf-test-1");
  EXPECT_EQ(around.load(), 0);
}

TEST(Scheduler, AWorkerThatCannotWorkCountsAsGone) {
  std::atomic<int> drops{0};
  {
    const auto scheduler = Scheduler::Make({.name = "test", .workers = 1, .around = [](auto) {}});
    ASSERT_TRUE(scheduler->Submit({new Call([] { FAIL(); }, [&] { ++drops; }), nullptr}));
    EXPECT_TRUE(ComesTrue([&] { return scheduler->threads() == 0; }));
  }
  EXPECT_TRUE(ComesTrue([&] { return drops.load() == 1; }));
}

TEST(Scheduler, TellsWhoStoleAndWhoWasIdle) {
  const auto scheduler = Scheduler::Make({.name = "test", .workers = 2});
  std::atomic<bool> stolen{false};
  Submit(*scheduler, [&] {  // its own task can only be run by the other one
    Submit(*scheduler, [&] { stolen = true; });
    EXPECT_TRUE(ComesTrue([&] { return stolen.load(); }));
    std::this_thread::sleep_for(milliseconds(20));
  });
  ASSERT_TRUE(ComesTrue([&] { return stolen.load(); }));
  std::this_thread::sleep_for(milliseconds(10));
  const std::vector<WorkerStats> during = scheduler->Stats();  // of what is still at work
  End(*scheduler);
  ASSERT_EQ(during.size(), 2u);
  EXPECT_EQ(during[0].stolen + during[1].stolen, 1);
  EXPECT_GT(std::max(during[0].busy_ns, during[1].busy_ns), 5'000'000);
  EXPECT_GT(std::max(during[0].idle_ns, during[1].idle_ns), 5'000'000);
}

#ifndef SPANFLOW_NO_THREADS_AFTER_FORK
TEST(Fork, GroupsWorkInTheChildWhileTheParentIsBusy) {
  const Threads three(3);
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int t = 0; t < 2; ++t) {
    busy.emplace_back([&stop, t] {
      while (!stop) {
        TaskGroup group(t == 0 ? Priority::kLow : Priority::kNormal);
        for (int i = 0; i < 8; ++i) group.Spawn([] {});
        group.Wait();
      }
    });
  }
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      std::atomic<int> runs{0};
      TaskGroup group;
      for (int i = 0; i < 100; ++i) group.Spawn([&] { ++runs; });
      group.Wait();
      _exit(runs == 100 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  stop = true;
  for (std::thread& thread : busy) thread.join();
}
#endif

}  // namespace
}  // namespace spanflow::runtime
