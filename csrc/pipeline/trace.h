// Trace: what every thread of a run did and when, kept in rings of fixed size, and its text in the
// Chrome trace format.
//
// Owns: a ring owns its events; a Trace is a snapshot. Threads: one thread at a time adds to a
// ring, any thread may read it meanwhile and gets whole events only. Attached: not needed. Fails:
// never; the oldest events make room for new ones and are counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace spanflow::pipeline {

struct TraceEvent {
  enum class Kind : uint8_t {
    kStage,  // a thread was inside stage `place` (0: the source) with `item`
    kWait,   // `item` waited before stage `place`, for its turn or for memory
    kIdle,   // a thread had nothing to do
    kLevel,  // at `begin`: `item` tokens alive, `end` bytes held
  };

  Kind kind = Kind::kIdle;
  int64_t place = 0;
  int64_t item = 0;
  int64_t begin = 0;  // on the clock of Now()
  int64_t end = 0;

  bool operator==(const TraceEvent&) const = default;
};

class TraceRing {
 public:
  static constexpr int64_t kMost = int64_t{1} << 20;

  // Holds at least so many events.
  explicit TraceRing(int64_t events);

  void Add(const TraceEvent& event);
  // Those that are still there, the oldest first; `dropped` is how many are not.
  std::vector<TraceEvent> Events(int64_t* dropped) const;

 private:
  using Words = std::atomic<int64_t>[4];

  const int64_t capacity_;
  std::unique_ptr<Words[]> words_;
  std::atomic<int64_t> count_{0};  // events that were ever added
};

struct Trace {
  struct Thread {
    std::string name;
    std::vector<TraceEvent> events;
    int64_t dropped = 0;
  };

  std::vector<std::string> stages;  // the source first
  std::vector<Thread> threads;      // the consumer first
  int64_t started_at = 0;

  int64_t dropped() const;
};

// The JSON text that Perfetto and chrome://tracing read: a slice for each stage that an item
// passed, one beside it for each wait of an item, and counters of tokens and bytes.
std::string ToChromeJson(const Trace& trace);

}  // namespace spanflow::pipeline
