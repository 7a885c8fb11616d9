// spanflow.Run: an iterator over what a run hands out, and a context manager that ends it.

#include <atomic>
#include <new>

#include "bindings/pipeline.h"
#include "bindings/pipeline_build.h"
#include "bindings/pipeline_run.h"
#include "bindings/pipeline_served.h"
#include "bindings/pipeline_value.h"
#include "capi/args.h"
#include "capi/critical_section.h"
#include "capi/entry.h"
#include "capi/object.h"
#include "platform/thread.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Raise;
using capi::Ref;
using pipeline::Delivery;
using pipeline::Run;

constexpr std::chrono::milliseconds kSlice{40};  // between two looks for signals

[[noreturn]] void RaiseError(ModuleState* state, pipeline::Error& error) {
  if (error.exception != nullptr) {
    capi::Restore(static_cast<PythonValue&>(*error.exception).Take());
  } else if (error.status.code() == base::Code::kPipeline ||
             error.status.code() == base::Code::kCancelled) {
    PyErr_SetString(state->pipeline_error, error.status.message().c_str());
  } else {
    capi::SetError(error.status);
  }
  Ref raised = capi::TakeRaised();
  if (!error.stage.empty()) {
    std::string note = "in the pipeline's " + error.stage;
    if (error.item >= 0) note += ", item " + std::to_string(error.item);
    capi::AddNote(raised.get(), note.c_str());
  }
  if (!error.waiting_for.empty()) {
    capi::AddNote(raised.get(), ("it was waiting for " + error.waiting_for).c_str());
  }
  capi::Restore(std::move(raised));
  throw capi::PythonError{};
}

// Takes what the native run borrows.
Ref TakeHeld(RunObject* self) {
  const capi::CriticalSection section(reinterpret_cast<PyObject*>(self));
  return Ref::Steal(std::exchange(self->held, nullptr));
}

// Once the run's threads are not at work any more: after this nothing is borrowed. False when that
// must wait, because another consumer is still at work, or for ever in a forked child.
bool LetGo(RunObject* self) {
  {
    const capi::DetachScope detached;
    if (!self->run->Stop()) return false;
  }
  self->state->hub->Drain();  // what the run and its threads let go while detached
  TakeHeld(self);
  return true;
}

// Cancels the run and waits for its threads, which finish the item in hand, until Ctrl-C. Does not
// wait where it is called from inside the run itself.
void End(RunObject* self) {
  self->run->Cancel();
  if (self->run->AtWorkHere()) return;
  capi::WaitInterruptibly(
      [self](std::chrono::milliseconds time) { return self->run->AwaitEnd(time); });
  LetGo(self);
}

// The same where that takes no time to speak of; an error must not wait for slow stages.
void EndSoon(RunObject* self) {
  self->run->Cancel();
  bool ended;
  {
    const capi::DetachScope detached;
    ended = self->run->AwaitEnd(kSlice);
  }
  if (ended) LetGo(self);
}

// Signal handlers run between items as well, for whoever takes them in a loop of C.
void CheckSignals(RunObject* self, int64_t now) {
  if (now - self->asked_at.load(std::memory_order_relaxed) <
      std::chrono::nanoseconds(kSlice).count())
    return;
  self->asked_at.store(now, std::memory_order_relaxed);
  if (PyErr_CheckSignals() == 0 && ShowNow(self)) return;
  self->run->Cancel();
  throw capi::PythonError{};
}

