// Engine: the scheduler of one run. Its parts are in five files: engine.cc (life and threads),
// supply.cc (starting tokens), walk.cc (taking a token through the stages, and away to threads of
// a stage's own), output.cc (handing items to the consumer), watch.cc (statistics, traces and
// deadlines).
//
// Owns: everything of a run. Threads: thread-safe; who may touch what is said at each member.
// Attached: never. Fails: as Run (run.h).
//
// A token is a number and a slot of the ring. Its slot says where it is: being walked by one
// thread, parked before a stage, or done. Tokens from head_ (oldest, not yet handed out) to tail_
// (next to start) are alive, never more than limit_, which the ring can hold.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "pipeline/calls.h"
#include "pipeline/error.h"
#include "pipeline/run.h"
#include "pipeline/stage.h"
#include "pipeline/stats.h"
#include "pipeline/trace.h"
#include "platform/thread.h"
#include "runtime/cancel.h"
#include "runtime/event.h"

namespace spanflow::pipeline {

inline constexpr int64_t kNever = INT64_MAX;

// A consumer that works on an item cannot answer Ctrl-C, so it leaves long work to other threads.
inline constexpr int64_t kLongWork = 20'000'000;  // ns
inline constexpr int64_t kLargeItem = 32 << 20;   // bytes: may take that long

// Written by one thread, read by any.
struct StageCounters {
  std::atomic<int64_t> items{0};
  std::atomic<int64_t> items_out{0};
  std::atomic<int64_t> nbytes{0};
  std::atomic<int64_t> busy_ns{0};
  std::atomic<int64_t> wait_ns{0};
  std::atomic<int64_t> attached_ns{0};
  std::array<std::atomic<int64_t>, TimeBuckets::kCount> times{};
};
inline void Count(std::atomic<int64_t>& counter, int64_t more) {
  counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

// A thread that works on the run: one of its own, or the consumer inside Next.
class Worker final : public Context {
 public:
  Worker(const runtime::CancelToken* cancel, const std::atomic<int64_t>* stop,
         std::shared_ptr<Budget> budget, size_t stages)
      : Context(cancel, stop, std::move(budget)), counters(stages) {}

  Items items;                          // of the token in hand
  bool finishing = false;               // what is left of it is of what the stage had held back
  bool back = false;                    // they have been with the stage's own threads
  Items batch;                          // of the tokens that were started together
  std::vector<int64_t> credits;         // for the batch, already taken
  int lease = 1;                        // how many tokens to start together
  int64_t now = 0;                      // the last reading of the clock
  int64_t elsewhere_ns = 0;             // that threads of the stage spent on the token in hand
  std::vector<StageCounters> counters;  // the source first
  std::atomic<int64_t> idle_ns{0};
  std::atomic<int64_t> at_item{-1};  // where it is, or was last
  std::atomic<size_t> at_stage{0};
  std::unique_ptr<TraceRing> trace;  // null: no trace

  void Enter(int64_t token, size_t stage) {
    item_ = token;
    at_item.store(token, std::memory_order_relaxed);
    at_stage.store(stage, std::memory_order_relaxed);
  }

 private:
  friend class Engine;
};

class Engine;

// The run that this thread belongs to.
extern thread_local const Engine* engine_of_this_thread;
// The runs that this thread is helping with as their consumer, the innermost first.
struct HelpFrame {
  const Engine* engine;
  const HelpFrame* outer;
};
extern thread_local const HelpFrame* help_of_this_thread;

class Engine final : public CallHome {
 public:
  static base::Result<std::unique_ptr<Engine>> Make(const Pipeline& pipeline,
                                                    const RunOptions& options);
  ~Engine();

  Delivery Next(Caller& caller);
  bool TryNext(Delivery* delivery);
  void Settle(Delivery* delivery);
  void Close();
  void Cancel();
  bool Stop();
  bool AwaitEnd(std::chrono::milliseconds time);
  bool AtWorkHere() const;
  static bool OnThreadOfAnyRun();
  bool Forked() const;  // in a child process, where the threads are not
  RunStats Stats() const;
  pipeline::Trace Trace() const;

 private:
  // kParked: on the list of ready or starved tokens. kInGate: waits for its turn at a serial stage.
  // kAway: threads of the stage's own have its items.
  enum class Phase : uint32_t { kFree, kWalking, kParked, kInGate, kAway, kDone };

  // What a stage has not made yet of a token's items, while what it made goes on as a part.
  struct Frame {
    size_t stage;
    std::unique_ptr<Rest> rest;  // of the item that it is at; or null
    Items items;                 // those behind it
    bool finishing = false;      // `rest` is of what the stage had held back
    bool back = false;           // the items have been with the stage's own threads
  };

  struct alignas(64) Slot {
    std::atomic<uint32_t> state{0};  // Phase, and where a token waits, the stage << 8
    bool granted = false;            // its turn has come: it holds the serial stage already
    bool last = false;   // the end token: comes after all items, carries what was held back
    bool parts = false;  // some of what became of it was handed over before it was done
    std::atomic<size_t> handed_over{0};  // and not taken; of a token in parts
    std::atomic<size_t> away{0};         // items that have not come back
    std::atomic<int64_t> elsewhere_ns{0};
    std::atomic<int64_t> attached_ns{0};
    int64_t parked_at = 0;
    Items items;  // what a parked token has in hand
    std::unique_ptr<Rest> rest;
    bool finishing = false;
    bool back = false;
    std::vector<Frame> frames;  // the deepest stage last
    // For the consumer; of a token in parts under head_mutex_.
    Items out;
    size_t taken = 0;
    std::unique_ptr<Error> error;  // behind `out`

    bool HasOutput() const { return handed_over.load() > 0 || Is(Phase::kDone); }
    void Set(Phase phase, size_t stage = 0) {
      state.store(static_cast<uint32_t>(phase) | static_cast<uint32_t>(stage << 8));
    }
    bool Is(Phase phase, size_t stage = 0) const {
      return state.load() == (static_cast<uint32_t>(phase) | static_cast<uint32_t>(stage << 8));
    }
  };

  // A stage of this run. What follows `mutex` is guarded by it.
  struct Cell {
    std::string name;
    Mode mode = Mode::kParallel;
    bool grows = true;
    std::unique_ptr<StageRun> run;
    std::shared_ptr<Calls> calls;  // where the stage has threads of its own
    std::mutex mutex;
    bool busy = false;
    int64_t owner = -1;            // in order: the token that comes back with further parts
    int64_t passed = 0;            // tokens; in order, also the number of the next one
    std::vector<int64_t> waiting;  // out of order: tokens, first come first
    int64_t last_waiting = -1;     // out of order: the end token, which must pass last
  };

  // Tokens that one thread starts together.
  struct Lease {
    int64_t first = 0;
    int64_t count = 0;
    bool last = false;
  };

  Engine(const Pipeline& pipeline, const RunOptions& options, std::shared_ptr<Budget> budget);
  base::Status Open();

  // engine.cc
  std::unique_ptr<Worker> NewWorker();
  base::Status StartServers();
  bool StartThread(std::function<void(Worker&)> body);
  void ExpandCrew();
  void ThreadMain(Worker& worker, const std::function<void(Worker&)>& body);
  void WorkOn(Worker& worker);
  void ServeOn(ServedRun& served, Worker& worker);
  bool Work(Worker& worker);  // false: there is nothing to do now
  bool HasWork();             // a hint without locks; what Work would find
  void NotifyWork();
  void End();
  Slot& SlotOf(int64_t token) { return ring_[static_cast<size_t>(token) & ring_mask_]; }

  // supply.cc
  bool StartTokens(Worker& worker);
  bool TakeLease(Worker& worker, Lease* lease);
  int64_t TakeCredits(Worker& worker, int64_t wanted);
  bool ProduceInto(Worker& worker, Lease* lease);
  void Charge(Worker& worker, int64_t count);
  void ReturnSource(const Produced& produced, bool failed, Lease* lease);
  void WalkLease(Worker& worker, const Lease& lease);
  void AdaptLease(Worker& worker, int64_t count, int64_t elapsed);
  bool CanStart();

  // walk.cc
  void Walk(Worker& worker, int64_t token, size_t stage, bool granted);
  bool WalkDown(Worker& worker, int64_t token, size_t stage, bool granted);
  bool PassStage(Worker& worker, int64_t token, size_t stage);
  bool MayGrow(int64_t token);
  bool Admit(Worker& worker, int64_t token, size_t stage, bool granted);
  bool EnterGate(Worker& worker, Cell& cell, int64_t token, size_t stage);
  bool WaitInGate(Worker& worker, Cell& cell, int64_t token, size_t stage);
  void LeaveGate(Cell& cell, size_t stage, bool passed = true);
  void KeepGate(Cell& cell, size_t stage, int64_t token);
  void Starve(Worker& worker, int64_t token, size_t stage, bool granted);
  size_t TakeUpFrame(Worker& worker, int64_t token);
  int64_t NextInGate(Cell& cell, size_t stage);
  base::Status RunStage(Worker& worker, int64_t token, size_t stage);
  base::Status ProcessItems(Worker& worker, StageRun& run, size_t* processed);
  base::Status SendAway(Worker& worker, int64_t token, size_t stage);
  bool Wanted(int64_t token) const override { return !Dropped(token); }
  void TakeBack(size_t stage, Call call) override;
  void Park(Worker& worker, int64_t token, size_t stage, Phase phase);
  bool RunParked(Worker& worker);
  int64_t PopRunnable();
  void PushReady(int64_t token);
  bool LeaveToOthers(Worker& worker, int64_t token, size_t stage);
  void Fail(Worker& worker, int64_t token, const std::string& stage, base::Status status);
  bool NoteError(Worker& worker, int64_t token, const std::string& stage, base::Status status);
  void EndAt(int64_t token);
  void StopAt(int64_t token);
  bool Dropped(int64_t token) const { return token > stop_.load(); }

  // output.cc
  void Complete(Worker& worker, int64_t token);
  void HandOver(Worker& worker, int64_t token);
  void LetLoose(Worker& worker);
  // Tokens, and items that have left theirs, which no consumer has taken.
  int64_t Alive() const { return tail_.load() - head_.load() + loose_count_.load(); }
  bool TakeOutput(Delivery* delivery);
  bool WouldWake(const Delivery& delivery) const;
  static bool TellCancelled(Delivery* delivery);
  bool TakeOutputLocked(Delivery* delivery);
  bool TakeLooseLocked(Delivery* delivery);
  Item TakeItemLocked(Slot& slot);
  bool LetGo();
  bool OutputReady();
  bool Help(Caller& caller);
  void Wait(bool may_help);
  void RetireLocked(Slot& slot);
  Slot* SkipEmptyLocked();
  bool HasRoom() const;
  void HeadMoved();
  void NotifyIfHeadMayGrow();
  void FailNow(std::unique_ptr<Error> error);

  // watch.cc
  void CheckDeadline();
  std::string WaitingFor();
  TraceEvent Level() const;
  void TraceWait(int64_t begun);

  // Fixed once the run has begun.
  const int threads_;
  const int places_;  // of stages with threads of their own
  const bool ordered_;
  const uint64_t forks_;
  const std::shared_ptr<Budget> budget_;
  runtime::Event& work_;  // the budget's event: what threads of the run wait for
  Pipeline pipeline_;     // what the opened source and stages refer to
  std::string source_name_;
  Mode source_mode_ = Mode::kSerialInOrder;
  bool source_may_wait_ = false;
  std::unique_ptr<SourceRun> source_;
  std::vector<std::unique_ptr<Cell>> stages_;
  std::vector<Slot> ring_;
  size_t ring_mask_ = 0;
  bool limit_is_fixed_ = false;
  int64_t started_at_ = 0;
  const std::chrono::nanoseconds timeout_;
  int64_t deadline_ = kNever;  // on the clock of Now()
  const int64_t trace_events_;

  // Starting tokens. Written under start_mutex_.
  std::mutex start_mutex_;
  std::atomic<int64_t> tail_{0};
  std::atomic<int64_t> end_{kNever};  // tokens in all, once that is known, without the end token
  size_t end_stage_ = 0;  // where the end token begins: at a stage that lets nothing through
  std::atomic<bool> end_started_{false};
  bool closed_ = false;                      // under start_mutex_
  std::atomic<int64_t> call_ns_{kLongWork};  // what a stage's own threads take for an item, lately
  std::atomic<bool> source_busy_{false};
  std::atomic<int64_t> next_bytes_{1};  // what the next token must be able to take
  std::atomic<int64_t> limit_{1};
  std::atomic<int64_t> tokens_peak_{0};
  std::atomic<bool> tokens_wanted_{false};  // a thread waits for a token to be handed out
  std::atomic<bool> source_wanted_{false};  // a thread waits for the serial source

  // Parked tokens that can go on (ready), or could if there were memory (starved): heaps, the
  // oldest on top, under ready_mutex_.
  std::mutex ready_mutex_;
  std::vector<int64_t> ready_;
  std::vector<int64_t> starved_;
  std::atomic<int64_t> ready_count_{0};
  std::atomic<int64_t> oldest_starved_{kNever};

  // Handing out. Written under head_mutex_.
  std::mutex head_mutex_;
  std::atomic<int64_t> head_{0};
  std::atomic<bool> finished_{false};  // the last item or the error was handed out
  std::unique_ptr<Error> urgent_;
  std::atomic<bool> has_urgent_{false};
  std::atomic<int64_t> delivered_{0};
  std::deque<Item> loose_;  // out of order: finished items; under head_mutex_
  std::atomic<int64_t> loose_count_{0};
  runtime::Event out_;                    // what consumers wait for
  std::unique_ptr<TraceRing> out_trace_;  // of consumers; under head_mutex_; null: no trace

  std::atomic<int64_t> stop_{kNever};  // tokens behind this one are dropped; -1: all
  std::atomic<bool> exit_{false};      // threads of the run shall end
  runtime::CancelToken cancel_;

  std::atomic<bool> helping_{false};    // a consumer works on the run
  int slowness_ = 0;                    // see Help; under helping_
  std::atomic<bool> full_crew_{false};  // threads_ threads of its own: consumers need not help
  std::atomic<int64_t> consumer_wait_ns_{0};
  std::atomic<int64_t> ended_at_{0};
  std::unique_ptr<Worker> consumer_;
  std::atomic<int> working_{0};  // threads of its own that have not ended
  runtime::Event thread_ended_;
  std::mutex stop_mutex_;  // one Stop at a time
  mutable std::mutex crew_mutex_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<platform::Thread> crew_;
};

}  // namespace spanflow::pipeline
