// Stages that have threads of their own: order, turns, errors, ends, and what never gets stuck.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "numbers.h"
#include "pipeline/calls.h"
#include "pipeline/stages.h"

namespace spanflow::pipeline {
namespace {

using base::Status;
using std::chrono::microseconds;
using std::chrono::milliseconds;

struct ServedOptions {
  int servers = 2;
  Mode mode = Mode::kParallel;
  microseconds work{0};
  int64_t fail_at = -1;  // on the way back
  int64_t refuse = -1;   // on the way there
};

struct Seen {
  std::atomic<int> inside{0};
  std::atomic<int> most_inside{0};
  std::atomic<int64_t> served{0};
};

// Adds 100 on a thread of its own.
class Served final : public Stage {
 public:
  Served(ServedOptions options, Seen* seen) : options_(options), seen_(seen) {}
  std::string Name() const override { return "served"; }
  Mode mode() const override { return options_.mode; }
  int places() const override { return options_.servers; }

  base::Result<std::unique_ptr<StageRun>> Open(Shape*) const override {
    class Opened final : public ServedRun {
     public:
      Opened(ServedOptions options, Seen* seen) : options_(options), seen_(seen) {}
      void Begin(std::shared_ptr<Calls> calls) override { calls_ = std::move(calls); }
      int servers() const override { return options_.servers; }

      void Serve(Context&) override {
        while (auto call = calls_->Take()) {
          const int inside = ++seen_->inside;
          seen_->most_inside = std::max(seen_->most_inside.load(), inside);
          if (options_.work.count() > 0) calls_->Sleep(options_.work);
          static_cast<Number&>(*call->item).value += 100;
          ++seen_->served;
          --seen_->inside;
          call->elapsed_ns = 1000;
          calls_->Return(*std::move(call));
        }
      }
      Status Pack(Item* item, Context&) override {
        if (NumberIn(*item) == options_.refuse) return Status::Value("cannot be packed");
        return Status::Ok();
      }
      Status Process(Item item, Context& context) override {
        if (NumberIn(item) - 100 == options_.fail_at) return Status::Value("it broke");
        context.Emit(std::move(item));
        return Status::Ok();
      }

     private:
      const ServedOptions options_;
      Seen* const seen_;
      std::shared_ptr<Calls> calls_;
    };
    return std::unique_ptr<StageRun>(new Opened(options_, seen_));
  }

