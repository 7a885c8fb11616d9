// Tuner: finds out how many calls of a stage at once help.
//
// It measures how many calls come back in a time in which there was always one more waiting (else
// the stage is not what limits the run), then allows half as many more, and keeps that if calls
// come back faster by a share of it. If not it goes back, and tries again later, as what the calls
// wait for may change.
//
// Owns: a few numbers. Threads: thread-compatible; `allowed` may be read by any.
// Attached: not needed. Fails: never.
#pragma once

#include <atomic>
#include <cstdint>

namespace spanflow::pipeline {

class Tuner {
 public:
  explicit Tuner(int most) : most_(most) {}

  int allowed() const { return allowed_.load(std::memory_order_relaxed); }
  int most() const { return most_; }
  // A call came back at the time `now` (ns), and others waited or not. True when `allowed` grew.
  bool Returned(int64_t now, bool others_wait);

 private:
  bool Decide(int64_t now, double rate);
  bool Allow(int count);
  void Restart(int64_t now);

  const int most_;
  std::atomic<int> allowed_{1};
  int64_t since_ = 0;     // of the measurement; 0: none yet
  int64_t returned_ = 0;  // calls since
  int64_t skipped_ = 0;   // calls that began before `allowed` changed, and still come back
  int before_ = 0;        // allowed before the last growth; 0: there is nothing to compare with
  double rate_before_ = 0;
  int64_t rests_until_ = 0;
  int64_t rest_ = 0;
};

}  // namespace spanflow::pipeline
