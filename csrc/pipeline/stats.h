// RunStats: what a run did and where its time went.
//
// Owns: a snapshot; the counters live in the run. Threads: thread-compatible.
// Attached: not needed. Fails: never.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace spanflow::pipeline {

// The clock of all statistics, in nanoseconds.
inline int64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// How long the items of a stage took, in buckets a fifth of their time wide or less.
class TimeBuckets {
 public:
  static constexpr size_t kCount = 4 * 44;  // the last one begins at three hours

  static size_t Of(int64_t nanoseconds) {
    const auto time = static_cast<uint64_t>(std::max<int64_t>(nanoseconds, 4));
    const auto octave = static_cast<size_t>(std::bit_width(time)) - 3;  // 0: 4 to 7 ns
    return std::min(4 * octave + (time >> octave & 3), kCount - 1);
  }
  // The middle of a bucket.
  static int64_t TimeOf(size_t bucket) {
    const auto octave = bucket / 4;
    return static_cast<int64_t>(((4 + bucket % 4) * 2 + 1) << octave) / 2;
  }

  void Add(size_t bucket, uint64_t count) { counts_[bucket] += count; }
  uint64_t CountOf(size_t bucket) const { return counts_[bucket]; }
  // The time that this share of the items did not exceed; 0 of nothing.
  int64_t Quantile(double share) const;

 private:
  std::array<uint64_t, kCount> counts_{};
};

struct StageStats {
  std::string name;
  const char* mode = "";
  int64_t items = 0;  // that went in (for a source: came out)
  int64_t items_out = 0;
  int64_t nbytes = 0;       // that went in (for a source: came out)
  int64_t busy_ns = 0;      // summed over threads
  int64_t wait_ns = 0;      // tokens waited for their turn here, or for memory
  int64_t attached_ns = 0;  // attached to an interpreter: holding the GIL, where there is one
  int64_t retried = 0;      // calls that were made again
  int64_t skipped = 0;      // items that were given up after an error
  int workers = 0;          // calls that threads of its own make at once, now
  int workers_most = 0;     // and the most that it may become
  TimeBuckets times;        // of one item of the source
};

struct RunStats {
  std::vector<StageStats> stages;  // the source first
  int threads = 0;
  int64_t elapsed_ns = 0;        // from the start to the end, or to now
  int64_t idle_ns = 0;           // threads of the run waited for work
  int64_t consumer_wait_ns = 0;  // the consumer waited for an item
  int64_t delivered = 0;         // items that the consumer took
  int64_t tokens = 0;            // alive now
  int64_t tokens_peak = 0;
  int64_t bytes = 0;  // held now
  int64_t bytes_peak = 0;
  int64_t memory = 0;      // the limit
  int64_t bytes_made = 0;  // of new arrays, over all native stages; views make none
};

}  // namespace spanflow::pipeline
