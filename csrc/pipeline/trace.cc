#include "pipeline/trace.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <string_view>

namespace spanflow::pipeline {
namespace {

constexpr int kPlaceShift = 8;  // the kind lies below

// One place is always free: see Events.
int64_t CapacityFor(int64_t events) {
  const auto wanted = static_cast<uint64_t>(std::clamp<int64_t>(events, 1, TraceRing::kMost));
  return static_cast<int64_t>(std::bit_ceil(wanted + 1));
}

// A string of JSON.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

// Writes the events of one run, each a line.
class Writer {
 public:
  explicit Writer(const Trace& trace) : trace_(trace) {}

  std::string Write() && {
    text_ = "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"dropped_events\":\"" +
            std::to_string(trace_.dropped()) + "\"},\"traceEvents\":[";
    Line(R"({"ph":"M","pid":1,"name":"process_name","args":{"name":"spanflow run"}})");
    if (trace_.dropped() > 0) Dropped();
    for (size_t i = 0; i < trace_.threads.size(); ++i) Thread(i);
    return std::move(text_) + "\n]}\n";
  }

 private:
  void Line(const std::string& event) {
    text_ += is_first_ ? "\n" : ",\n";
    is_first_ = false;
    text_ += event;
  }

  void Dropped() {
    Line(R"({"ph":"i","pid":1,"tid":0,"s":"g","ts":0,"name":)" +
         Quoted(std::to_string(trace_.dropped()) + " older events were dropped") + "}");
  }

  void Thread(size_t index) {
    const Trace::Thread& thread = trace_.threads[index];
    const std::string tid = std::to_string(index);
    Line(R"({"ph":"M","pid":1,"tid":)" + tid + R"(,"name":"thread_name","args":{"name":)" +
         Quoted(thread.name) + "}}");
    Line(R"({"ph":"M","pid":1,"tid":)" + tid +
         R"(,"name":"thread_sort_index","args":{"sort_index":)" + tid + "}}");
    for (const TraceEvent& event : thread.events) Event(event, tid);
  }

  void Event(const TraceEvent& event, const std::string& tid) {
    switch (event.kind) {
      case TraceEvent::Kind::kStage:
        return Slice(event, tid, StageName(event), "stage",
                     R"(,"args":{"item":)" + std::to_string(event.item) + "}");
      case TraceEvent::Kind::kIdle:
        return Slice(event, tid, "idle", "idle", "");
      case TraceEvent::Kind::kWait:
        return Wait(event, tid);
      case TraceEvent::Kind::kLevel:
        Counter(event, "tokens", event.item);
        return Counter(event, "bytes held", event.end);
    }
  }

  void Slice(const TraceEvent& event, const std::string& tid, const std::string& name,
             const char* category, const std::string& more) {
    Line(R"({"ph":"X","pid":1,"tid":)" + tid + ",\"ts\":" + Time(event.begin) +
         ",\"dur\":" + Microseconds(event.end - event.begin) + ",\"cat\":\"" + category +
         "\",\"name\":" + Quoted(name) + more + "}");
  }

  // Not on a thread: a pair of events with the token's number.
  void Wait(const TraceEvent& event, const std::string& tid) {
    const std::string common = R"(,"pid":1,"tid":)" + tid +
                               ",\"id\":" + std::to_string(event.item) +
                               R"(,"cat":"wait","name":)" + Quoted("before " + StageName(event));
    Line("{\"ph\":\"b\",\"ts\":" + Time(event.begin) + common +
         ",\"args\":{\"item\":" + std::to_string(event.item) + "}}");
    Line("{\"ph\":\"e\",\"ts\":" + Time(event.end) + common + "}");
  }

  void Counter(const TraceEvent& event, const char* name, int64_t value) {
    Line(R"({"ph":"C","pid":1,"ts":)" + Time(event.begin) + ",\"name\":\"" + name +
         R"(","args":{"value":)" + std::to_string(value) + "}}");
  }

  const std::string& StageName(const TraceEvent& event) const {
    return trace_.stages[static_cast<size_t>(event.place)];
  }
  std::string Time(int64_t at) const { return Microseconds(at - trace_.started_at); }
  static std::string Microseconds(int64_t nanoseconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f", static_cast<double>(nanoseconds) * 1e-3);
    return text;
  }

  const Trace& trace_;
  std::string text_;
  bool is_first_ = true;
};

}  // namespace

TraceRing::TraceRing(int64_t events)
    : capacity_(CapacityFor(events)), words_(new Words[static_cast<size_t>(capacity_)]) {}

// The words are released one by one, so that a reader who sees one of a newer event also sees that
// the older ones were counted, and throws its copy away.
void TraceRing::Add(const TraceEvent& event) {
  const int64_t count = count_.load(std::memory_order_relaxed);
  Words& words = words_[static_cast<size_t>(count & (capacity_ - 1))];
  words[0].store(static_cast<int64_t>(event.kind) | event.place << kPlaceShift,
                 std::memory_order_release);
  words[1].store(event.item, std::memory_order_release);
  words[2].store(event.begin, std::memory_order_release);
  words[3].store(event.end, std::memory_order_release);
  count_.store(count + 1, std::memory_order_release);
}

std::vector<TraceEvent> TraceRing::Events(int64_t* dropped) const {
  const int64_t count = count_.load(std::memory_order_acquire);
  // The place of the next event may be being written already.
  const int64_t first = std::max<int64_t>(count - capacity_ + 1, 0);
  std::vector<TraceEvent> events;
  events.reserve(static_cast<size_t>(count - first));
  for (int64_t i = first; i < count; ++i) {
    const Words& words = words_[static_cast<size_t>(i & (capacity_ - 1))];
    const int64_t what = words[0].load(std::memory_order_acquire);
    events.push_back({static_cast<TraceEvent::Kind>(what & ((1 << kPlaceShift) - 1)),
                      what >> kPlaceShift, words[1].load(std::memory_order_acquire),
                      words[2].load(std::memory_order_acquire),
                      words[3].load(std::memory_order_acquire)});
  }
  // What was written over meanwhile.
  const int64_t now = count_.load(std::memory_order_acquire);
  const int64_t whole = std::clamp(now - capacity_ + 1, first, count);
  events.erase(events.begin(), events.begin() + (whole - first));
  *dropped = whole;
  return events;
}

int64_t Trace::dropped() const {
  int64_t sum = 0;
  for (const Thread& thread : threads) sum += thread.dropped;
  return sum;
}

std::string ToChromeJson(const Trace& trace) { return Writer(trace).Write(); }

}  // namespace spanflow::pipeline
