// Tuner against simulated stages: how long calls take, by how many there are at once.

#include "pipeline/tuner.h"

#include <gtest/gtest.h>

#include <functional>

namespace spanflow::pipeline {
namespace {

// A stage whose calls take so many ns when so many of them are made at once.
class Simulated {
 public:
  Simulated(int most, std::function<int64_t(int)> time) : tuner(most), time_(std::move(time)) {}

  // So many calls, of which others wait for their turn or not.
  void Work(int calls, bool others_wait = true) {
    for (int i = 0; i < calls; ++i) {
      const int at_once = tuner.allowed();
      now_ += time_(at_once) / at_once;
      tuner.Returned(now_, others_wait);
    }
  }

  Tuner tuner;

 private:
  const std::function<int64_t(int)> time_;
  int64_t now_ = 1;
};

constexpr int64_t kMillisecond = 1'000'000;

TEST(TunerTest, BeginsWithOne) { EXPECT_EQ(Tuner(8).allowed(), 1); }

TEST(TunerTest, CallsThatOnlyWaitGetAllThereAre) {
  Simulated stage(64, [](int) { return 10 * kMillisecond; });
  stage.Work(2000);
  EXPECT_EQ(stage.tuner.allowed(), 64);
}

TEST(TunerTest, CallsThatTakeTurnsGetOne) {
  Simulated stage(64, [](int at_once) { return kMillisecond * at_once; });
  stage.Work(20'000);  // with a try now and then
  EXPECT_LE(stage.tuner.allowed(), 2);
  int64_t more = 0;
  for (int i = 0; i < 1000; ++i) {
    stage.Work(10);
    more += stage.tuner.allowed() > 1;
  }
  EXPECT_LT(more, 100);
}

TEST(TunerTest, CallsThatShareSomeCoresGetThese) {
  Simulated stage(
      64, [](int at_once) { return at_once <= 4 ? kMillisecond : kMillisecond * at_once / 4; });
  stage.Work(3000);
  EXPECT_GE(stage.tuner.allowed(), 3);
  EXPECT_LE(stage.tuner.allowed(), 6);
}

TEST(TunerTest, AStageThatDoesNotLimitTheRunStays) {
  Simulated stage(64, [](int) { return kMillisecond; });
  stage.Work(5000, false);
  EXPECT_EQ(stage.tuner.allowed(), 1);
}

TEST(TunerTest, TriesAgainWhenThingsHaveChanged) {
  bool take_turns = true;
  Simulated stage(16,
                  [&](int at_once) { return take_turns ? kMillisecond * at_once : kMillisecond; });
  stage.Work(3000);
  EXPECT_LE(stage.tuner.allowed(), 2);
  take_turns = false;
  stage.Work(100'000);
  EXPECT_EQ(stage.tuner.allowed(), 16);
}

TEST(TunerTest, NeverMoreThanTheMost) {
  for (int most : {1, 2, 5}) {
    Simulated stage(most, [](int) { return kMillisecond; });
    stage.Work(1000);
    EXPECT_EQ(stage.tuner.allowed(), most);
  }
}

}  // namespace
}  // namespace spanflow::pipeline