PyObject* TakeDelivery(RunObject* self, Delivery delivery) {
  switch (delivery.kind) {
    case Delivery::Kind::kItem:
      return ObjectFromItem(self->state, std::move(delivery.item)).release();
    case Delivery::Kind::kEnd:
      // After an error threads may still be inside of items.
      self->failed.load() ? EndSoon(self) : End(self);
      ShowEnd(self);
      return nullptr;
    case Delivery::Kind::kFailed:
      if (PyErr_Occurred() != nullptr) throw capi::PythonError{};  // see LeftBehind
      self->failed.store(true);
      self->timed_out.store(!delivery.error->waiting_for.empty());
      EndSoon(self);
      ShowEnd(self);
      RaiseError(self->state, *delivery.error);
    case Delivery::Kind::kInterrupted:
      self->run->Cancel();
      ShowEnd(self);
      throw capi::PythonError{};
  }
  return nullptr;
}

bool CallsPython(RunObject* self) {
  return self->owned != nullptr && self->owned->called.load(std::memory_order_relaxed);
}

PyObject* IterNext(PyObject* object) {
  RunObject* self = AsRun(object);
  const int64_t entered = pipeline::Now();
  int64_t attached_since = entered;
  CheckSignals(self, attached_since);
  Delivery delivery;
  const bool taken = self->run->TryNext(&delivery);
  // Who is woken takes the processor, maybe this one: not while holding the GIL, unless that is
  // what they need first.
  if (taken && delivery.wakes && CallsPython(self)) self->run->Settle(&delivery);
  if (!taken || delivery.wakes) {
    {
      capi::DetachScope detached;
      const int64_t begun = pipeline::Now();
      self->handover_ns.fetch_add(begun - attached_since, std::memory_order_relaxed);
      Consumer caller(detached, self);
      self->run->Settle(&delivery);
      if (!taken) delivery = self->run->Next(caller);
      self->detached_ns.fetch_add(pipeline::Now() - begun - caller.attached_ns(),
                                  std::memory_order_relaxed);
    }
    attached_since = pipeline::Now();
  }
  self->state->hub->Drain();
  const bool is_item = delivery.kind == Delivery::Kind::kItem;
  PyObject* const object_of_item = TakeDelivery(self, std::move(delivery));
  const int64_t left = pipeline::Now();
  if (is_item) self->handover_ns.fetch_add(left - attached_since, std::memory_order_relaxed);
  self->next_ns.fetch_add(left - entered, std::memory_order_relaxed);
  return object_of_item;
}

// tp_iternext may return null without an exception, which Entry's Ref cannot say.
PyObject* Next(PyObject* self) { return IterNext(self); }

// What next() gives if that needs neither waiting nor work, else `otherwise`.
Ref NextReady(PyObject* object, PyObject* otherwise) {
  RunObject* self = AsRun(object);
  CheckSignals(self, pipeline::Now());
  Delivery delivery;
  const bool taken = self->run->TryNext(&delivery);
  if (delivery.wakes) {  // also where nothing was there but tokens of which nothing came
    const capi::DetachScope detached;
    self->run->Settle(&delivery);
  }
  if (!taken) return Ref::Borrow(otherwise);
  self->state->hub->Drain();
  Ref item = Ref::Steal(TakeDelivery(self, std::move(delivery)));
  if (!item) {
    PyErr_SetNone(PyExc_StopIteration);
    throw capi::PythonError{};
  }
  return item;
}

Ref Await(PyObject* self, const char* function) {
  const Ref module = Check(PyImport_ImportModule("spanflow._awaiting"));
  return Check(PyObject_CallMethod(module.get(), function, "O", self));
}
Ref AsyncIter(PyObject* self) { return Await(self, "Items"); }
Ref AsyncEnter(PyObject* self, PyObject*) { return Await(self, "enter"); }
Ref AsyncExit(PyObject* self, PyObject*) { return Await(self, "leave"); }

Ref Iter(PyObject* self) { return Ref::Borrow(self); }
Ref Enter(PyObject* self, PyObject*) { return Ref::Borrow(self); }

Ref Exit(PyObject* self, PyObject*) {
  AsRun(self)->timed_out.load() ? EndSoon(AsRun(self)) : End(AsRun(self));
  ShowEnd(AsRun(self));
  return capi::None();
}

