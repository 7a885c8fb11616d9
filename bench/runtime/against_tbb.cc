// The runtime and the scheduler of pipelines against oneTBB, doing the same native work in one
// process, taking turns: medians of many rounds, and our time as a share of oneTBB's.

#include <sched.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_pipeline.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/run.h"
#include "runtime/pool.h"

namespace spanflow {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsOf(const std::function<void()>& work, int repeats) {
  const auto start = Clock::now();
  for (int i = 0; i < repeats; ++i) work();
  return std::chrono::duration<double>(Clock::now() - start).count() / repeats;
}

double Median(std::vector<double> times) {
  const auto middle = times.begin() + static_cast<ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

struct Row {
  std::string name;
  int64_t items;  // what a time is divided by
  std::function<void()> ours;
  std::function<void()> theirs;
};

void Measure(const Row& row, int rounds) {
  constexpr double kRoundSeconds = 0.01;
  const double once = std::max(SecondsOf(row.ours, 3), SecondsOf(row.theirs, 3));
  const int repeats = std::max(1, static_cast<int>(kRoundSeconds / once));
  std::vector<double> ours, theirs, ratios;
  for (int i = 0; i < rounds; ++i) {
    ours.push_back(SecondsOf(row.ours, repeats));
    theirs.push_back(SecondsOf(row.theirs, repeats));
    ratios.push_back(ours.back() / theirs.back());
  }
  const double scale = 1e6 / static_cast<double>(row.items);
  std::printf("%-46s%12.4f%12.4f%10.3f\n", row.name.c_str(), Median(ours) * scale,
              Median(theirs) * scale, Median(ratios));
  std::fflush(stdout);
}

// Work of about one nanosecond a step that no compiler can leave out.
uint64_t Churn(uint64_t x, int64_t steps) {
  for (int64_t i = 0; i < steps; ++i) x = x * 6364136223846793005u + 1442695040888963407u;
  return x;
}

// The same machine code for both.
template <class Steps>
[[gnu::noinline]] void Fill(std::vector<uint64_t>& out, int64_t begin, int64_t end, Steps steps) {
  for (int64_t i = begin; i < end; ++i) {
    out[static_cast<size_t>(i)] = Churn(static_cast<uint64_t>(i), steps(i));
  }
}

// With `exact` each call of the body gets one run of `grain` indices, which oneTBB calls a simple
// partitioner; without, both choose how many.
template <class Steps>
Row LoopRow(std::string name, int64_t n, int64_t grain, bool exact, Steps steps) {
  auto out = std::make_shared<std::vector<uint64_t>>(static_cast<size_t>(n));
  const auto body = [out, steps](int64_t begin, int64_t end) { Fill(*out, begin, end, steps); };
  const auto ours = [=] {
    exact ? runtime::ParallelFor(n, grain, body) : runtime::ParallelForRanges(n, grain, body);
  };
  const auto theirs = [=] {
    const tbb::blocked_range<int64_t> range(0, n, static_cast<size_t>(grain));
    const auto part = [&](const tbb::blocked_range<int64_t>& r) { body(r.begin(), r.end()); };
    exact ? tbb::parallel_for(range, part, tbb::simple_partitioner())
          : tbb::parallel_for(range, part);
  };
  return {name + (exact ? ", exact" : ""), 1, ours, theirs};
}

Row NestedRow() {
  constexpr int64_t kOuter = 16, kInner = 4096;
  auto out = std::make_shared<std::vector<uint64_t>>(kOuter * kInner);
  const auto body = [out](int64_t row, int64_t begin, int64_t end) {
    Fill(*out, row * kInner + begin, row * kInner + end, [](int64_t) { return 20; });
  };
  const auto ours = [body] {
    runtime::ParallelFor(kOuter, 1, [&](int64_t row, int64_t) {
      runtime::ParallelForRanges(kInner, 64,
                                 [&](int64_t begin, int64_t end) { body(row, begin, end); });
    });
  };
  const auto theirs = [body] {
    tbb::parallel_for(int64_t{0}, kOuter, [&](int64_t row) {
      tbb::parallel_for(
          tbb::blocked_range<int64_t>(0, kInner, 64),
          [&](const tbb::blocked_range<int64_t>& r) { body(row, r.begin(), r.end()); });
    });
  };
  return {"nested loops, 16 of 4096 x 20 ns", 1, ours, theirs};
}

class Number final : public pipeline::Value {
 public:
  explicit Number(uint64_t n) : value(n) {}
  int64_t nbytes() const override { return 8; }
  uint64_t value;
};

class Numbers final : public pipeline::Source {
 public:
  explicit Numbers(int64_t n) : n_(n) {}
  std::string Name() const override { return "numbers"; }
  base::Result<std::unique_ptr<pipeline::SourceRun>> Open(pipeline::Shape* shape) const override {
    class Opened final : public pipeline::SourceRun {
     public:
      explicit Opened(int64_t n) : n_(n) {}
      base::Status Produce(const pipeline::Request& request, pipeline::Produced* produced,
                           pipeline::Context&) override {
        for (pipeline::Item& item : request.items) {
          if (next_ == n_) break;
          item = std::make_unique<Number>(static_cast<uint64_t>(next_++));
          ++produced->count;
        }
        produced->end = next_ == n_;
        return base::Status::Ok();
      }

     private:
      const int64_t n_;
      int64_t next_ = 0;
    };
    shape->items = n_;
    return std::unique_ptr<pipeline::SourceRun>(new Opened(n_));
  }

 private:
  const int64_t n_;
};

class AddOne final : public pipeline::Stage {
 public:
  std::string Name() const override { return "add one"; }
  bool grows() const override { return false; }
  base::Result<std::unique_ptr<pipeline::StageRun>> Open(pipeline::Shape*) const override {
    class Opened final : public pipeline::StageRun {
      base::Status Process(pipeline::Item item, pipeline::Context& context) override {
        static_cast<Number&>(*item).value += 1;
        context.Emit(std::move(item));
        return base::Status::Ok();
      }
    };
    return std::unique_ptr<pipeline::StageRun>(new Opened);
  }
};

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(1);
}

uint64_t OurPipeline(int64_t items, int stages) {
  pipeline::Pipeline description;
  description.source = std::make_shared<Numbers>(items);
  for (int i = 0; i < stages; ++i) description.stages.push_back(std::make_shared<AddOne>());
  auto run = pipeline::Run::Start(description, {});
  if (!run.ok()) Die(run.status().message().c_str());
  pipeline::Caller caller;
  uint64_t sum = 0;
  for (;;) {
    const pipeline::Delivery delivery = (*run)->Next(caller);
    if (delivery.kind == pipeline::Delivery::Kind::kEnd) return sum;
    if (delivery.kind != pipeline::Delivery::Kind::kItem) Die("the run failed");
    sum += static_cast<const Number&>(*delivery.item).value;
  }
}

// Items that are allocated one by one, as ours are, or passed by value.
template <class Token, class Make, class Add, class Take>
uint64_t TheirPipeline(int64_t items, int stages, Make make, Add add, Take take) {
  int64_t next = 0;
  uint64_t sum = 0;
  tbb::filter<void, Token> chain = tbb::make_filter<void, Token>(
      tbb::filter_mode::serial_in_order, [&](tbb::flow_control& flow) {
        if (next == items) {
          flow.stop();
          return Token{};
        }
        return make(static_cast<uint64_t>(next++));
      });
  for (int i = 0; i < stages; ++i) {
    chain = chain & tbb::make_filter<Token, Token>(tbb::filter_mode::parallel, add);
  }
  constexpr size_t kTokens = 64;
  tbb::parallel_pipeline(
      kTokens, chain & tbb::make_filter<Token, void>(tbb::filter_mode::serial_in_order,
                                                     [&](Token token) { sum += take(token); }));
  return sum;
}

uint64_t TheirPipelineOfValues(int64_t items, int stages) {
  return TheirPipeline<uint64_t>(
      items, stages, [](uint64_t n) { return n; }, [](uint64_t n) { return n + 1; },
      [](uint64_t n) { return n; });
}

uint64_t TheirPipelineOfObjects(int64_t items, int stages) {
  return TheirPipeline<Number*>(
      items, stages, [](uint64_t n) { return new Number(n); },
      [](Number* number) {
        number->value += 1;
        return number;
      },
      [](Number* number) {
        const std::unique_ptr<Number> owned(number);
        return owned->value;
      });
}

Row PipelineRow(int stages, bool objects) {
  constexpr int64_t kItems = 200'000;
  const auto theirs = objects ? &TheirPipelineOfObjects : &TheirPipelineOfValues;
  if (OurPipeline(kItems, stages) != theirs(kItems, stages)) Die("the pipelines do not agree");
  return {"pipeline, " + std::to_string(stages) + " stages, oneTBB's items " +
              (objects ? "allocated" : "by value"),
          kItems, [=] { OurPipeline(kItems, stages); }, [=] { theirs(kItems, stages); }};
}

void PinTo(int core) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(core), &one);
  sched_setaffinity(0, sizeof one, &one);
}

