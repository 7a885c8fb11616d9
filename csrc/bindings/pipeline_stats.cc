// What a Run says of itself: stats(), report(), trace(), state_dict(), and to who watches it.

#include "bindings/pipeline_run.h"
#include "capi/attach.h"
#include "capi/error.h"
#include "capi/object.h"
#include "pipeline/trace.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Ref;
using pipeline::TraceEvent;

void SetEntry(const Ref& dict, const char* name, Ref value) {
  capi::CheckStatus(PyDict_SetItemString(dict.get(), name, value.get()));
}
Ref Integer(int64_t value) { return Check(PyLong_FromLongLong(value)); }
Ref Seconds(int64_t nanoseconds) {
  return Check(PyFloat_FromDouble(static_cast<double>(nanoseconds) * 1e-9));
}

// A list of (seconds, items) of each bucket that has some.
Ref Histogram(const pipeline::TimeBuckets& times) {
  Ref list = Check(PyList_New(0));
  for (size_t bucket = 0; bucket < pipeline::TimeBuckets::kCount; ++bucket) {
    if (times.CountOf(bucket) == 0) continue;
    const Ref entry = Check(
        Py_BuildValue("(dK)", static_cast<double>(pipeline::TimeBuckets::TimeOf(bucket)) * 1e-9,
                      static_cast<unsigned long long>(times.CountOf(bucket))));
    capi::CheckStatus(PyList_Append(list.get(), entry.get()));
  }
  return list;
}

Ref StageDict(const pipeline::StageStats& stage) {
  Ref dict = Check(PyDict_New());
  SetEntry(dict, "name", Check(PyUnicode_FromString(stage.name.c_str())));
  SetEntry(dict, "mode", Check(PyUnicode_FromString(stage.mode)));
  SetEntry(dict, "items", Integer(stage.items));
  SetEntry(dict, "items_out", Integer(stage.items_out));
  SetEntry(dict, "nbytes", Integer(stage.nbytes));
  SetEntry(dict, "busy", Seconds(stage.busy_ns));
  SetEntry(dict, "wait", Seconds(stage.wait_ns));
  SetEntry(dict, "attached", Seconds(stage.attached_ns));
  SetEntry(dict, "retried", Integer(stage.retried));
  SetEntry(dict, "skipped", Integer(stage.skipped));
  SetEntry(dict, "workers", Integer(stage.workers));
  SetEntry(dict, "workers_most", Integer(stage.workers_most));
  SetEntry(dict, "p50", Seconds(stage.times.Quantile(0.5)));
  SetEntry(dict, "p90", Seconds(stage.times.Quantile(0.9)));
  SetEntry(dict, "p99", Seconds(stage.times.Quantile(0.99)));
  SetEntry(dict, "times", Histogram(stage.times));
  return dict;
}

// Shows a run to its watcher; false when that raised.
bool Show(RunObject* self, PyObject* watch, bool is_last) {
  PyObject* const args[] = {reinterpret_cast<PyObject*>(self), is_last ? Py_True : Py_False};
  return static_cast<bool>(Ref::Steal(PyObject_Vectorcall(watch, args, 2, nullptr)));
}

pipeline::Trace TraceOf(PyObject* self) {
  const capi::DetachScope detached;
  return AsRun(self)->run->Trace();
}

// A list of (seconds since the start, tokens, bytes held), in no order; None without a trace.
Ref Levels(const pipeline::Trace& trace) {
  if (trace.threads.empty()) return capi::None();
  Ref levels = Check(PyList_New(0));
  for (const pipeline::Trace::Thread& thread : trace.threads) {
    for (const TraceEvent& event : thread.events) {
      if (event.kind != TraceEvent::Kind::kLevel) continue;
      const Ref level = Check(
          Py_BuildValue("(dLL)", static_cast<double>(event.begin - trace.started_at) * 1e-9,
                        static_cast<long long>(event.item), static_cast<long long>(event.end)));
      capi::CheckStatus(PyList_Append(levels.get(), level.get()));
    }
  }
  return levels;
}

}  // namespace