Ref Close(PyObject* self, PyObject*) {
  AsRun(self)->run->Close();
  return capi::None();
}

Ref Cancel(PyObject* self, PyObject*) {
  AsRun(self)->run->Cancel();
  return capi::None();
}

Ref DeadLetters(PyObject* self, void*) {
  PyObject* const letters = AsRun(self)->letters;
  return Check(letters == nullptr ? PyList_New(0) : PyList_GetSlice(letters, 0, PY_SSIZE_T_MAX));
}

Ref Repr(PyObject* self) {
  const pipeline::RunStats stats = AsRun(self)->run->Stats();
  return Check(PyUnicode_FromFormat("<spanflow.Run: %lld items handed out, %lld in flight>",
                                    static_cast<long long>(stats.delivered),
                                    static_cast<long long>(stats.tokens)));
}

// Threads of the run call what is held without references of their own, and have items in hand.
// While one does, the garbage collector must not take that for garbage, and not seeing who refers
// to it prevents that.
int Traverse(PyObject* object, visitproc visit, void* arg) {
  RunObject* self = AsRun(object);
  Py_VISIT(Py_TYPE(object));
  Py_VISIT(self->module);
  Py_VISIT(self->watch);
  Py_VISIT(self->place);
  if (self->owned == nullptr || self->owned->calls.load() > 0) return 0;
  Py_VISIT(self->held);
  Py_VISIT(self->letters);
  return self->owned->Visit(visit, arg);
}

// Raises the exception in the main thread, soon.
void RaiseLater(Ref exception) {
  const auto raise = [](void* raised) {
    capi::Restore(Ref::Steal(static_cast<PyObject*>(raised)));
    return -1;
  };
  PyObject* const raised = exception.release();
  if (Py_AddPendingCall(raise, raised) < 0) Py_DECREF(raised);
}

// Leaves the end of the run to a thread of its own, which lives as long as the last item in hand.
// What the run's threads may be calling stays whole until then, and unseen by the collector.
void Orphan(RunObject* self) {
  struct Left {
    std::shared_ptr<Run> run;
    capi::HeldRef held;
  };
  auto left = std::make_shared<Left>();
  left->run = self->run;
  if (const Ref held = TakeHeld(self)) left->held = capi::HeldRef(self->state->hub, held.get());
  const bool forked = self->owned->Forked();
  self->owned = nullptr;
  if (!forked) {
    auto thread = platform::Thread::Start("spanflow-end", [left] {
      left->run->Stop();
      left->run = nullptr;
      left->held = {};
    });
    if (thread.ok()) return thread->Detach();
  }
  new std::shared_ptr<Left>(std::move(left));  // stays, as in a forked child, where threads are not
}

// Waits for the end of a run that nobody has any more; false if it must go on alone.
bool AwaitAbandoned(RunObject* self, bool raising) {
  self->run->Cancel();
  if (!self->run->AwaitEnd(std::chrono::milliseconds(0))) {
    // A thread of a run must not wait: the other run may be waiting for it.
    if (self->timed_out.load() || Run::OnThreadOfAnyRun() || self->state->hub->GaveUp())
      return false;
    try {
      capi::WaitInterruptibly(
          [self](std::chrono::milliseconds time) { return self->run->AwaitEnd(time); });
    } catch (const capi::PythonError&) {
      // An exception that is on its way already goes first.
      if (Ref interrupt = capi::TakeRaised(); !raising) RaiseLater(std::move(interrupt));
      return false;
    }
  }
  return LetGo(self);
}

// Before the last reference goes, and before the collector breaks anything in a cycle, so that the
// threads' last calls see whole objects.
void Finalize(PyObject* object) {
  RunObject* self = AsRun(object);
  if (self->run == nullptr || self->owned == nullptr) return;
  ShowEnd(self);
  Ref raised = capi::TakeRaised();
  if (!AwaitAbandoned(self, static_cast<bool>(raised))) Orphan(self);
  if (raised) capi::Restore(std::move(raised));
}

