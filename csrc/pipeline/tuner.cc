#include "pipeline/tuner.h"

#include <algorithm>
#include <utility>

namespace spanflow::pipeline {
namespace {

constexpr int64_t kShortest = 50'000'000;  // ns that are measured, at least
constexpr int64_t kFewest = 8;             // calls
constexpr double kShare = 0.4;             // of the growth that must show in the rate
constexpr int64_t kFirstRest = 1'000'000'000;
constexpr int64_t kLongestRest = 60'000'000'000;

}  // namespace

bool Tuner::Returned(int64_t now, bool others_wait) {
  if (!others_wait) {
    since_ = 0;
    return false;
  }
  if (skipped_ > 0) {
    --skipped_;
    return false;
  }
  if (since_ == 0) {
    Restart(now);
    return false;
  }
  ++returned_;
  const int64_t elapsed = now - since_;
  if (elapsed < kShortest || returned_ < std::max<int64_t>(kFewest, 2 * allowed())) return false;
  const double rate = static_cast<double>(returned_) / static_cast<double>(elapsed);
  Restart(now);
  return Decide(now, rate);
}

void Tuner::Restart(int64_t now) {
  since_ = now;
  returned_ = 0;
}

bool Tuner::Decide(int64_t now, double rate) {
  if (now < rests_until_) return false;
  const int count = allowed();
  if (before_ != 0) {
    const double growth = static_cast<double>(count) / before_ - 1;
    if (rate < rate_before_ * (1 + kShare * growth)) {
      rest_ = std::min(std::max(2 * rest_, kFirstRest), kLongestRest);
      rests_until_ = now + rest_;
      return Allow(std::exchange(before_, 0));
    }
  }
  if (count == most_) return false;
  before_ = count;
  rate_before_ = rate;
  return Allow(std::min(most_, count + std::max(1, count / 2)));
}

bool Tuner::Allow(int count) {
  const int before = allowed_.exchange(count);
  skipped_ = before;
  since_ = 0;
  return count > before;
}

}  // namespace spanflow::pipeline