 private:
  const ServedOptions options_;
  Seen* const seen_;
};

std::vector<int64_t> From(int64_t first, int64_t count) {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(first + i);
  return values;
}

Pipeline Through(int64_t items, ServedOptions options, Seen* seen, CounterOptions source = {}) {
  return {std::make_shared<Counter>(items, source), {std::make_shared<Served>(options, seen)}};
}

class EveryCrew : public testing::TestWithParam<std::tuple<Mode, int, int, int>> {};

TEST_P(EveryCrew, KeepsTheOrderAndTheBound) {
  const auto [mode, servers, threads, prefetch] = GetParam();
  Seen seen, seen_behind;
  Pipeline pipe = Through(60, {servers, mode, microseconds(100)}, &seen);
  pipe.prefetch = prefetch;
  pipe.stages.push_back(Each(Mode::kParallel, [](Number&) {}));
  pipe.stages.push_back(std::make_shared<Served>(ServedOptions{servers, mode}, &seen_behind));
  pipe.stages.push_back(Each(Mode::kSerialInOrder, [](Number& number) { number.value -= 200; }));
  auto run = StartOrDie(pipe, {threads});
  EXPECT_EQ(Drain(*run).values, From(0, 60));
  EXPECT_EQ(seen.served, 60);
  EXPECT_LE(seen.most_inside, mode == Mode::kParallel ? servers : 1);
  const RunStats stats = run->Stats();
  EXPECT_EQ(stats.stages[1].items, 60);
  EXPECT_EQ(stats.stages[1].items_out, 60);
  EXPECT_GE(stats.stages[1].busy_ns, 60 * 1000);
  EXPECT_EQ(live_numbers, 0);
}

INSTANTIATE_TEST_SUITE_P(Served, EveryCrew,
                         testing::Combine(testing::Values(Mode::kParallel, Mode::kSerialInOrder,
                                                          Mode::kSerialOutOfOrder),
                                          testing::Values(1, 3), testing::Values(1, 2, 4),
                                          testing::Values(-1, 0, 2)));

TEST(Served, AllPlacesAreInUseWithOneThread) {
  Seen seen;
  auto run = StartOrDie(Through(40, {4, Mode::kParallel, milliseconds(2)}, &seen), {1});
  Drain(*run);
  EXPECT_EQ(seen.most_inside, 4);
}

TEST(Served, ASourceThatMayWaitIsNotHeldUp) {
  Seen seen;
  auto run = StartOrDie(
      Through(40, {4, Mode::kParallel, milliseconds(2)}, &seen, {Mode::kSerialInOrder}), {1});
  EXPECT_EQ(Drain(*run).values, From(100, 40));
  EXPECT_EQ(seen.most_inside, 4);
}

TEST(Served, ErrorsTakeTheirTurn) {
  for (int64_t at : {0, 7, 29}) {
    for (bool there : {false, true}) {
      Seen seen;
      ServedOptions options{3, Mode::kParallel, microseconds(50)};
      (there ? options.refuse : options.fail_at) = at;
      auto run = StartOrDie(Through(30, options, &seen), {2});
      const Outcome outcome = Drain(*run);
      EXPECT_EQ(outcome.values, From(100, at));
      ASSERT_EQ(outcome.end, Delivery::Kind::kFailed);
      EXPECT_EQ(outcome.error->stage, "served");
      EXPECT_EQ(outcome.error->item, at);
    }
  }
  EXPECT_EQ(live_numbers, 0);
}

TEST(Served, SeveralItemsOfOneTokenStayTogether) {
  Seen seen;
  Pipeline pipe{std::make_shared<Counter>(10), {}};
  pipe.stages.push_back(
      std::make_shared<FunctionStage>("thrice", Mode::kParallel, [](Item item, Context& context) {
        for (int i = 0; i < 3; ++i) {
          context.Emit(std::make_unique<Number>(NumberIn(item) * 3 + i));
        }
        return Status::Ok();
      }));
  pipe.stages.push_back(
      std::make_shared<Served>(ServedOptions{2, Mode::kParallel, microseconds(50)}, &seen));
  auto run = StartOrDie(pipe, {2});
  EXPECT_EQ(Drain(*run).values, From(100, 30));
}

TEST(Served, TakeEndsItAndWhatIsBehindIsNotServed) {
  Seen seen;
  Pipeline pipe = Through(100'000, {2, Mode::kParallel, microseconds(20)}, &seen);
  pipe.stages.push_back(TakeStage(5));
  auto run = StartOrDie(pipe, {2});
  EXPECT_EQ(Drain(*run).values, From(100, 5));
  EXPECT_LT(seen.served, 5 + 2 * 4 + 2 + 3);
}

TEST(Served, CancelDropsWhatWaitsAndWakesWhoSleeps) {
  for (bool by_destructor : {false, true}) {
    Seen seen;
    auto run =
        StartOrDie(Through(1000, {2, Mode::kParallel, std::chrono::seconds(20)}, &seen), {2});
    Caller caller;
    std::thread other;
    if (!by_destructor) {
      other = std::thread([&run] {
        std::this_thread::sleep_for(milliseconds(5));
        run->Cancel();
      });
      EXPECT_EQ(run->Next(caller).kind, Delivery::Kind::kFailed);
      other.join();
    }
    const auto begun = std::chrono::steady_clock::now();
    run = nullptr;
    EXPECT_LT(std::chrono::steady_clock::now() - begun, milliseconds(500));
    EXPECT_LE(seen.served, 2);
  }
  EXPECT_EQ(live_numbers, 0);
}

TEST(Served, ABudgetOfOneItemDoesNotGetStuck) {
  for (int threads : {1, 3}) {
    Seen seen;
    Pipeline pipe = Through(50, {3, Mode::kParallel, microseconds(20)}, &seen, {{}, 100});
    auto run = StartOrDie(pipe, {threads, 100});
    EXPECT_EQ(Drain(*run).values.size(), 50u);
  }
}

TEST(Served, ManyRunsAtOnce) {
  std::vector<std::thread> users;
  for (int i = 0; i < 4; ++i) {
    users.emplace_back([] {
      for (int round = 0; round < 20; ++round) {
        Seen seen;
        auto run = StartOrDie(Through(50, {1 + round % 3}, &seen), {1 + round % 2});
        if (round % 4 == 3) continue;  // ends at once
        EXPECT_EQ(Drain(*run).values, From(100, 50));
      }
    });
  }
  for (std::thread& user : users) user.join();
  EXPECT_EQ(live_numbers, 0);
}

TEST(Calls, NothingIsGivenOutOnceStopped) {
  struct Home final : CallHome {
    bool Wanted(int64_t token) const override { return token != 1; }
    void TakeBack(size_t, Call call) override { back.push_back(call.token); }
    std::vector<int64_t> back;
  } home;
  Calls calls(&home, 0, 1024, false);
  for (int64_t token : {0, 1, 2, 3}) calls.Put({token, 0, std::make_unique<Number>(token)});
  auto first = calls.TryTake();
  auto second = calls.TryTake();
  EXPECT_EQ(second->token, 2);  // 1 is not wanted
  calls.Return(*std::move(first));
  EXPECT_TRUE(calls.Sleep(milliseconds(1)));
  calls.Stop();
  EXPECT_FALSE(calls.Sleep(std::chrono::hours(1)));
  EXPECT_FALSE(calls.Take().has_value());
  calls.Return(*std::move(second));
  calls.Put({4, 0, std::make_unique<Number>(4)});
  EXPECT_EQ(home.back, std::vector<int64_t>{0});
  second.reset();
  first.reset();
  EXPECT_EQ(live_numbers, 0);
}

}  // namespace
}  // namespace spanflow::pipeline