int Clear(PyObject* object) {
  Finalize(object);
  Py_CLEAR(AsRun(object)->letters);
  Py_CLEAR(AsRun(object)->place);
  return 0;
}

void Dealloc(PyObject* object) {
  if (PyObject_CallFinalizerFromDealloc(object) < 0) return;
  RunObject* self = AsRun(object);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_UnTrack(object);
  if (self->weakrefs != nullptr) PyObject_ClearWeakRefs(object);
  if (self->hook != 0) self->state->hub->RemoveCloseHook(self->hook);
  self->run.~shared_ptr();
  self->owned.~shared_ptr();
  Py_CLEAR(self->held);
  Py_CLEAR(self->watch);
  Py_CLEAR(self->place);
  Py_CLEAR(self->letters);
  Py_CLEAR(self->module);
  type->tp_free(object);
  Py_DECREF(type);
}

pipeline::RunOptions OptionsFrom(PyObject* threads, PyObject* memory, PyObject* timeout,
                                 PyObject* trace, PyObject* oversize, PyObject* ordered) {
  pipeline::RunOptions options;
  options.threads = static_cast<int>(PyLong_AsLong(threads));
  options.memory = PyLong_AsLongLong(memory);
  options.timeout = std::chrono::nanoseconds(PyLong_AsLongLong(timeout));
  options.trace_events = PyLong_AsLongLong(trace);
  options.oversize = oversize != nullptr && capi::Truth(oversize);
  options.ordered = ordered == nullptr || capi::Truth(ordered);
  if (PyErr_Occurred() != nullptr) throw capi::PythonError{};
  return options;
}

Ref StartRun(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<11> kSignature(
      "_start_run",
      {"source", "stages", "threads", "memory", "prefetch", "timeout", "trace", "watch", "oversize",
       "ordered", "place"},
      11, 8);
  const auto [source, stages, threads, memory, prefetch, timeout, trace, watch, oversize, ordered,
              place] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  const pipeline::RunOptions options =
      OptionsFrom(threads, memory, timeout, trace, oversize, ordered);
  const int waiting = static_cast<int>(PyLong_AsLong(prefetch));
  if (PyErr_Occurred() != nullptr) throw capi::PythonError{};

  Built built = BuildPipeline(state, source, stages, waiting);
  Ref object = Check(state->run_type->tp_alloc(state->run_type, 0));
  RunObject* self = AsRun(object.get());
  self->state = state;
  new (&self->run) std::shared_ptr<Run>;
  new (&self->owned) std::shared_ptr<OwnedObjects>(built.owned);
  self->module = Py_NewRef(module);
  self->held = built.held.release();
  self->letters = built.letters.release();
  auto started = [&] {
    const capi::DetachScope detached;
    return Run::Start(built.pipeline, options);
  }();
  self->run = std::shared_ptr<Run>(capi::Take(std::move(started)));
  if (watch != Py_None) self->watch = Py_NewRef(watch);
  self->place = Py_XNewRef(place);
  self->hook = state->hub->AddCloseHook([weak = std::weak_ptr<Run>(self->run)] {
    if (const auto run = weak.lock()) run->Cancel();
  });
  return object;
}

