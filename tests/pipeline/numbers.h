// Numbers as items, and sources and stages of them that misbehave on request: what the tests of the
// scheduler are made of.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pipeline/run.h"

namespace spanflow::pipeline {

inline std::atomic<int64_t> live_numbers{0};

class Number final : public Value {
 public:
  explicit Number(int64_t n, int64_t nbytes = 0) : value(n), nbytes_(nbytes) { ++live_numbers; }
  ~Number() override { --live_numbers; }
  int64_t nbytes() const override { return nbytes_; }

  int64_t value;

 private:
  int64_t nbytes_;
};

inline int64_t NumberIn(const Item& item) { return static_cast<const Number&>(*item).value; }

struct CounterOptions {
  Mode mode = Mode::kParallel;
  int64_t nbytes = 0;
  int64_t fail_at = -1;
  std::chrono::microseconds pause{0};
};

// 0, 1, …, n - 1.
class Counter final : public Source {
 public:
  explicit Counter(int64_t n, CounterOptions options = {}) : n_(n), options_(options) {}
  std::string Name() const override { return "counter"; }
  Mode mode() const override { return options_.mode; }

  base::Result<std::unique_ptr<SourceRun>> Open(Shape* shape) const override {
    class Opened final : public SourceRun {
     public:
      Opened(int64_t n, CounterOptions options) : n_(n), options_(options) {}
      base::Status Produce(const Request& request, Produced* produced, Context&) override {
        int64_t first = options_.mode == Mode::kParallel ? request.first : next_;
        for (Item& item : request.items) {
          if (first >= n_) break;
          if (options_.pause.count() > 0) std::this_thread::sleep_for(options_.pause);
          if (first == options_.fail_at) return base::Status::Value("the source broke");
          item = std::make_unique<Number>(first++, options_.nbytes);
          ++produced->count;
          if (options_.mode != Mode::kParallel) ++next_;
        }
        produced->end = first >= n_;
        return base::Status::Ok();
      }
      int64_t BytesOf(int64_t) const override { return options_.nbytes; }

     private:
      const int64_t n_;
      const CounterOptions options_;
      int64_t next_ = 0;
    };
    shape->items = n_;
    return std::unique_ptr<SourceRun>(new Opened(n_, options_));
  }

 private:
  const int64_t n_;
  const CounterOptions options_;
};

// Any function of (item, context) as a stage; `finish` is called after the last item.
class FunctionStage final : public Stage {
 public:
  using Process = std::function<base::Status(Item, Context&)>;
  using Finish = std::function<base::Status(Context&)>;
  FunctionStage(std::string name, Mode mode, Process process, Finish finish = nullptr,
                bool grows = false)
      : name_(std::move(name)),
        mode_(mode),
        process_(std::move(process)),
        finish_(std::move(finish)),
        grows_(grows) {}

  std::string Name() const override { return name_; }
  Mode mode() const override { return mode_; }
  bool grows() const override { return grows_; }
  base::Result<std::unique_ptr<StageRun>> Open(Shape*) const override {
    class Opened final : public StageRun {
     public:
      explicit Opened(const FunctionStage* stage) : stage_(stage) {}
      base::Status Process(Item item, Context& context) override {
        return stage_->process_(std::move(item), context);
      }
      base::Status Finish(Context& context) override {
        return stage_->finish_ ? stage_->finish_(context) : base::Status::Ok();
      }

     private:
      const FunctionStage* stage_;
    };
    return std::unique_ptr<StageRun>(new Opened(this));
  }

 private:
  const std::string name_;
  const Mode mode_;
  const Process process_;
  const Finish finish_;
  const bool grows_;
};

inline std::shared_ptr<const Stage> Each(Mode mode, std::function<void(Number&)> function) {
  return std::make_shared<FunctionStage>(
      "each", mode, [function = std::move(function)](Item item, Context& context) {
        function(static_cast<Number&>(*item));
        context.Emit(std::move(item));
        return base::Status::Ok();
      });
}

struct Outcome {
  std::vector<int64_t> values;
  Delivery::Kind end = Delivery::Kind::kItem;
  std::unique_ptr<Error> error;
};

inline Outcome Drain(Run& run, std::chrono::microseconds pause = {}) {
  Outcome outcome;
  Caller caller;
  for (;;) {
    Delivery delivery = run.Next(caller);
    outcome.end = delivery.kind;
    outcome.error = std::move(delivery.error);
    if (delivery.kind != Delivery::Kind::kItem) return outcome;
    outcome.values.push_back(NumberIn(delivery.item));
    delivery.item = nullptr;
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
  }
}

inline std::unique_ptr<Run> StartOrDie(const Pipeline& pipeline, RunOptions options = {}) {
  auto run = Run::Start(pipeline, options);
  if (!run.ok()) throw std::runtime_error(run.status().message());
  return *std::move(run);
}

}  // namespace spanflow::pipeline
