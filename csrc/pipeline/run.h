// Pipeline and Run: the description of a pipeline, and one execution of it.
//
// A token is one item of the source on its way. Each thread of a run takes a token through one
// stage after the other until it reaches the consumer or a serial stage that is busy; README.md
// tells the whole story. Items come out in the order of the source.
//
// Owns: a Run owns its threads, its tokens and the opened stages. A Pipeline shares its parts.
// Threads: Run is thread-safe. Pipeline is an immutable value.
// Attached: never while inside Start, Next or the destructor: they wait.
// Fails: the error that is first in the order of items wins and ends the run; Next hands out the
// items before it, then the error. Cancel, and an urgent error, end the run at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/error.h"
#include "pipeline/stage.h"
#include "pipeline/stats.h"
#include "pipeline/trace.h"

namespace spanflow::pipeline {

struct Pipeline {
  std::shared_ptr<const Source> source;
  std::vector<std::shared_ptr<const Stage>> stages;
  int prefetch = -1;  // finished items that may wait for the consumer; -1: the run decides
};

struct RunOptions {
  int threads = 0;  // that work on the run, the consumer included while it waits; 0: NumThreads()
  int64_t memory = 0;     // bytes that the run may hold; 0: a quarter of the machine's
  bool oversize = false;  // an item of more than `memory` goes alone, and is no error
  bool ordered = true;    // else items are handed out as they are finished
  std::chrono::nanoseconds timeout{0};  // for the whole run; 0: none
  int64_t trace_events = 0;             // of each thread that are kept; 0: no trace
};

struct Delivery {
  enum class Kind : uint8_t { kItem, kEnd, kFailed, kInterrupted };

  Kind kind = Kind::kEnd;
  Item item;                     // kItem
  std::unique_ptr<Error> error;  // kFailed
  bool wakes = false;            // of TryNext: Settle shall be called
};

class Engine;

class Run {
 public:
  static base::Result<std::unique_ptr<Run>> Start(const Pipeline& pipeline,
                                                  const RunOptions& options);
  ~Run();  // cancels and waits until every thread has put down the item in hand
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  // The next item in order. Works on the run while there is none.
  Delivery Next(Caller& caller);
  // The same if that needs no waiting and no work; may be called attached. Threads that can go on
  // because of it are left to Settle, which must not be: a thread that wakes others may have to
  // make room for them at once.
  bool TryNext(Delivery* delivery);
  void Settle(Delivery* delivery);

  // The source is done: what is in flight still comes out.
  void Close();
  // Drops everything and wakes everyone. Never waits; may be called from any thread.
  void Cancel();
  // Cancels, waits for the threads and lets go of source and stages. The statistics stay. False
  // when something of them is still in use: by the caller, inside a stage, or by another consumer.
  bool Stop();
  // Waits, after Cancel, until no thread is at work any more: false when the time ran out first, or
  // at once when the caller is at work itself.
  bool AwaitEnd(std::chrono::milliseconds time);

  // Whether the calling thread is inside the work of this run.
  bool AtWorkHere() const;
  // Whether the calling thread is inside the work of some run. It must wait for no run then, since
  // that one may be waiting for this thread.
  static bool OnThreadOfAnyRun();

  RunStats Stats() const;
  // What is kept of it; nothing without RunOptions::trace_events.
  pipeline::Trace Trace() const;

 private:
  explicit Run(std::unique_ptr<Engine> engine);
  std::unique_ptr<Engine> engine_;
};

}  // namespace spanflow::pipeline