PyMethodDef methods[] = {
    {"__enter__", capi::Method<&Enter>(), METH_NOARGS, nullptr},
    {"__exit__", capi::Method<&Exit>(), METH_VARARGS, nullptr},
    {"close", capi::Method<&Close>(), METH_NOARGS,
     "close($self, /)\n--\n\nEnd the source: what is in flight still comes out."},
    {"cancel", capi::Method<&Cancel>(), METH_NOARGS,
     "cancel($self, /)\n--\n\nDrop everything in flight and wake everyone. Never waits."},
    {"stats", capi::Method<&RunStatsDict>(), METH_NOARGS,
     "stats($self, /)\n--\n\nWhat the run did so far, as a dict.\n\n"
     "Times are in seconds, sizes in bytes. 'attached' is time that the run's functions held the\n"
     "GIL (on free-threaded builds: were attached), 'handover' time that next() did, 'detached' "
     "time\n"
     "that next() worked or waited without it. 'stages' has one dict per stage, the source first;\n"
     "busy and wait are summed over threads and items."},
    {"_next_ready", capi::Method<&NextReady>(), METH_O, nullptr},
    {"__aenter__", capi::Method<&AsyncEnter>(), METH_NOARGS, nullptr},
    {"__aexit__", capi::Method<&AsyncExit>(), METH_VARARGS, nullptr},
    {"state_dict", capi::Method<&RunStateDict>(), METH_NOARGS,
     "state_dict($self, /)\n--\n\n"
     "Where the run is, behind the last item that came out: a dict of numbers and strings, from\n"
     "which Pipeline.load_state_dict() makes a pipeline that goes on there.\n\n"
     "Raises ValueError for ordered=False, and for a cache() with orders that have no seed."},
    {"report", capi::Method<&RunReport>(), METH_NOARGS,
     "report($self, /)\n--\n\n"
     "What the run did so far as a table for people, with the bottleneck and what to do about it:\n"
     "print it, show it in a notebook, or .save(\"report.html\") it as a page."},
    {"trace", capi::Method<&SaveTrace>(), METH_O,
     "trace($self, path, /)\n--\n\n"
     "Write what each thread did and when as a file in the Chrome trace format, for Perfetto\n"
     "(ui.perfetto.dev) or chrome://tracing; returns its path.\n\n"
     "Needs run(trace=True), else ValueError. Warns (RuntimeWarning) where older events made room\n"
     "for newer ones. Raises OSError for a file that cannot be written."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef getset[] = {
    {"dead_letters", reinterpret_cast<getter>(capi::Slot<&DeadLetters>()), nullptr,
     "What stages with errors='skip' gave up so far, the first thousand: a list of\n"
     "DeadLetter(number, exception, item). `item` is None unless it is small.",
     nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(RunObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(&Dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(&Traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(&Clear)},
    {Py_tp_finalize, reinterpret_cast<void*>(&Finalize)},
    {Py_tp_repr, capi::Slot<&Repr>()},
    {Py_tp_iter, capi::Slot<&Iter>()},
    {Py_tp_iternext, capi::Slot<&Next>()},
    {Py_am_aiter, capi::Slot<&AsyncIter>()},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_getset, getset},
    {Py_tp_doc, const_cast<char*>("One execution of a Pipeline: an iterator over its items.\n\n"
                                  "Made by Pipeline.run(). Leaving its with block cancels what "
                                  "is in flight and waits for\nthe run's threads.")},
    {0, nullptr}};

PyMethodDef functions[] = {
    {"_start_run", capi::Method<&StartRun>(), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

PyType_Spec run_spec = {"spanflow.Run", sizeof(RunObject), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                            Py_TPFLAGS_DISALLOW_INSTANTIATION,
                        slots};

void AddPipeline(PyObject* module, ModuleState* state) {
  state->run_type = MakeType(module, &run_spec, true);
  state->calls_type = MakeType(module, &calls_spec, false);
  state->pipeline_error = PyErr_NewExceptionWithDoc(
      "spanflow.PipelineError",
      "A run was cancelled or cannot go on; errors of stages keep their own types.",
      PyExc_RuntimeError, nullptr);
  Check(Py_XNewRef(state->pipeline_error));
  capi::CheckStatus(PyModule_AddObjectRef(module, "PipelineError", state->pipeline_error));
  capi::CheckStatus(PyModule_AddFunctions(module, functions));
  capi::CheckStatus(PyModule_AddFunctions(module, pipeline_type_functions));
}

}  // namespace spanflow::bindings
