// What can be seen of a run from outside: statistics, traces, and what it waits for when its time
// is over.

#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "pipeline/engine.h"

namespace spanflow::pipeline {
namespace {

using base::Status;

std::string SecondsText(std::chrono::nanoseconds time) {
  std::string text = std::to_string(static_cast<double>(time.count()) * 1e-9);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + (text == "1" ? " second" : " seconds");
}

}  // namespace

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
    if (const Calls* calls = stages_[i]->calls.get()) {
      stats.stages[i + 1].retried = calls->retried.load();
      stats.stages[i + 1].skipped = calls->skipped.load();
      stats.stages[i + 1].workers = calls->places();
      stats.stages[i + 1].workers_most = calls->most_places();
    }
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

Trace Engine::Trace() const {
  pipeline::Trace trace;
  if (trace_events_ == 0 || Forked()) return trace;
  trace.started_at = started_at_;
  trace.stages.push_back(source_name_);
  for (const auto& cell : stages_) trace.stages.push_back(cell->name);
  const auto add = [&trace](const TraceRing& ring) {
    pipeline::Trace::Thread& thread = trace.threads.back();
    int64_t dropped;
    const std::vector<TraceEvent> events = ring.Events(&dropped);
    thread.events.insert(thread.events.end(), events.begin(), events.end());
    thread.dropped += dropped;
  };
  trace.threads.push_back({"consumer", {}});
  add(*out_trace_);
  add(*consumer_->trace);
  const std::lock_guard lock(crew_mutex_);
  for (const auto& worker : workers_) {
    trace.threads.push_back({"thread " + std::to_string(trace.threads.size()), {}});
    add(*worker->trace);
  }
  return trace;
}

TraceEvent Engine::Level() const {
  return {TraceEvent::Kind::kLevel, 0, tail_.load() - head_.load(), Now(), budget_->used()};
}

// The consumer had nothing to do since `begun`.
void Engine::TraceWait(int64_t begun) {
  const std::lock_guard lock(head_mutex_);
  out_trace_->Add({TraceEvent::Kind::kIdle, 0, 0, begun, Now()});
}

// Once the time is over, the next thing that the consumer gets is an error that says so.
void Engine::CheckDeadline() {
  if (deadline_ == kNever || Now() < deadline_) return;
  if (finished_.load() || has_urgent_.load() || cancel_.cancelled()) return;
  auto error = std::make_unique<Error>();
  error->status =
      Status(base::Code::kTimeout, "the run did not end within timeout=" + SecondsText(timeout_));
  error->waiting_for = WaitingFor();
  FailNow(std::move(error));
}

// Where the oldest token is.
std::string Engine::WaitingFor() {
  const int64_t head = head_.load();
  const std::string item = "item " + std::to_string(head);
  const uint32_t state = SlotOf(head).state.load();
  const auto phase = static_cast<Phase>(state & 0xff);
  const auto name = [this](size_t stage) {
    return stage == 0 ? source_name_ : stages_[stage - 1]->name;
  };
  if (head == tail_.load() || phase == Phase::kFree) return item + " of " + source_name_;
  if (phase == Phase::kDone) return "the consumer to take " + item;
  if (phase == Phase::kInGate)
    return item + ", whose turn at " + name((state >> 8) + 1) + " had not come";
  if (phase == Phase::kParked) return item + ", which waited before " + name((state >> 8) + 1);
  const std::lock_guard lock(crew_mutex_);
  for (const auto& worker : workers_) {
    if (worker->at_item.load() == head) return item + " inside " + name(worker->at_stage.load());
  }
  return item;
}

}  // namespace spanflow::pipeline
