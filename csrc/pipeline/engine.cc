#include "pipeline/engine.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>

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

int PlacesOf(const Pipeline& pipeline) {
  int places = 0;
  for (const auto& stage : pipeline.stages) places += stage->places();
  return places;
}

}  // namespace

Engine::Engine(const Pipeline& pipeline, const RunOptions& options, std::shared_ptr<Budget> budget)
    : threads_(options.threads > 0 ? std::min(options.threads, runtime::kMaxThreads)
                                   : runtime::NumThreads()),
      places_(PlacesOf(pipeline)),
      ordered_(options.ordered),
      forks_(runtime::ForkCount()),
      budget_(std::move(budget)),
      work_(budget_->freed()),
      pipeline_(pipeline),
      limit_is_fixed_(pipeline.prefetch >= 0),
      timeout_(options.timeout),
      trace_events_(options.trace_events) {
  const int hands = threads_ + places_;
  const int64_t limit = limit_is_fixed_ ? hands + pipeline.prefetch : 2 * hands + 2;
  limit_ = limit;
  const int64_t most = limit_is_fixed_ ? limit : std::max(kMaxTokens, limit);
  ring_ = std::vector<Slot>(std::bit_ceil(static_cast<size_t>(most)));
  ring_mask_ = ring_.size() - 1;
}

Result<std::unique_ptr<Engine>> Engine::Make(const Pipeline& pipeline, const RunOptions& options) {
  auto budget = std::make_shared<Budget>(MemoryLimit(options.memory),
                                         options.memory > 0 && !options.oversize);
  std::unique_ptr<Engine> engine(new Engine(pipeline, options, std::move(budget)));
  SPANFLOW_TRY(engine->Open());
  engine->started_at_ = Now();
  const bool has_deadline = options.timeout.count() > 0;
  if (has_deadline) engine->deadline_ = engine->started_at_ + options.timeout.count();
  engine->consumer_ = engine->NewWorker();
  if (options.trace_events > 0) {
    engine->out_trace_ = std::make_unique<TraceRing>(options.trace_events);
  }
  SPANFLOW_TRY(engine->StartServers());
  for (int i = 1; i < engine->threads_; ++i) {
    // If there are no more, the threads that there are do the work.
    if (!engine->StartThread([&made = *engine](Worker& worker) { made.WorkOn(worker); })) break;
  }
  // A consumer that asks for finished items to wait for it wants work to go on without it. And one
  // that waits inside of the source cannot take what is finished meanwhile, nor one inside of any
  // item look at the clock.
  const bool alone = engine->threads_ == 1 && (engine->places_ == 0 || !engine->source_may_wait_);
  const bool only_takes = alone ? pipeline.prefetch > 0 : engine->source_may_wait_;
  if (only_takes || has_deadline) engine->ExpandCrew();
  return engine;
}

Status Engine::Open() {
  Shape shape;
  source_name_ = pipeline_.source->Name();
  source_mode_ = pipeline_.source->mode();
  source_may_wait_ = pipeline_.source->may_wait();
  SPANFLOW_ASSIGN(source_, pipeline_.source->Open(&shape));
  const int64_t first = pipeline_.source->first();
  tail_ = head_ = first;
  if (source_mode_ == Mode::kParallel) end_ = first + shape.items;
  for (const auto& stage : pipeline_.stages) {
    auto cell = std::make_unique<Cell>();
    cell->name = stage->Name();
    cell->mode = stage->mode();
    cell->grows = stage->grows();
    cell->passed = first;
    SPANFLOW_ASSIGN(cell->run, stage->Open(&shape));
    if (std::exchange(shape.none_wanted, false)) {
      end_ = first;
      end_stage_ = stages_.size();
    }
    if (ServedRun* served = cell->run->AsServed()) {
      cell->calls = std::make_shared<Calls>(this, stages_.size(), stage->places(), served->tuned());
      served->Begin(cell->calls);
    }
    stages_.push_back(std::move(cell));
  }
  return Status::Ok();
}