bool ShowNow(RunObject* self) {
  const Ref watch = self->Watcher();
  if (!watch || self->showing.exchange(true)) return true;
  const bool ok = Show(self, watch.get(), false);
  self->showing.store(false);
  return ok;
}

void ShowEnd(RunObject* self) {
  const Ref watch = self->TakeWatcher();
  if (!watch || capi::IsFinalizing()) return;
  Ref raised = capi::TakeRaised();
  if (!Show(self, watch.get(), true)) PyErr_WriteUnraisable(watch.get());
  if (raised) capi::Restore(std::move(raised));
}

Ref RunStatsDict(PyObject* self, PyObject*) {
  const pipeline::RunStats stats = AsRun(self)->run->Stats();
  Ref stages = Check(PyList_New(0));
  int64_t attached = 0;
  for (const pipeline::StageStats& stage : stats.stages) {
    attached += stage.attached_ns;
    capi::CheckStatus(PyList_Append(stages.get(), StageDict(stage).get()));
  }
  Ref dict = Check(PyDict_New());
  SetEntry(dict, "threads", Integer(stats.threads));
  SetEntry(dict, "elapsed", Seconds(stats.elapsed_ns));
  SetEntry(dict, "idle", Seconds(stats.idle_ns));
  SetEntry(dict, "consumer_wait", Seconds(stats.consumer_wait_ns));
  SetEntry(dict, "attached", Seconds(attached));
  SetEntry(dict, "handover", Seconds(AsRun(self)->handover_ns.load()));
  SetEntry(dict, "detached", Seconds(AsRun(self)->detached_ns.load()));
  SetEntry(dict, "next", Seconds(AsRun(self)->next_ns.load()));
  SetEntry(dict, "delivered", Integer(stats.delivered));
  SetEntry(dict, "tokens", Integer(stats.tokens));
  SetEntry(dict, "tokens_peak", Integer(stats.tokens_peak));
  SetEntry(dict, "nbytes", Integer(stats.bytes));
  SetEntry(dict, "nbytes_peak", Integer(stats.bytes_peak));
  SetEntry(dict, "nbytes_made", Integer(stats.bytes_made));
  SetEntry(dict, "memory", Integer(stats.memory));
  SetEntry(dict, "stages", std::move(stages));
  return dict;
}

Ref RunReport(PyObject* self, PyObject*) {
  const Ref module = Check(PyImport_ImportModule("spanflow._report"));
  const Ref stats = RunStatsDict(self, nullptr);
  const Ref levels = Levels(TraceOf(self));
  return Check(PyObject_CallMethod(module.get(), "Report", "OO", stats.get(), levels.get()));
}

Ref RunStateDict(PyObject* self, PyObject*) {
  PyObject* const place = AsRun(self)->place;
  if (place == nullptr) capi::Raise(PyExc_ValueError, "the run was not started by a pipeline");
  const Ref delivered = Integer(AsRun(self)->run->Stats().delivered);
  return Check(PyObject_CallOneArg(place, delivered.get()));
}

Ref SaveTrace(PyObject* self, PyObject* path) {
  const pipeline::Trace trace = TraceOf(self);
  if (trace.threads.empty()) {
    capi::Raise(PyExc_ValueError, "the run keeps no trace: start it with run(trace=True)");
  }
  std::string text;
  {
    const capi::DetachScope detached;
    text = pipeline::ToChromeJson(trace);
  }
  const Ref module = Check(PyImport_ImportModule("spanflow._watch"));
  return Check(PyObject_CallMethod(module.get(), "save_trace", "Oy#L", path, text.data(),
                                   static_cast<Py_ssize_t>(text.size()),
                                   static_cast<long long>(trace.dropped())));
}

}  // namespace spanflow::bindings
