// The scheduler: order, turns, credits, errors, cancelling and ends, for every mode and thread
// count.

#include "pipeline/run.h"

#include <gtest/gtest.h>
#include <thread>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>

#include "numbers.h"

namespace spanflow::pipeline {
namespace {

using base::Status;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Mode kModes[] = {Mode::kParallel, Mode::kSerialInOrder, Mode::kSerialOutOfOrder};

std::vector<int64_t> UpTo(int64_t n) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < n; ++i) values.push_back(i);
  return values;
}

int ThreadsOfProcess() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("Threads:", 0) == 0) return std::stoi(line.substr(8));
  }
  return -1;
}

// A thread that was joined is still listed for a moment.
template <class Condition>
bool ComesTrue(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

Pipeline Chain(std::shared_ptr<const Source> source,
               std::vector<std::shared_ptr<const Stage>> stages, int prefetch = -1) {
  return Pipeline{std::move(source), std::move(stages), prefetch};
}

class EveryShape : public testing::TestWithParam<std::tuple<Mode, int, int, int>> {};

TEST_P(EveryShape, KeepsTheOrder) {
  const auto [source_mode, threads, prefetch, items] = GetParam();
  std::vector<std::shared_ptr<const Stage>> stages;
  for (Mode mode : kModes) {
    stages.push_back(Each(mode, [](Number& number) {
      if (number.value % 7 == 0) std::this_thread::sleep_for(microseconds(50));
      number.value += 1;
    }));
  }
  stages.push_back(Each(Mode::kSerialInOrder, [](Number& number) { number.value -= 3; }));
  auto run = StartOrDie(
      Chain(std::make_shared<Counter>(items, CounterOptions{source_mode}), stages, prefetch),
      {threads});
  const Outcome outcome = Drain(*run);
  EXPECT_EQ(outcome.end, Delivery::Kind::kEnd);
  EXPECT_EQ(outcome.values, UpTo(items));
  const RunStats stats = run->Stats();
  EXPECT_EQ(stats.stages.size(), 5u);
  for (const StageStats& stage : stats.stages) EXPECT_EQ(stage.items, items) << stage.name;
  EXPECT_EQ(stats.delivered, items);
  EXPECT_EQ(stats.tokens, 0);
  if (prefetch >= 0) {
    EXPECT_LE(stats.tokens_peak, threads + prefetch);
  }
  run = nullptr;
  EXPECT_EQ(live_numbers.load(), 0);
}

INSTANTIATE_TEST_SUITE_P(All, EveryShape,
                         testing::Combine(testing::Values(Mode::kParallel, Mode::kSerialInOrder),
                                          testing::Values(1, 2, 4), testing::Values(-1, 0, 1, 8),
                                          testing::Values(0, 1, 2, 300)));

TEST(Run, SerialStagesRunOneAtATimeAndInOrderWhereAsked) {
  std::atomic<int> inside[2] = {};
  std::atomic<bool> overlap{false};
  std::vector<int64_t> seen[2];
  std::vector<std::shared_ptr<const Stage>> stages;
  stages.push_back(Each(Mode::kParallel, [](Number& number) {
    std::this_thread::sleep_for(microseconds(number.value % 5 * 40));
  }));
  for (int s = 0; s < 2; ++s) {
    stages.push_back(
        Each(s == 0 ? Mode::kSerialOutOfOrder : Mode::kSerialInOrder, [&, s](Number& number) {
          if (++inside[s] > 1) overlap = true;
          seen[s].push_back(number.value);
          --inside[s];
        }));
  }
  auto run = StartOrDie(Chain(std::make_shared<Counter>(400), stages), {4});
  EXPECT_EQ(Drain(*run).values, UpTo(400));
  EXPECT_FALSE(overlap);
  EXPECT_EQ(seen[1], UpTo(400));
  std::sort(seen[0].begin(), seen[0].end());
  EXPECT_EQ(seen[0], UpTo(400));
}

TEST(Run, ParallelStagesRunOnSeveralThreads) {
  std::mutex mutex;
  std::set<std::thread::id> ids;
  std::atomic<int> now{0}, most{0};
  auto stage = Each(Mode::kParallel, [&](Number&) {
    const int inside = ++now;
    for (int seen = most; inside > seen && !most.compare_exchange_weak(seen, inside);) {
    }
    std::this_thread::sleep_for(milliseconds(3));
    --now;
    const std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  auto run = StartOrDie(Chain(std::make_shared<Counter>(60), {stage}), {3});
  EXPECT_EQ(Drain(*run).values.size(), 60u);
  EXPECT_EQ(most.load(), 3);
  EXPECT_GE(ids.size(), 3u);  // a fourth thread may have taken the consumer's place
}

TEST(Run, OneThreadDoesAllOnTheCaller) {
  const int before = ThreadsOfProcess();
  const auto caller = std::this_thread::get_id();
  auto stage =
      Each(Mode::kParallel, [&](Number&) { EXPECT_EQ(std::this_thread::get_id(), caller); });
  auto run = StartOrDie(Chain(std::make_shared<Counter>(1000), {stage}), {1});
  EXPECT_EQ(Drain(*run).values.size(), 1000u);
  EXPECT_LE(ThreadsOfProcess(), before);
}

TEST(Run, TheConsumerLeavesLongItemsToOtherThreads) {
  // So that it can answer Ctrl-C; with one thread the run takes one of its own for that.
  class Impatient : public Caller {
   public:
    bool Interrupted() override { return true; }
  };
  auto stage =
      Each(Mode::kParallel, [](Number&) { std::this_thread::sleep_for(milliseconds(400)); });
  auto run = StartOrDie(Chain(std::make_shared<Counter>(100), {stage}), {1});
  Caller patient;
  EXPECT_EQ(run->Next(patient).kind, Delivery::Kind::kItem);
  EXPECT_EQ(run->Next(patient).kind, Delivery::Kind::kItem);
  Impatient caller;
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(run->Next(caller).kind, Delivery::Kind::kInterrupted);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, milliseconds(200));
}

TEST(Run, StagesMayDropAndMultiplyItems) {
  for (Mode mode : kModes) {
    auto odd = std::make_shared<FunctionStage>("odd", mode, [](Item item, Context& context) {
      if (NumberIn(item) % 2 == 1) context.Emit(std::move(item));
      return Status::Ok();
    });
    auto twice = std::make_shared<FunctionStage>("twice", mode, [](Item item, Context& context) {
      const int64_t value = NumberIn(item);
      context.Emit(std::make_unique<Number>(value * 10));
      context.Emit(std::make_unique<Number>(value * 10 + 1));
      return Status::Ok();
    });
    auto run = StartOrDie(Chain(std::make_shared<Counter>(200), {odd, twice}, 1), {3});
    std::vector<int64_t> wanted;
    for (int64_t i = 1; i < 200; i += 2) {
      wanted.push_back(i * 10);
      wanted.push_back(i * 10 + 1);
    }
    EXPECT_EQ(Drain(*run).values, wanted);
  }
}

TEST(Run, NothingButDroppedItemsEnds) {
  for (int threads : {1, 3}) {
    auto none = std::make_shared<FunctionStage>("none", Mode::kParallel,
                                                [](Item, Context&) { return Status::Ok(); });
    auto run = StartOrDie(Chain(std::make_shared<Counter>(5000), {none}, 0), {threads});
    const Outcome outcome = Drain(*run);
    EXPECT_EQ(outcome.end, Delivery::Kind::kEnd);
    EXPECT_TRUE(outcome.values.empty());
  }
}

TEST(Run, WhatASerialStageHeldBackComesOutAtTheEnd) {
  for (Mode mode : {Mode::kSerialInOrder, Mode::kSerialOutOfOrder}) {
    int64_t sum = 0;
    auto fold = std::make_shared<FunctionStage>(
        "fold", mode,
        [&](Item item, Context&) {
          sum += NumberIn(item);
          return Status::Ok();
        },
        [&](Context& context) {
          context.Emit(std::make_unique<Number>(sum));
          return Status::Ok();
        });
    auto after = Each(Mode::kParallel, [](Number& number) { number.value *= 2; });
    auto run = StartOrDie(Chain(std::make_shared<Counter>(1000), {fold, after}), {3});
    EXPECT_EQ(Drain(*run).values, std::vector<int64_t>{999000});
  }
}

TEST(Errors, OfAStageComeAfterTheItemsBeforeThem) {
  for (Mode mode : kModes) {
    for (int threads : {1, 2, 4}) {
      auto stage = std::make_shared<FunctionStage>("picky", mode, [](Item item, Context& context) {
        const int64_t value = NumberIn(item);
        if (value == 40)
          std::this_thread::sleep_for(milliseconds(5));  // 41 and 50 are first in time
        if (value >= 40 && value % 10 <= 1) return Status::Value("no " + std::to_string(value));
        context.Emit(std::move(item));
        return Status::Ok();
      });
      auto run = StartOrDie(Chain(std::make_shared<Counter>(1000), {stage}, 20), {threads});
      const Outcome outcome = Drain(*run);
      ASSERT_EQ(outcome.end, Delivery::Kind::kFailed);
      EXPECT_EQ(outcome.values, UpTo(40));
      EXPECT_EQ(outcome.error->status.message(), "no 40");
      EXPECT_EQ(outcome.error->stage, "picky");
      EXPECT_EQ(outcome.error->item, 40);
      EXPECT_EQ(Drain(*run).end, Delivery::Kind::kEnd);  // told once
    }
  }
}

TEST(Errors, OfTheSource) {
  for (Mode mode : {Mode::kParallel, Mode::kSerialInOrder}) {
    for (int threads : {1, 3}) {
      auto run = StartOrDie(Chain(std::make_shared<Counter>(100, CounterOptions{mode, 0, 30}), {}),
                            {threads});
      const Outcome outcome = Drain(*run);
      ASSERT_EQ(outcome.end, Delivery::Kind::kFailed);
      EXPECT_EQ(outcome.values, UpTo(30));
      EXPECT_EQ(outcome.error->status.message(), "the source broke");
      EXPECT_EQ(outcome.error->stage, "counter");
      EXPECT_EQ(outcome.error->item, 30);
    }
  }
}

TEST(Errors, AtTheEndAndAsExceptions) {
  auto finish = std::make_shared<FunctionStage>(
      "fold", Mode::kSerialInOrder, [](Item, Context&) { return Status::Ok(); },
      [](Context&) { return Status::Value("nothing to fold"); });
  auto run = StartOrDie(Chain(std::make_shared<Counter>(10), {finish}), {2});
  Outcome outcome = Drain(*run);
  ASSERT_EQ(outcome.end, Delivery::Kind::kFailed);
  EXPECT_EQ(outcome.error->item, -1);

  auto throws = Each(Mode::kParallel, [](Number&) { throw std::bad_alloc(); });
  run = StartOrDie(Chain(std::make_shared<Counter>(10), {throws}), {2});
  outcome = Drain(*run);
  ASSERT_EQ(outcome.end, Delivery::Kind::kFailed);
  EXPECT_EQ(outcome.error->status.code(), base::Code::kMemory);
}

TEST(Errors, CarryTheExceptionObjectAndUrgentOnesDoNotWait) {
  for (bool urgent : {false, true}) {
    std::atomic<bool> release{false}, thrown{false};
    auto stage =
        std::make_shared<FunctionStage>("stage", Mode::kParallel, [&](Item item, Context& context) {
          if (NumberIn(item) == 3) {
            thrown = true;
            return context.Throw(std::make_unique<Number>(77), urgent);
          }
          if (NumberIn(item) == 2 && urgent) {
            while (!release) std::this_thread::sleep_for(milliseconds(1));
          }
          context.Emit(std::move(item));
          return Status::Ok();
        });
    auto run = StartOrDie(Chain(std::make_shared<Counter>(100), {stage}, 4), {3});
    EXPECT_TRUE(ComesTrue([&thrown] { return thrown.load(); }));
    const Outcome outcome = Drain(*run);
    ASSERT_EQ(outcome.end, Delivery::Kind::kFailed);
    EXPECT_EQ(NumberIn(outcome.error->exception), 77);
    EXPECT_EQ(outcome.error->item, 3);
    if (urgent) {
      EXPECT_LE(outcome.values.size(), 2u);
    } else {
      EXPECT_EQ(outcome.values, UpTo(3));
    }
    release = true;
  }
}

TEST(Stopping, LeavesNoThreadAndNoItem) {
  const int before = ThreadsOfProcess();
  std::minstd_rand random(5);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::shared_ptr<const Stage>> stages;
    for (int s = 0; s < 3; ++s) {
      stages.push_back(Each(kModes[random() % 3], [](Number& number) {
        if (number.value % 3 == 0) std::this_thread::sleep_for(microseconds(30));
      }));
    }
    const Mode source = random() % 2 == 0 ? Mode::kParallel : Mode::kSerialInOrder;
    auto run = StartOrDie(Chain(std::make_shared<Counter>(1 << 20, CounterOptions{source, 8}),
                                stages, static_cast<int>(random() % 4) - 1),
                          {1 + static_cast<int>(random() % 4), 1 << 20});
    Caller caller;
    std::vector<Item> kept;
    for (uint64_t i = random() % 50; i > 0; --i) kept.push_back(run->Next(caller).item);
    std::thread other;
    if (round % 3 == 0) {
      other = std::thread([&run, pause = random() % 300] {
        std::this_thread::sleep_for(microseconds(pause));
        run->Cancel();
      });
      const Outcome outcome = Drain(*run);
      EXPECT_EQ(outcome.end, Delivery::Kind::kFailed);
      EXPECT_EQ(outcome.error->status.code(), base::Code::kCancelled);
      other.join();
    }
    run = nullptr;
    EXPECT_TRUE(ComesTrue([before] { return ThreadsOfProcess() <= before; }));
    EXPECT_EQ(live_numbers.load(), static_cast<int64_t>(kept.size()));
  }
}

TEST(Stopping, ReturnsWhatTheRunHeldButKeepsTheStatistics) {
  auto run = StartOrDie(Chain(std::make_shared<Counter>(1000), {}, 50), {2});
  Caller caller;
  EXPECT_EQ(NumberIn(run->Next(caller).item), 0);
  run->Stop();
  EXPECT_EQ(live_numbers.load(), 0);
  EXPECT_EQ(run->Next(caller).kind, Delivery::Kind::kFailed);
  EXPECT_EQ(run->Stats().delivered, 1);
  run->Stop();
}

TEST(Stopping, CloseDrains) {
  for (Mode mode : {Mode::kParallel, Mode::kSerialInOrder}) {
    for (int threads : {1, 3}) {
      auto run = StartOrDie(Chain(std::make_shared<Counter>(1 << 30, CounterOptions{mode}), {}, 10),
                            {threads});
      Caller caller;
      for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(NumberIn(run->Next(caller).item), i);
      run->Close();
      run->Close();
      const Outcome outcome = Drain(*run);
      EXPECT_EQ(outcome.end, Delivery::Kind::kEnd);
      EXPECT_LE(outcome.values.size(), 100u);
      for (size_t i = 0; i < outcome.values.size(); ++i) {
        EXPECT_EQ(outcome.values[i], static_cast<int64_t>(i) + 20);
      }
    }
  }
}

TEST(Credits, ASlowConsumerFindsNoMoreThanPrefetchWaiting) {
  for (int prefetch : {0, 1, 5}) {
    std::atomic<int64_t> begun{0};
    auto stage = Each(Mode::kParallel, [&](Number&) { ++begun; });
    auto run = StartOrDie(Chain(std::make_shared<Counter>(1000), {stage}, prefetch), {2});
    Caller caller;
    for (int64_t taken = 1; taken <= 20; ++taken) {
      run->Next(caller);
      std::this_thread::sleep_for(milliseconds(1));
      EXPECT_LE(begun.load(), taken + prefetch + 2);
    }
  }
}

class MemoryIsAPromise : public testing::TestWithParam<Mode> {};

TEST_P(MemoryIsAPromise, WhateverAStageMakesOfIt) {
  // Items of 1000 bytes that a stage makes 20 times larger, 3 threads, 30,000 bytes allowed: never
  // more than that and one large item for each thread.
  for (microseconds pause : {microseconds(0), microseconds(200)}) {
    for (Mode source : {Mode::kParallel, Mode::kSerialInOrder}) {
      auto expand = std::make_shared<FunctionStage>(
          "expand", GetParam(),
          [](Item item, Context& context) {
            auto large = std::make_unique<Number>(NumberIn(item), 20000);
            large->credit = Credit::Take(context.budget(), 20000);
            item = nullptr;
            std::this_thread::sleep_for(microseconds(20));
            context.Emit(std::move(large));
            return Status::Ok();
          },
          nullptr, true);
      auto later = Each(Mode::kSerialInOrder, [](Number&) {});
      auto run = StartOrDie(
          Chain(std::make_shared<Counter>(300, CounterOptions{source, 1000}), {expand, later}, 50),
          {3, 30000});
      EXPECT_EQ(Drain(*run, pause).values, UpTo(300));
      const RunStats stats = run->Stats();
      EXPECT_GE(stats.bytes_peak, 20000);
      EXPECT_LE(stats.bytes_peak, 30000 + 3 * 21000);
      EXPECT_EQ(stats.bytes, 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, MemoryIsAPromise, testing::ValuesIn(kModes));

TEST(Credits, TokensThatWaitForTheirTurnKeepThePromise) {
  // Fifty small items wait before a serial stage that makes each 20 times larger. Their turn comes
  // from the one before, at once, and must not come before there is memory.
  for (Mode mode : {Mode::kSerialInOrder, Mode::kSerialOutOfOrder}) {
    std::atomic<bool> go_on{false};
    auto expand = std::make_shared<FunctionStage>(
        "expand", mode,
        [&go_on](Item item, Context& context) {
          while (!go_on) std::this_thread::sleep_for(milliseconds(1));
          auto large = std::make_unique<Number>(NumberIn(item), 20000);
          large->credit = Credit::Take(context.budget(), 20000);
          item = nullptr;
          context.Emit(std::move(large));
          return Status::Ok();
        },
        nullptr, true);
    auto run = StartOrDie(
        Chain(std::make_shared<Counter>(300, CounterOptions{Mode::kParallel, 1}), {expand}, 50),
        {3, 30000});
    EXPECT_TRUE(ComesTrue([&run] { return run->Stats().tokens >= 50; }));
    go_on = true;
    std::this_thread::sleep_for(milliseconds(20));
    EXPECT_EQ(Drain(*run).values.size(), 300u);
    EXPECT_LE(run->Stats().bytes_peak, 30000 + 3 * 20001);
  }
}

TEST(Credits, DroppedItemsMakeRoomWithoutTheConsumer) {
  // Ten tokens may be alive. The consumer takes the first; the other nine turn out to be empty in
  // the same step as it asks for the next.
  std::atomic<int> seen{0};
  auto stage =
      std::make_shared<FunctionStage>("filter", Mode::kParallel, [&](Item item, Context& context) {
        ++seen;
        if (NumberIn(item) % 10 == 0) context.Emit(std::move(item));
        return Status::Ok();
      });
  auto run = StartOrDie(Chain(std::make_shared<Counter>(50), {stage}, 9), {1});
  EXPECT_TRUE(ComesTrue([&seen] { return seen == 10; }));
  EXPECT_EQ(Drain(*run).values, (std::vector<int64_t>{0, 10, 20, 30, 40}));
}

TEST(Credits, AConsumerThatKeepsItemsSlowsTheRunButNeverStopsIt) {
  for (Mode source : {Mode::kParallel, Mode::kSerialInOrder}) {
    auto make = std::make_shared<FunctionStage>(
        "make", Mode::kParallel,
        [](Item item, Context& context) {
          class Kept final : public Value {
           public:
            Credit held;
          };
          auto kept = std::make_unique<Kept>();
          kept->held = Credit::Take(context.budget(), 1000);
          item = nullptr;
          context.Emit(std::move(kept));
          return Status::Ok();
        },
        nullptr, true);
    auto run = StartOrDie(Chain(std::make_shared<Counter>(100, CounterOptions{source, 10}), {make}),
                          {3, 2500});
    Caller caller;
    std::vector<Item> kept;
    for (;;) {
      Delivery delivery = run->Next(caller);
      if (delivery.kind != Delivery::Kind::kItem) break;
      kept.push_back(std::move(delivery.item));
    }
    EXPECT_EQ(kept.size(), 100u);
    EXPECT_EQ(run->Stats().bytes, 100 * 1000);
    run = nullptr;
    kept.clear();  // after the run
  }
}

TEST(Credits, AnItemLargerThanTheBudgetIsAnErrorThatNamesBoth) {
  for (Mode mode : {Mode::kParallel, Mode::kSerialInOrder}) {
    auto run =
        StartOrDie(Chain(std::make_shared<Counter>(10, CounterOptions{mode, 5001}), {}), {2, 5000});
    const Outcome outcome = Drain(*run);
    ASSERT_EQ(outcome.end, Delivery::Kind::kFailed);
    EXPECT_NE(outcome.error->status.message().find("5001"), std::string::npos);
    EXPECT_NE(outcome.error->status.message().find("5000"), std::string::npos);
    EXPECT_EQ(outcome.error->item, 0);
  }
}

TEST(Run, ManyAtOnce) {
  auto pipeline =
      Chain(std::make_shared<Counter>(500),
            {Each(Mode::kParallel, [](Number&) {}), Each(Mode::kSerialInOrder, [](Number&) {})});
  std::vector<std::thread> consumers;
  for (int i = 0; i < 6; ++i) {
    consumers.emplace_back([&pipeline, i] {
      auto run = StartOrDie(pipeline, {1 + i % 3});
      EXPECT_EQ(Drain(*run).values, UpTo(500));
    });
  }
  for (auto& consumer : consumers) consumer.join();
}

TEST(Run, SeveralConsumersShareTheItems) {
  for (int threads : {1, 3}) {
    auto run = StartOrDie(Chain(std::make_shared<Counter>(3000), {}), {threads});
    std::mutex mutex;
    std::vector<int64_t> all;
    std::vector<std::thread> consumers;
    for (int i = 0; i < 4; ++i) {
      consumers.emplace_back([&] {
        const Outcome outcome = Drain(*run);
        EXPECT_EQ(outcome.end, Delivery::Kind::kEnd);
        EXPECT_TRUE(std::is_sorted(outcome.values.begin(), outcome.values.end()));
        const std::lock_guard lock(mutex);
        all.insert(all.end(), outcome.values.begin(), outcome.values.end());
      });
    }
    for (auto& consumer : consumers) consumer.join();
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, UpTo(3000));
  }
}

TEST(Run, AnItemThatIsSlowAmongTinyOnesDoesNotHoldTheOthersBack) {
  // 2,000 tiny items make the run start many at once; then each takes 2 ms. Two threads must share
  // what was started together.
  std::mutex mutex;
  std::map<std::thread::id, int> slow;
  auto stage = Each(Mode::kParallel, [&](Number& number) {
    if (number.value < 2000) return;
    std::this_thread::sleep_for(milliseconds(2));
    const std::lock_guard lock(mutex);
    ++slow[std::this_thread::get_id()];
  });
  auto run = StartOrDie(Chain(std::make_shared<Counter>(2100), {stage}), {2});
  EXPECT_EQ(Drain(*run).values.size(), 2100u);
  ASSERT_GE(slow.size(), 2u);
  for (const auto& [thread, items] : slow) EXPECT_LE(items, 90);
}

TEST(Run, IdleThreadsSleep) {
  auto run = StartOrDie(Chain(std::make_shared<Counter>(1 << 20), {}, 2), {3});
  Caller caller;
  run->Next(caller);
  std::this_thread::sleep_for(milliseconds(20));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_LT(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC, 0.02);
}

}  // namespace
}  // namespace spanflow::pipeline
