#include "pipeline/engine.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <numeric>

#include "platform/topology.h"
#include "runtime/fork.h"
#include "runtime/pool.h"
#include "runtime/spin.h"

namespace spanflow::pipeline {

thread_local const Engine* engine_of_this_thread = nullptr;

namespace {

using base::Result;
using base::Status;

constexpr int64_t kMaxTokens = 256;

int64_t MemoryLimit(int64_t asked) { return asked > 0 ? asked : platform::UsableMemory() / 4; }

}  // namespace

Engine::Engine(const Pipeline& pipeline, const RunOptions& options, std::shared_ptr<Budget> budget)
    : threads_(options.threads > 0 ? std::min(options.threads, runtime::kMaxThreads)
                                   : runtime::NumThreads()),
      forks_(runtime::ForkCount()),
      budget_(std::move(budget)),
      work_(budget_->freed()),
      pipeline_(pipeline),
      limit_is_fixed_(pipeline.prefetch >= 0) {
  const int64_t limit = limit_is_fixed_ ? threads_ + pipeline.prefetch : 2 * threads_ + 2;
  limit_ = limit;
  const int64_t most = limit_is_fixed_ ? limit : std::max(kMaxTokens, limit);
  ring_ = std::vector<Slot>(std::bit_ceil(static_cast<size_t>(most)));
  ring_mask_ = ring_.size() - 1;
}

Result<std::unique_ptr<Engine>> Engine::Make(const Pipeline& pipeline, const RunOptions& options) {
  auto budget = std::make_shared<Budget>(MemoryLimit(options.memory), options.memory > 0);
  std::unique_ptr<Engine> engine(new Engine(pipeline, options, std::move(budget)));
  SPANFLOW_TRY(engine->Open());
  engine->started_at_ = Now();
  engine->consumer_ =
      std::make_unique<Worker>(&engine->cancel_, engine->budget_, engine->stages_.size() + 1);
  for (int i = 1; i < engine->threads_; ++i) {
    if (!engine->StartThread()) break;  // the threads that there are do the work
  }
  // A consumer that asks for finished items to wait for it wants work to go on without it. And one
  // that waits inside of the source cannot take what is finished meanwhile.
  const bool alone = engine->threads_ == 1;
  if (alone ? pipeline.prefetch > 0 : engine->source_may_wait_) engine->ExpandCrew();
  return engine;
}

Status Engine::Open() {
  Shape shape;
  source_name_ = pipeline_.source->Name();
  source_mode_ = pipeline_.source->mode();
  source_may_wait_ = pipeline_.source->may_wait();
  SPANFLOW_ASSIGN(source_, pipeline_.source->Open(&shape));
  if (source_mode_ == Mode::kParallel) end_ = shape.items;
  for (const auto& stage : pipeline_.stages) {
    auto cell = std::make_unique<Cell>();
    cell->name = stage->Name();
    cell->mode = stage->mode();
    cell->grows = stage->grows();
    SPANFLOW_ASSIGN(cell->run, stage->Open(&shape));
    stages_.push_back(std::move(cell));
  }
  return Status::Ok();
}

Engine::~Engine() { Stop(); }

bool Engine::Forked() const { return runtime::ForkCount() != forks_; }

bool Engine::AtWorkHere() const {
  if (engine_of_this_thread == this) return true;
  for (const HelpFrame* frame = help_of_this_thread; frame != nullptr; frame = frame->outer) {
    if (frame->engine == this) return true;
  }
  return false;
}

bool Engine::OnThreadOfAnyRun() {
  return engine_of_this_thread != nullptr || help_of_this_thread != nullptr;
}

bool Engine::StartThread() {
  const std::lock_guard lock(crew_mutex_);
  if (exit_.load()) return false;
  workers_.push_back(std::make_unique<Worker>(&cancel_, budget_, stages_.size() + 1));
  Worker& worker = *workers_.back();
  working_.fetch_add(1);
  auto thread = platform::Thread::Start("spanflow-run", [this, &worker] { WorkerMain(worker); });
  if (!thread.ok()) {
    working_.fetch_sub(1);
    return false;
  }
  crew_.push_back(*std::move(thread));
  return true;
}

// From now on the consumer only waits, so that it can answer signals.
void Engine::ExpandCrew() {
  if (full_crew_.load()) return;
  if (StartThread()) full_crew_.store(true);
}

void Engine::WorkerMain(Worker& worker) {
  engine_of_this_thread = this;
  while (!exit_.load()) {
    if (Work(worker)) continue;
    const int64_t idle_since = Now();
    const auto wake = [this] { return exit_.load() || HasWork(); };
    if (!runtime::Spin(wake)) work_.Wait(wake);
    Count(worker.idle_ns, Now() - idle_since);
  }
  worker.items.clear();
  worker.batch.clear();
  worker.local_ = nullptr;
  working_.fetch_sub(1);
  thread_ended_.NotifyAll();
}

bool Engine::Work(Worker& worker) {
  if (exit_.load()) return false;
  return RunParked(worker) || StartTokens(worker);
}

bool Engine::HasWork() {
  if (ready_count_.load() > 0) return true;
  if (const int64_t oldest = oldest_starved_.load(); oldest != kNever) {
    budget_->wanted.store(true);
    if (!budget_->full() || oldest == head_.load()) return true;
  }
  return CanStart();
}

void Engine::NotifyWork() {
  // A consumer that waits can help, if nobody else is free.
  if (!work_.NotifyOne()) out_.NotifyOne();
}

// Nothing more will be handed out: the threads may go.
void Engine::End() {
  int64_t running = 0;
  ended_at_.compare_exchange_strong(running, Now());
  exit_.store(true);
  work_.NotifyAll();
  out_.NotifyAll();
}

void Engine::Close() {
  if (Forked()) return;
  {
    const std::lock_guard lock(start_mutex_);
    closed_ = true;
    // A serial source that is in use brings its items first: see ReturnSource.
    if (!source_busy_.load()) end_.store(std::min(end_.load(), tail_.load()));
  }
  NotifyWork();
}

void Engine::Cancel() {
  if (Forked()) return;
  stop_.store(-1);
  cancel_.Cancel();
  End();
}

bool Engine::Stop() {
  if (Forked()) return false;
  Cancel();
  if (AtWorkHere()) return false;
  const std::lock_guard stopping(stop_mutex_);
  std::vector<platform::Thread> crew;
  {
    const std::lock_guard lock(crew_mutex_);
    crew.swap(crew_);
  }
  for (platform::Thread& thread : crew) thread.Join();
  return LetGo();
}

bool Engine::AwaitEnd(std::chrono::milliseconds time) {
  if (Forked()) return true;
  if (AtWorkHere()) return false;
  return thread_ended_.WaitFor(time, [this] { return working_.load() == 0 && !helping_.load(); });
}

int64_t TimeBuckets::Quantile(double share) const {
  const uint64_t all = std::accumulate(counts_.begin(), counts_.end(), uint64_t{0});
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(all)));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < kCount; ++bucket) {
    seen += counts_[bucket];
    if (seen >= wanted && seen != 0) return TimeOf(bucket);
  }
  return 0;
}

