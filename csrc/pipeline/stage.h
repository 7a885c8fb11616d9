// Source and Stage: the two kinds of parts that a pipeline is described with, and what stands for
// them during one run (SourceRun, StageRun).
//
// A description is immutable and may serve any number of runs at once. Opening it gives an object
// that belongs to one run and may keep state. A new stage is one class of each kind; the scheduler
// needs to know its mode only.
//
// Owns: a run's objects are owned by the run and destroyed after its threads are gone.
// Threads: as the mode says. kParallel: Process may run on several threads at once; the serial
// modes: on one at a time, whichever thread it is.
// Attached: never; a stage that calls Python attaches by itself.
// Fails: with a Status, or by Context::Throw with an exception object that reaches the consumer.
// C++ exceptions are caught by the scheduler: out-of-memory, and bugs.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/dtype.h"
#include "base/layout.h"
#include "base/status.h"
#include "pipeline/item.h"
#include "runtime/cancel.h"

namespace spanflow::pipeline {

// oneTBB's words.
enum class Mode : uint8_t { kParallel, kSerialInOrder, kSerialOutOfOrder };
const char* NameOf(Mode mode);

// The thread that called Run::Next, where it works on the run itself.
class Caller {
 public:
  virtual ~Caller() = default;
  // Asked at least every 50 ms while Next waits: true ends the wait (Ctrl-C).
  virtual bool Interrupted() { return false; }
};

// Thrown in a child process that was forked inside of a stage or source, on the consumer's thread:
// of the run nothing may be touched any more.
struct LeftBehind {};

class Context;

// What is left of an item of which a stage makes many: it goes on when the run has room for more.
class Rest {
 public:
  Rest() = default;
  Rest(const Rest&) = delete;
  Rest& operator=(const Rest&) = delete;
  virtual ~Rest() = default;
  // Emits at least one more item, unless there is none.
  virtual base::Status Continue(Context& context) = 0;
};

// What a stage may use while it works on an item. One per thread of the run.
class Context {
 public:
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  virtual ~Context() = default;

  // Passes an item on. A stage may emit none, one or several for each that it gets.
  void Emit(Item item) { out_.push_back(std::move(item)); }

  // Whether what was emitted shall go on before there is more. A stage that makes any number of
  // items of one asks after each, and leaves the others for Later.
  bool Enough() const {
    return Unwanted() || (!out_.empty() && (out_.size() >= kPartItems || budget_->full()));
  }
  // What was emitted goes on now; `rest` makes the others.
  void Later(std::unique_ptr<Rest> rest) { rest_ = std::move(rest); }
  // Nobody will take what comes of the item in hand.
  bool Unwanted() const { return item_ > stop_->load(); }

  // For serial stages in order: the item in hand is the last one that is wanted. What is behind it
  // is dropped, errors as well, and the stages behind this one finish.
  void EndHere() { end_here_ = true; }

  // A new array that counts against the run's memory until its last view dies.
  base::Result<array::View> NewArray(const base::DType& dtype, const base::Dims& shape);
  // The same for an array that was made already.
  base::Result<array::View> Charged(array::View view);

  // Makes `exception` the error of the item in hand; return the result from Process. An urgent one
  // (KeyboardInterrupt) does not wait for the items before it.
  base::Status Throw(std::unique_ptr<Value> exception, bool urgent = false);

  int64_t item() const { return item_; }  // index at the source of the item in hand
  const runtime::CancelToken& cancel() const { return *cancel_; }
  const std::shared_ptr<Budget>& budget() const { return budget_; }

  // Null on the run's own threads.
  Caller* caller() const { return caller_; }
  // What a stage wants to keep for this thread; destroyed on the thread itself when it ends. Not
  // used where caller() is set.
  std::unique_ptr<Value>& local() { return local_; }
  // Time spent attached to an interpreter, for the statistics of the stage.
  void AddAttached(int64_t nanoseconds) { attached_ns_ += nanoseconds; }
  int64_t TakeAttached() { return std::exchange(attached_ns_, 0); }

 protected:
  static constexpr size_t kPartItems = 64;

  Context(const runtime::CancelToken* cancel, const std::atomic<int64_t>* stop,
          std::shared_ptr<Budget> budget)
      : cancel_(cancel), stop_(stop), budget_(std::move(budget)) {}

