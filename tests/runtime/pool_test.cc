// The worker pool: every index once, on several threads, whoever calls and whatever is thrown.

#include "runtime/pool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "runtime/cancel.h"
#include "testing.h"

namespace spanflow::runtime {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(ParallelFor, GivesEveryIndexOnce) {
  const Threads four(4);
  for (int64_t n : {0, 1, 2, 7, 64, 1000, 4099}) {
    for (int64_t grain : {1, 3, 64, 5000}) {
      std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
      ParallelFor(n, grain, [&](int64_t begin, int64_t end) {
        EXPECT_EQ(begin % grain, 0);
        EXPECT_LE(end - begin, grain);
        for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
      });
      for (const auto& count : seen) ASSERT_EQ(count.load(), 1) << n << " by " << grain;
    }
  }
}

TEST(ParallelForRanges, GivesEveryIndexOnceInFewCalls) {
  for (int threads : {1, 2, 4}) {
    const Threads some(threads);
    for (int64_t n : {1, 2, 64, 100'000}) {
      for (int64_t grain : {1, 7}) {
        std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
        std::atomic<int> calls{0};
        ParallelForRanges(n, grain, [&](int64_t begin, int64_t end) {
          ++calls;
          EXPECT_EQ(begin % grain, 0);
          EXPECT_TRUE(end % grain == 0 || end == n);
          for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
        });
        for (const auto& count : seen) ASSERT_EQ(count.load(), 1);
        EXPECT_LE(calls.load(), 200 * threads);
      }
    }
  }
}

// One thread is held up in its first run; the others must do all the rest.
TEST(ParallelFor, WhoeverIsFreeTakesOverFromWhoIsSlow) {
  const Threads three(3);
  constexpr int64_t kRuns = 300;
  std::atomic<int64_t> others{0};
  ParallelFor(kRuns, 1, [&](int64_t begin, int64_t) {
    if (begin > 0) {
      ++others;
      return std::this_thread::sleep_for(microseconds(20));
    }
    EXPECT_TRUE(ComesTrue([&] { return others.load() >= kRuns * 2 / 3 - 1; }));
  });
  EXPECT_EQ(others.load(), kRuns - 1);
}

TEST(ParallelFor, ACancelledTokenSkipsTheRest) {
  const Threads two(2);
  CancelToken token;
  std::atomic<int> begun{0};
  const auto body = [&](int64_t, int64_t) {
    if (++begun == 10) token.Cancel();
    std::this_thread::sleep_for(microseconds(50));
  };
  ParallelFor(10000, 1, body, 0, &token);
  EXPECT_LT(begun.load(), 1000);
  const CancelToken late(CancelToken::Clock::now() - milliseconds(1));
  ParallelFor(
      10, 1, [](int64_t, int64_t) { FAIL(); }, 0, &late);
}

TEST(ParallelFor, OneRunStaysOnTheCaller) {
  const auto caller = std::this_thread::get_id();
  ParallelFor(10, 10, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(end - begin, 10);
  });
}

TEST(ParallelFor, UsesAsManyThreadsAsAsked) {
  const Threads two(2);
  for (int limit : {1, 2, 3}) {
    std::mutex mutex;
    std::set<std::thread::id> ids;
    std::atomic<int> running{0};
    std::atomic<int> most{0};
    ParallelFor(
        24, 1,
        [&](int64_t, int64_t) {
          const int now = ++running;
          for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
          }
          // Until all are here, as long as that takes.
          for (int wait = 0; most < limit && wait < 5000; ++wait) {
            std::this_thread::sleep_for(milliseconds(1));
          }
          --running;
          const std::lock_guard lock(mutex);
          ids.insert(std::this_thread::get_id());
        },
        limit);
    EXPECT_EQ(most.load(), limit);
    EXPECT_EQ(static_cast<int>(ids.size()), limit);
  }
}

TEST(ParallelFor, RethrowsTheFirstExceptionAndSkipsTheRest) {
  const Threads four(4);
  std::atomic<int> begun{0};
  try {
    ParallelFor(10000, 1, [&](int64_t begin, int64_t) {
      ++begun;
      if (begin == 10) throw std::runtime_error("ten");
      std::this_thread::sleep_for(microseconds(200));
    });
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "ten");
  }
  EXPECT_LT(begun.load(), 5000);
  std::atomic<int64_t> sum{0};  // the pool is as good as before
  ParallelFor(100, 1, [&](int64_t begin, int64_t) { sum += begin; });
  EXPECT_EQ(sum.load(), 4950);
}

