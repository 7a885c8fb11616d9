// Traces and deadlines of runs, without Python.

#include "pipeline/trace.h"

#include <gtest/gtest.h>
#include <thread>

#include <algorithm>
#include <map>
#include <string>

#include "numbers.h"

namespace spanflow::pipeline {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TraceEvent Numbered(int64_t n) { return {TraceEvent::Kind::kStage, n % 1000, n, 2 * n, 3 * n}; }

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(TraceRing, KeepsTheNewestAndCountsTheOthers) {
  for (const int64_t capacity : {1, 3, 4, 100}) {
    TraceRing ring(capacity);
    int64_t dropped = -1;
    EXPECT_TRUE(ring.Events(&dropped).empty());
    EXPECT_EQ(dropped, 0);
    for (int64_t n = 0; n < 1000; ++n) {
      ring.Add(Numbered(n));
      const std::vector<TraceEvent> events = ring.Events(&dropped);
      EXPECT_GE(static_cast<int64_t>(events.size()), std::min(capacity, n + 1));
      EXPECT_LE(static_cast<int64_t>(events.size()), 2 * capacity + 1);
      EXPECT_EQ(dropped + static_cast<int64_t>(events.size()), n + 1);
      for (size_t i = 0; i < events.size(); ++i) {
        EXPECT_EQ(events[i], Numbered(dropped + static_cast<int64_t>(i)));
      }
    }
  }
}

TEST(TraceRing, IsReadWholeWhileItIsWritten) {
  TraceRing ring(64);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int64_t n = 0; !stop.load(); ++n) ring.Add(Numbered(n));
  });
  int64_t seen = 0;
  for (int round = 0; round < 20'000 || seen == 0; ++round) {
    int64_t dropped;
    const std::vector<TraceEvent> events = ring.Events(&dropped);
    for (size_t i = 0; i < events.size(); ++i) {
      ASSERT_EQ(events[i], Numbered(dropped + static_cast<int64_t>(i)));
    }
    seen += static_cast<int64_t>(events.size());
  }
  stop = true;
  writer.join();
}

std::vector<std::shared_ptr<const Stage>> TwoStages() {
  return {Each(Mode::kParallel,
               [](Number& number) {
                 std::this_thread::sleep_for(microseconds(number.value % 3 * 100));
               }),
          Each(Mode::kSerialInOrder, [](Number&) {})};
}

TEST(Trace, HasEveryStageOfEveryItem) {
  for (const int threads : {1, 2, 4}) {
    auto run = StartOrDie({std::make_shared<Counter>(200), TwoStages()},
                          {.threads = threads, .trace_events = 10'000});
    EXPECT_EQ(Drain(*run).values.size(), 200u);
    const Trace trace = run->Trace();
    EXPECT_EQ(trace.dropped(), 0);
    EXPECT_EQ(trace.stages.size(), 3u);
    std::map<int64_t, std::vector<int64_t>> items;  // of each stage
    for (const Trace::Thread& thread : trace.threads) {
      int64_t end = trace.started_at;
      for (const TraceEvent& event : thread.events) {
        if (event.kind != TraceEvent::Kind::kStage) continue;
        items[event.place].push_back(event.item);
        EXPECT_GE(event.begin, end) << "a thread was at two places at once";
        EXPECT_LE(event.begin, event.end);
        end = event.end;
      }
    }
    for (const int64_t stage : {1, 2}) {
      std::sort(items[stage].begin(), items[stage].end());
      ASSERT_GE(items[stage].size(), 200u);  // the end token passes serial stages too
      for (int64_t n = 0; n < 200; ++n) EXPECT_EQ(items[stage][static_cast<size_t>(n)], n);
    }
    EXPECT_FALSE(items[0].empty());
  }
}

TEST(Trace, IsReadWhileTheRunWorks) {
  auto run = StartOrDie({std::make_shared<Counter>(3000), TwoStages()},
                        {.threads = 3, .trace_events = 32});
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop.load()) {
      const Trace trace = run->Trace();
      EXPECT_LE(trace.threads.size(), 5u);
      EXPECT_FALSE(ToChromeJson(trace).empty());
    }
  });
  EXPECT_EQ(Drain(*run).values.size(), 3000u);
  stop = true;
  reader.join();
  EXPECT_GT(run->Trace().dropped(), 0);
}

TEST(Trace, IsEmptyWhereNobodyAskedForIt) {
  auto run = StartOrDie({std::make_shared<Counter>(10), TwoStages()}, {.threads = 2});
  Drain(*run);
  EXPECT_TRUE(run->Trace().threads.empty());
}