Status Engine::StartServers() {
  for (const auto& cell : stages_) {
    if (cell->calls == nullptr) continue;
    ServedRun* const served = cell->run->AsServed();
    for (int i = 0; i < served->servers(); ++i) {
      const auto serve = [this, served, calls = cell->calls](Worker& worker) {
        if (calls->Admit()) ServeOn(*served, worker);
      };
      if (StartThread(serve)) continue;
      return Status::Os(EAGAIN, "starting thread " + std::to_string(i + 1) + " of " + cell->name);
    }
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

std::unique_ptr<Worker> Engine::NewWorker() {
  auto worker = std::make_unique<Worker>(&cancel_, &stop_, budget_, stages_.size() + 1);
  if (trace_events_ > 0) worker->trace = std::make_unique<TraceRing>(trace_events_);
  return worker;
}

void Engine::ServeOn(ServedRun& served, Worker& worker) {
  try {
    served.Serve(worker);
  } catch (const std::exception& error) {  // out of memory: what it had in hand is lost
    auto failed = std::make_unique<Error>();
    failed->status = Status(base::Code::kRuntime, error.what());
    FailNow(std::move(failed));
  }
}

bool Engine::StartThread(std::function<void(Worker&)> body) {
  const std::lock_guard lock(crew_mutex_);
  if (exit_.load()) return false;
  workers_.push_back(NewWorker());
  Worker& worker = *workers_.back();
  working_.fetch_add(1);
  auto thread = platform::Thread::Start(
      "spanflow-run", [this, &worker, body = std::move(body)] { ThreadMain(worker, body); });
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
  if (StartThread([this](Worker& worker) { WorkOn(worker); })) full_crew_.store(true);
}

void Engine::ThreadMain(Worker& worker, const std::function<void(Worker&)>& body) {
  engine_of_this_thread = this;
  body(worker);
  worker.items.clear();
  worker.batch.clear();
  worker.local_ = nullptr;
  working_.fetch_sub(1);
  thread_ended_.NotifyAll();
}

void Engine::WorkOn(Worker& worker) {
  while (!exit_.load()) {
    if (Work(worker)) continue;
    const int64_t idle_since = Now();
    const auto wake = [this] { return exit_.load() || HasWork(); };
    if (!runtime::Spin(wake)) work_.Wait(wake);
    const int64_t now = Now();
    Count(worker.idle_ns, now - idle_since);
    if (worker.trace) worker.trace->Add({TraceEvent::Kind::kIdle, 0, 0, idle_since, now});
  }
}

bool Engine::Work(Worker& worker) {
  if (exit_.load()) return false;
  return RunParked(worker) || StartTokens(worker);
}

bool Engine::HasWork() {
  if (ready_count_.load() > 0) return true;
  if (const int64_t oldest = oldest_starved_.load(); oldest != kNever) {
    budget_->wanted.store(true);
    if (MayGrow(oldest)) return true;
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
  for (const auto& cell : stages_) {
    if (cell->calls != nullptr) cell->calls->Stop();
  }
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
  cancel_.Cancel();  // first, so that what is dropped from now on is not taken for the end
  stop_.store(-1);
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
void Run::Settle(Delivery* delivery) { engine_->Settle(delivery); }
bool Run::AwaitEnd(std::chrono::milliseconds time) { return engine_->AwaitEnd(time); }
void Run::Close() { engine_->Close(); }
void Run::Cancel() { engine_->Cancel(); }
bool Run::Stop() { return engine_->Stop(); }
bool Run::AtWorkHere() const { return engine_->AtWorkHere(); }
bool Run::OnThreadOfAnyRun() { return Engine::OnThreadOfAnyRun(); }
RunStats Run::Stats() const { return engine_->Stats(); }
Trace Run::Trace() const { return engine_->Trace(); }

}  // namespace spanflow::pipeline
