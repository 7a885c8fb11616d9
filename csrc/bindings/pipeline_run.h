// RunObject: spanflow.Run in memory, and what it says of itself (pipeline_stats.cc).
//
// Owns: the native run, the objects that it borrows, and who watches it. Threads: thread-safe.
// Attached: always. Fails: SaveTrace raises ValueError without a trace, and OSError.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "bindings/pipeline_value.h"
#include "capi/critical_section.h"
#include "pipeline/run.h"

namespace spanflow::bindings {

struct RunObject {
  PyObject_HEAD
  ModuleState* state;
  std::shared_ptr<pipeline::Run> run;  // set once, before anybody sees the object
  PyObject* held;                      // a list of all that the native run borrows
  PyObject* letters;                   // a list: what was skipped; or null
  std::shared_ptr<OwnedObjects> owned;
  PyObject* module;  // keeps `state`
  PyObject* watch;   // called with the run now and then, and once more at the end; may be null
  PyObject* place;   // called with the number of items handed out; may be null
  PyObject* weakrefs;
  int64_t hook;
  std::atomic<bool> failed;          // an error was raised
  std::atomic<bool> timed_out;       // its time was over: nobody waits for its threads
  std::atomic<bool> showing;         // `watch` is being called
  std::atomic<int64_t> asked_at;     // when signals were last looked for
  std::atomic<int64_t> detached_ns;  // that consumers spent inside next() without the GIL
  std::atomic<int64_t> handover_ns;  // and with it, without what stages did there
  std::atomic<int64_t> next_ns;      // that consumers spent inside next()

  PyObject* object() { return reinterpret_cast<PyObject*>(this); }
  capi::Ref Watcher() {
    const capi::CriticalSection section(object());
    return watch == nullptr ? capi::Ref() : capi::Ref::Borrow(watch);
  }
  capi::Ref TakeWatcher() {
    const capi::CriticalSection section(object());
    return capi::Ref::Steal(std::exchange(watch, nullptr));
  }
};

inline RunObject* AsRun(PyObject* object) { return reinterpret_cast<RunObject*>(object); }

// Shows the run to its watcher, if there is one and it is not at it on another thread; false when
// that raised.
bool ShowNow(RunObject* self);
// The same for the last time. An exception that is set already stays.
void ShowEnd(RunObject* self);

// A consumer inside next(), which shows the run while it waits.
class Consumer final : public PythonCaller {
 public:
  Consumer(capi::DetachScope& detached, RunObject* self)
      : PythonCaller(detached, *self->state->hub), self_(self) {}

  bool Interrupted() override {
    const capi::ReattachScope attached(detached());
    const int64_t since = pipeline::Now();
    const bool interrupted = LookForSignals() || !ShowNow(self_);
    const int64_t asked = pipeline::Now() - since;
    AddAttached(asked);
    self_->handover_ns.fetch_add(asked, std::memory_order_relaxed);
    return interrupted;
  }

 private:
  RunObject* const self_;
};

// Methods of Run.
capi::Ref RunStatsDict(PyObject* self, PyObject* unused);
capi::Ref RunReport(PyObject* self, PyObject* unused);
capi::Ref RunStateDict(PyObject* self, PyObject* unused);
capi::Ref SaveTrace(PyObject* self, PyObject* path);

}  // namespace spanflow::bindings