TEST(ParallelFor, NestedCallsFinish) {
  const Threads three(3);
  std::atomic<int64_t> sum{0};
  ParallelFor(8, 1, [&](int64_t, int64_t) {
    ParallelFor(8, 1, [&](int64_t, int64_t) {
      ParallelFor(8, 2, [&](int64_t begin, int64_t end) { sum += end - begin; });
    });
  });
  EXPECT_EQ(sum.load(), 512);
}

TEST(ParallelFor, ManyCallersShareThePool) {
  const Threads three(3);
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  for (int t = 0; t < 6; ++t) {
    callers.emplace_back([&sum] {
      for (int i = 0; i < 200; ++i) {
        ParallelFor(50, 7, [&](int64_t begin, int64_t end) { sum += end - begin; });
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(sum.load(), 6 * 200 * 50);
}

TEST(ParallelFor, IdleWorkersSleep) {
  const Threads four(4);
  ParallelFor(100, 1, [](int64_t, int64_t) {});
  std::this_thread::sleep_for(milliseconds(20));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(milliseconds(300));
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_LT(used, 0.03);
}

TEST(NumThreads, IsKeptInRange) {
  const Threads any(2);
  EXPECT_EQ(NumThreads(), 2);
  SetNumThreads(-3);
  EXPECT_EQ(NumThreads(), 1);
  SetNumThreads(1 << 30);
  EXPECT_EQ(NumThreads(), kMaxThreads);
}

#ifndef SPANFLOW_NO_THREADS_AFTER_FORK
TEST(Fork, TheChildHasAPoolThatWorks) {
  const Threads three(3);
  std::atomic<bool> stop{false};
  std::thread busy([&stop] {  // forks happen while the pool's lock is taken and given
    while (!stop) ParallelFor(20, 1, [](int64_t, int64_t) {});
  });
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      std::atomic<int64_t> sum{0};
      std::mutex mutex;
      std::set<std::thread::id> ids;
      ParallelFor(30, 1, [&](int64_t begin, int64_t) {
        sum += begin;
        for (int wait = 0; wait < 5000; ++wait) {  // until all three are here
          {
            const std::lock_guard lock(mutex);
            ids.insert(std::this_thread::get_id());
            if (ids.size() == 3) break;
          }
          std::this_thread::sleep_for(milliseconds(1));
        }
      });
      _exit(sum == 435 && ids.size() == 3 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  stop = true;
  busy.join();
}
#endif

TEST(Exit, WithWorkInFlightIsClean) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";  // a fresh process, not a fork of this one
  EXPECT_EXIT(
      {
        SetNumThreads(3);
        std::thread([] {
          ParallelFor(1000, 1,
                      [](int64_t, int64_t) { std::this_thread::sleep_for(milliseconds(2)); });
        }).detach();
        std::this_thread::sleep_for(milliseconds(20));
        std::exit(7);
      },
      testing::ExitedWithCode(7), "");
}

TEST(CancelToken, StaysCancelled) {
  CancelToken token;
  EXPECT_TRUE(token.Check().ok());
  token.Cancel();
  token.Cancel();
  EXPECT_TRUE(token.cancelled());
  EXPECT_EQ(token.Check().code(), base::Code::kCancelled);
}

TEST(CancelToken, FollowsItsParentAndItsDeadline) {
  CancelToken parent;
  const CancelToken child(&parent);
  const CancelToken later(CancelToken::Clock::now() + milliseconds(20), &parent);
  EXPECT_TRUE(child.Check().ok() && later.Check().ok());
  EXPECT_TRUE(ComesTrue([&] { return later.cancelled(); }));
  EXPECT_EQ(later.Check().code(), base::Code::kTimeout);
  EXPECT_FALSE(child.cancelled());
  parent.Cancel();
  EXPECT_TRUE(child.cancelled());
  EXPECT_EQ(later.Check().code(), base::Code::kCancelled);
}

TEST(FunctionRef, CallsWithoutCopying) {
  struct Counter {
    int calls = 0;
    int operator()(int x) { return x + ++calls; }
  } counter;
  FunctionRef<int(int)> ref(counter);
  FunctionRef<int(int)> copy = ref;
  EXPECT_EQ(ref(10), 11);
  EXPECT_EQ(copy(10), 12);
  EXPECT_EQ(counter.calls, 2);
}

}  // namespace
}  // namespace spanflow::runtime