RunStats Engine::Stats() const {
  RunStats stats;
  stats.threads = threads_;
  stats.tokens_peak = tokens_peak_.load();
  stats.tokens = tail_.load() - head_.load();
  stats.bytes = budget_->used();
  stats.bytes_peak = budget_->peak();
  stats.memory = budget_->limit();
  stats.consumer_wait_ns = consumer_wait_ns_.load();
  const int64_t ended = ended_at_.load();
  stats.elapsed_ns = (ended != 0 ? ended : Now()) - started_at_;
  stats.stages.resize(stages_.size() + 1);
  stats.stages[0].name = source_name_;
  stats.stages[0].mode = NameOf(source_mode_);
  for (size_t i = 0; i < stages_.size(); ++i) {
    stats.stages[i + 1].name = stages_[i]->name;
    stats.stages[i + 1].mode = NameOf(stages_[i]->mode);
  }
  const auto add = [&stats](const Worker& worker) {
    stats.idle_ns += worker.idle_ns.load(std::memory_order_relaxed);
    stats.bytes_made += worker.bytes_made_.load(std::memory_order_relaxed);
    for (size_t i = 0; i < stats.stages.size(); ++i) {
      const StageCounters& from = worker.counters[i];
      StageStats& to = stats.stages[i];
      to.items += from.items.load(std::memory_order_relaxed);
      to.items_out += from.items_out.load(std::memory_order_relaxed);
      to.nbytes += from.nbytes.load(std::memory_order_relaxed);
      to.busy_ns += from.busy_ns.load(std::memory_order_relaxed);
      to.wait_ns += from.wait_ns.load(std::memory_order_relaxed);
      to.attached_ns += from.attached_ns.load(std::memory_order_relaxed);
      for (size_t b = 0; b < TimeBuckets::kCount; ++b) {
        to.times.Add(b, static_cast<uint64_t>(from.times[b].load(std::memory_order_relaxed)));
      }
    }
  };
  stats.delivered = delivered_.load();
  add(*consumer_);
  if (Forked()) return stats;  // the mutex may be held by a thread that is not there
  const std::lock_guard lock(crew_mutex_);
  for (const auto& worker : workers_) add(*worker);
  return stats;
}

Result<std::unique_ptr<Run>> Run::Start(const Pipeline& pipeline, const RunOptions& options) {
  SPANFLOW_ASSIGN(auto engine, Engine::Make(pipeline, options));
  return std::unique_ptr<Run>(new Run(std::move(engine)));
}

Run::Run(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

Run::~Run() {
  // Other threads held the engine's mutexes at the fork, and its tokens: it stays as it is.
  if (engine_->Forked()) static_cast<void>(engine_.release());
}

Delivery Run::Next(Caller& caller) { return engine_->Next(caller); }
bool Run::TryNext(Delivery* delivery) { return engine_->TryNext(delivery); }
bool Run::AwaitEnd(std::chrono::milliseconds time) { return engine_->AwaitEnd(time); }
void Run::Close() { engine_->Close(); }
void Run::Cancel() { engine_->Cancel(); }
bool Run::Stop() { return engine_->Stop(); }
bool Run::AtWorkHere() const { return engine_->AtWorkHere(); }
bool Run::OnThreadOfAnyRun() { return Engine::OnThreadOfAnyRun(); }
RunStats Run::Stats() const { return engine_->Stats(); }

}  // namespace spanflow::pipeline