// Gives each of the threads that share a loop a core of its own, in both pools: some systems leave
// two busy threads on one core for a while, and then a time says nothing of either.
void PinThreads(int threads) {
  const auto caller = std::this_thread::get_id();
  std::atomic<int> ours{0}, theirs{0};
  std::atomic<int> others{0};
  const auto pin = [&](std::atomic<int>& here) {
    PinTo(std::this_thread::get_id() == caller ? 0 : 1 + others++ % (threads - 1));
    ++here;
    const auto end = Clock::now() + std::chrono::seconds(5);
    while (here < threads && Clock::now() < end) {  // so that nobody comes twice
    }
  };
  runtime::ParallelFor(threads, 1, [&](int64_t, int64_t) { pin(ours); });
  tbb::parallel_for(
      tbb::blocked_range<int>(0, threads, 1), [&](const tbb::blocked_range<int>&) { pin(theirs); },
      tbb::simple_partitioner());
}

int Main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 41;
  const std::string only = argc > 3 ? argv[3] : "";
  runtime::SetNumThreads(threads);
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  static_cast<size_t>(threads));
  const auto steps = [](int64_t count) { return [count](int64_t) { return count; }; };
  std::printf("%d threads%37s%12s%12s%10s\n", threads, "", "ours, µs", "oneTBB, µs", "ratio");
  const auto measure = [&](const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      if (row.name.find(only) != std::string::npos) Measure(row, rounds);
    }
  };
  measure({
      PipelineRow(1, false),
      PipelineRow(3, false),
      PipelineRow(1, true),
      PipelineRow(3, true),
  });  // a run starts threads of its own, so these are not pinned
  if (threads > 1) PinThreads(threads);
  measure({
      LoopRow("loop of 2 x 0 ns, grain 1", 2, 1, false, steps(0)),
      LoopRow("loop of 64 x 10 ns, grain 1", 64, 1, false, steps(10)),
      LoopRow("loop of 64 x 10 ns, grain 1", 64, 1, true, steps(10)),
      LoopRow("loop of 1000 x 100 ns, grain 1", 1000, 1, false, steps(100)),
      LoopRow("loop of 1000 x 100 ns, grain 1", 1000, 1, true, steps(100)),
      LoopRow("loop of 100000 x 5 ns, grain 1", 100'000, 1, false, steps(5)),
      LoopRow("loop of 100000 x 5 ns, grain 1", 100'000, 1, true, steps(5)),
      LoopRow("loop of 100000 x 5 ns, grain 1024", 100'000, 1024, false, steps(5)),
      LoopRow("loop of 1000000 x 1 ns, grain 4096", 1'000'000, 4096, false, steps(1)),
      LoopRow("loop of 64 x 200 µs, grain 1", 64, 1, false, steps(200'000)),
      LoopRow("loop of 256 x 0 to 100 µs, grain 1", 256, 1, false,
              [](int64_t i) { return i * 400; }),
      LoopRow("loop of 256 x 0 to 100 µs, grain 1", 256, 1, true,
              [](int64_t i) { return i * 400; }),
      NestedRow(),
  });
  return 0;
}

}  // namespace
}  // namespace spanflow

int main(int argc, char** argv) { return spanflow::Main(argc, argv); }