  // The bytes of the view count against the run's memory from now on.
  void Charge(int64_t nbytes, array::View* view);

  const runtime::CancelToken* cancel_;
  const std::atomic<int64_t>* stop_;  // items behind this one are dropped
  std::shared_ptr<Budget> budget_;
  Caller* caller_ = nullptr;
  std::unique_ptr<Value> local_;
  Items out_;
  std::unique_ptr<Rest> rest_;
  int64_t item_ = -1;
  int64_t attached_ns_ = 0;
  std::atomic<int64_t> bytes_made_{0};  // written by this thread only
  std::unique_ptr<Value> exception_;
  bool urgent_ = false;
  bool end_here_ = false;
};

// What is known of the items at one place of a pipeline before it runs.
struct Shape {
  int64_t items = -1;  // how many there will be; -1: not known
  int64_t rows = -1;   // rows of the source, as long as chunks stand for consecutive ones; else -1
  bool none_wanted = false;  // a stage lets no item through: the source is not even asked
};

class Calls;
class ServedRun;

class StageRun {
 public:
  virtual ~StageRun() = default;
  virtual base::Status Process(Item item, Context& context) = 0;
  // After the last item has passed, for serial stages only: what was held back may be emitted.
  virtual base::Status Finish(Context&) { return base::Status::Ok(); }
  virtual ServedRun* AsServed() { return nullptr; }
};

// A stage that has threads of its own, which work on its items; see calls.h. The run's threads pack
// an item, hand it over, and later process what came back in its place.
class ServedRun : public StageRun {
 public:
  // Before anything else.
  virtual void Begin(std::shared_ptr<Calls> calls) = 0;
  virtual int servers() const = 0;  // how many threads
  // Whether as many of the stage's places are used as turn out to help.
  virtual bool tuned() const { return false; }
  // What each of them does: returns once the calls are stopped, and returns every call until then.
  virtual void Serve(Context& context) = 0;
  // On a thread of the run, before the item is handed over.
  virtual base::Status Pack(Item*, Context&) { return base::Status::Ok(); }
  ServedRun* AsServed() final { return this; }
};

class Stage {
 public:
  virtual ~Stage() = default;
  virtual std::string Name() const = 0;  // as in an error's note: "map(sqrt)"
  virtual Mode mode() const { return Mode::kParallel; }
  // Whether it may make items larger than those it gets. Such a stage waits while the run's memory
  // is full; others go on, because they free memory.
  virtual bool grows() const { return true; }
  // How many items threads of its own work on at once (ServedRun); 0 if it has none.
  virtual int places() const { return 0; }
  // `shape` is what comes in, and on return what goes out.
  virtual base::Result<std::unique_ptr<StageRun>> Open(Shape* shape) const = 0;
};

// Which items a source is asked for.
struct Request {
  int64_t first;          // index of the first
  std::span<Item> items;  // to be filled from the front
  int64_t nbytes;         // a serial source stops early when its items reach this
};

struct Produced {
  int64_t count = 0;  // items filled; may be fewer than asked, and none only at the end
  bool end = false;   // no more will come
};

class SourceRun {
 public:
  virtual ~SourceRun() = default;
  // When it fails, the items filled so far are lost unless `produced` counts them.
  virtual base::Status Produce(const Request& request, Produced* produced, Context& context) = 0;
  // What item `index` will hold, when that is known beforehand; 0 if not.
  virtual int64_t BytesOf(int64_t) const { return 0; }
};

class Source {
 public:
  virtual ~Source() = default;
  virtual std::string Name() const = 0;
  // A parallel source is asked for any index from first() on, as many as Shape::items, which it
  // must know, by several threads at once, and always fills what it is asked for. A serial one is
  // asked in order.
  virtual Mode mode() const { return Mode::kSerialInOrder; }
  // Whether Produce may wait, and be it for what the consumer makes of earlier items. The consumer
  // then leaves it to the run's own threads.
  virtual bool may_wait() const { return false; }
  // The number of its first item. Shape::items does not count those before.
  virtual int64_t first() const { return 0; }
  virtual base::Result<std::unique_ptr<SourceRun>> Open(Shape* shape) const = 0;
};

}  // namespace spanflow::pipeline
