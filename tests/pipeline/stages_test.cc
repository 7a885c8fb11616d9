// take, skip, shuffle and groups with any number of threads: what comes out, what is left over, and
// what is behind an early end.
#include "pipeline/stages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "numbers.h"

namespace spanflow::pipeline {
namespace {

using base::Code;
using Values = std::vector<int64_t>;
using Stages = std::vector<std::shared_ptr<const Stage>>;

constexpr int kThreads[] = {1, 2, 5};

Values Range(int64_t first, int64_t end) {
  Values values(static_cast<size_t>(std::max<int64_t>(end - first, 0)));
  std::iota(values.begin(), values.end(), first);
  return values;
}

Outcome RunOver(std::shared_ptr<const Source> source, Stages stages, int threads,
                int64_t memory = 0) {
  auto run = StartOrDie({std::move(source), std::move(stages)}, {threads, memory});
  return Drain(*run);
}

// The sum of each group, as one number; the stage that a group must pass before it is one.
std::shared_ptr<const Stage> Sums() {
  return std::make_shared<FunctionStage>("sums", Mode::kParallel, [](Item item, Context& context) {
    int64_t sum = 0;
    for (const Item& number : static_cast<Group&>(*item).items) sum += NumberIn(number);
    context.Emit(std::make_unique<Number>(sum));
    return base::Status::Ok();
  });
}

TEST(Stages, TakeAndSkip) {
  for (const int threads : kThreads) {
    for (const Mode mode : {Mode::kParallel, Mode::kSerialInOrder}) {
      for (const int64_t n : {0, 1, 40, 100, 200}) {
        const auto source = [&] { return std::make_shared<Counter>(100, CounterOptions{mode}); };
        EXPECT_EQ(RunOver(source(), {TakeStage(n)}, threads).values,
                  Range(0, std::min<int64_t>(n, 100)));
        EXPECT_EQ(RunOver(source(), {SkipStage(n)}, threads).values, Range(n, 100));
        EXPECT_EQ(RunOver(source(), {SkipStage(n), TakeStage(7)}, threads).values,
                  Range(n, std::min<int64_t>(n + 7, 100)));
      }
    }
  }
  EXPECT_EQ(live_numbers.load(), 0);
}

TEST(Stages, WhatIsBehindTheLastItemDoesNotMatter) {
  for (const int threads : kThreads) {
    for (int trial = 0; trial < 200; ++trial) {
      const Outcome outcome =
          RunOver(std::make_shared<Counter>(1000, CounterOptions{.fail_at = 21}),
                  {TakeStage(20), GroupStage(3, false), Sums(), TakeStage(100)}, threads);
      ASSERT_EQ(outcome.end, Delivery::Kind::kEnd);
      ASSERT_EQ(outcome.values, (Values{3, 12, 21, 30, 39, 48, 37}));
    }
  }
  EXPECT_EQ(live_numbers.load(), 0);
}

TEST(Stages, AnErrorBeforeTheLastItemComes) {
  const auto fail =
      std::make_shared<FunctionStage>("fail", Mode::kParallel, [](Item item, Context& context) {
        if (NumberIn(item) == 5) return base::Status::Value("five");
        context.Emit(std::move(item));
        return base::Status::Ok();
      });
  for (const int threads : kThreads) {
    const Outcome outcome =
        RunOver(std::make_shared<Counter>(1000), {fail, TakeStage(20)}, threads);
    EXPECT_EQ(outcome.end, Delivery::Kind::kFailed);
    EXPECT_EQ(outcome.values, Range(0, 5));
  }
}

// Serial stages out of order are the ones for which the end must wait for all others.
TEST(Stages, AnEarlyEndPassesEveryKindOfStage) {
  for (const int threads : kThreads) {
    for (int trial = 0; trial < 100; ++trial) {
      std::atomic<int64_t> seen = 0;
      const auto count = Each(Mode::kSerialOutOfOrder, [&](Number&) { ++seen; });
      const Outcome outcome = RunOver(std::make_shared<Counter>(500),
                                      {TakeStage(50), count, GroupStage(8, true), Sums()}, threads);
      ASSERT_EQ(outcome.values.size(), 6u);
      ASSERT_EQ(seen.load(), 50);
    }
  }
}

TEST(Stages, AShuffleIsTheSameForAnyNumberOfThreads) {
  for (const int64_t buffer : {1, 10, 99, 1000}) {
    Values first;
    for (const int threads : kThreads) {
      const Outcome outcome =
          RunOver(std::make_shared<Counter>(300), {ShuffleStage({buffer, 7})}, threads);
      if (first.empty()) first = outcome.values;
      EXPECT_EQ(outcome.values, first);
    }
    EXPECT_NE(first, Range(0, 300));
    std::ranges::sort(first);
    EXPECT_EQ(first, Range(0, 300));
  }
  EXPECT_EQ(live_numbers.load(), 0);
}

TEST(Stages, WhatIsHeldBackKeepsToTheMemory) {
  const auto source = [] { return std::make_shared<Counter>(1000, CounterOptions{.nbytes = 100}); };
  for (const int threads : kThreads) {
    EXPECT_EQ(RunOver(source(), {ShuffleStage({9, 1})}, threads, 1000).values.size(), 1000u);
    const Outcome outcome = RunOver(source(), {ShuffleStage({50, 1})}, threads, 1000);
    ASSERT_EQ(outcome.end, Delivery::Kind::kFailed);
    EXPECT_EQ(outcome.error->status.code(), Code::kValue);
    EXPECT_NE(outcome.error->status.message().find("shuffle(50) holds back 1100 bytes"),
              std::string::npos);
    EXPECT_EQ(RunOver(source(), {GroupStage(10, false), Sums()}, threads, 1000).values.size(),
              100u);
  }
  EXPECT_EQ(live_numbers.load(), 0);
}

TEST(Stages, StoppedEarlyNothingStays) {
  for (const int threads : kThreads) {
    for (int trial = 0; trial < 50; ++trial) {
      auto run = StartOrDie({std::make_shared<Counter>(100'000),
                             {ShuffleStage({100, 3}), GroupStage(5, false), Sums()}},
                            {threads});
      Caller caller;
      for (int i = 0; i < trial; ++i) run->Next(caller);
    }
  }
  EXPECT_EQ(live_numbers.load(), 0);
}

}  // namespace
}  // namespace spanflow::pipeline