TEST(Trace, AsText) {
  Trace trace;
  trace.started_at = 1000;
  trace.stages = {"read", "map(\"\\\n)"};
  trace.threads.push_back(
      {"consumer",
       {{TraceEvent::Kind::kStage, 1, 7, 2000, 4500}, {TraceEvent::Kind::kIdle, 0, 0, 4500, 5000}},
       3});
  trace.threads.push_back(
      {"thread 1",
       {{TraceEvent::Kind::kWait, 1, 8, 2000, 3000}, {TraceEvent::Kind::kLevel, 0, 5, 1001, 640}},
       0});
  const std::string text = ToChromeJson(trace);
  const auto has = [&](const std::string& part) { return CountOf(text, part) == 1; };
  EXPECT_TRUE(
      has(R"x("ts":1.000,"dur":2.500,"cat":"stage","name":"map(\"\\\u000a)","args":{"item":7}})x"));
  EXPECT_TRUE(has(R"("ts":3.500,"dur":0.500,"cat":"idle","name":"idle")"));
  EXPECT_TRUE(has(R"("name":"3 older events were dropped")")) << text;
  EXPECT_TRUE(has(R"({"ph":"b","ts":1.000,"pid":1,"tid":1,"id":8,"cat":"wait","name":"before )"));
  EXPECT_TRUE(has(R"({"ph":"e","ts":2.000)"));
  EXPECT_TRUE(has(R"("ph":"C","pid":1,"ts":0.001,"name":"tokens","args":{"value":5}})"));
  EXPECT_TRUE(has(R"("ph":"C","pid":1,"ts":0.001,"name":"bytes held","args":{"value":640}})"));
  EXPECT_TRUE(has(R"("name":"thread_name","args":{"name":"thread 1"})"));
}

TEST(Deadline, EndsTheRunAndSaysWhatItWaitedFor) {
  for (const int threads : {1, 3}) {
    auto slow = Each(Mode::kParallel, [](Number& number) {
      if (number.value == 5) std::this_thread::sleep_for(milliseconds(400));
    });
    auto run = StartOrDie({std::make_shared<Counter>(20), {slow}},
                          {.threads = threads, .timeout = milliseconds(100)});
    const int64_t begun = Now();
    std::vector<int64_t> values;
    Caller caller;
    Delivery delivery = run->Next(caller);
    for (; delivery.kind == Delivery::Kind::kItem; delivery = run->Next(caller)) {
      values.push_back(NumberIn(delivery.item));
    }
    const int64_t waited = Now() - begun;
    ASSERT_EQ(delivery.kind, Delivery::Kind::kFailed);
    EXPECT_EQ(values, (std::vector<int64_t>{0, 1, 2, 3, 4}));
    EXPECT_EQ(delivery.error->status.code(), base::Code::kTimeout);
    EXPECT_EQ(delivery.error->status.message(), "the run did not end within timeout=0.1 seconds");
    EXPECT_EQ(delivery.error->waiting_for, "item 5 inside each");
    EXPECT_GE(waited, 80'000'000);
    EXPECT_LE(waited, 300'000'000);  // while the item takes longer
    EXPECT_EQ(run->Next(caller).kind, Delivery::Kind::kEnd);
    run = nullptr;
    EXPECT_EQ(live_numbers.load(), 0);
  }
}

TEST(Deadline, NamesTheSourceAndTurns) {
  auto source = std::make_shared<Counter>(
      20, CounterOptions{.mode = Mode::kSerialInOrder, .pause = milliseconds(60)});
  auto run = StartOrDie({source, {}}, {.threads = 2, .timeout = milliseconds(90)});
  const Outcome outcome = Drain(*run);
  ASSERT_EQ(outcome.end, Delivery::Kind::kFailed);
  EXPECT_EQ(outcome.error->waiting_for.substr(0, 5), "item ");
  EXPECT_NE(outcome.error->waiting_for.find(" of counter"), std::string::npos)
      << outcome.error->waiting_for;
}

TEST(Deadline, HoldsForAConsumerThatIsSlow) {
  auto run =
      StartOrDie({std::make_shared<Counter>(20), {}}, {.threads = 2, .timeout = milliseconds(30)});
  Caller caller;
  EXPECT_EQ(run->Next(caller).kind, Delivery::Kind::kItem);
  std::this_thread::sleep_for(milliseconds(60));
  const Delivery delivery = run->Next(caller);
  ASSERT_EQ(delivery.kind, Delivery::Kind::kFailed);
  EXPECT_EQ(delivery.error->waiting_for, "the consumer to take item 1");
}

TEST(Deadline, IsNoMatterForARunThatEndsInTime) {
  auto run = StartOrDie({std::make_shared<Counter>(500), TwoStages()},
                        {.threads = 2, .timeout = std::chrono::hours(1)});
  EXPECT_EQ(Drain(*run).values.size(), 500u);
}

}  // namespace
}  // namespace spanflow::pipeline
