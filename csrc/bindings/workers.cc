#include "bindings/workers.h"

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "capi/args.h"
#include "capi/attach.h"
#include "capi/entry.h"
#include "capi/object.h"
#include "runtime/fork.h"
#include "runtime/scheduler.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Ref;
using runtime::Scheduler;

// What workers need of their interpreter. Goes when the last of them has gone.
struct Home {
  Home(std::shared_ptr<capi::Hub> of, PyObject* on_start)
      : hub(std::move(of)), initializer(hub, on_start), forks(runtime::ForkCount()) {}
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;
  ~Home() { hub->RemoveCloseHook(hook); }

  const std::shared_ptr<capi::Hub> hub;
  const capi::HeldRef initializer;  // called on each worker first; false: the worker ends
  const uint64_t forks;
  std::atomic<bool> closing{false};  // the interpreter ends: what has not begun is dropped
  int64_t hook = 0;
};

// Of the calling thread, if it is a worker.
thread_local capi::PythonThread* this_thread = nullptr;
thread_local const Home* this_home = nullptr;

// A child that was forked inside of a call has only this thread, whose loop would wait for ever.
[[noreturn]] void LeaveForkedChild() {
  for (const char* name : {"stdout", "stderr"}) {
    PyObject* const stream = PySys_GetObject(name);
    if (stream != nullptr && stream != Py_None) {
      Ref::Steal(PyObject_CallMethod(stream, "flush", nullptr));
    }
    PyErr_Clear();
  }
  std::_Exit(0);
}

// Attached.
bool CallOf(const Home& home, PyObject* callable) {
  const Ref result = Ref::Steal(PyObject_CallNoArgs(callable));
  if (!result) PyErr_WriteUnraisable(callable);
  if (runtime::ForkCount() != home.forks) LeaveForkedChild();
  home.hub->Drain();
  return result && PyObject_IsTrue(result.get()) == 1;
}

class Call final : public runtime::Task {
 public:
  Call(std::shared_ptr<const Home> home, PyObject* callable)
      : home_(std::move(home)), callable_(Py_NewRef(callable)) {}

  void Run() noexcept override {
    if (!home_->closing.load(std::memory_order_relaxed)) {
      const capi::AttachScope attached(*this_thread);
      const Ref callable = Take();
      CallOf(*home_, callable.get());
    }
    delete this;
  }

  // Attached.
  Ref Take() { return Ref::Steal(std::exchange(callable_, nullptr)); }

 private:
  ~Call() override {
    if (callable_ != nullptr) home_->hub->Release(callable_);
  }

  const std::shared_ptr<const Home> home_;
  PyObject* callable_;
};

// One worker's life: `work` returns when there is none any more.
void LiveAttached(const Home& home, runtime::FunctionRef<void()> work) {
  capi::PythonThread thread(home.hub);
  if (!thread.valid()) return;  // the interpreter is going away
  this_thread = &thread;
  this_home = &home;
  bool ready;
  {
    const capi::AttachScope attached(thread);
    ready = CallOf(home, home.initializer.get());
  }
  if (ready) work();
}

struct WorkersObject {
  PyObject_HEAD
  std::shared_ptr<Home> home;
  std::shared_ptr<Scheduler> scheduler;
};

WorkersObject* AsWorkers(PyObject* self) { return reinterpret_cast<WorkersObject*>(self); }

Ref New(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static constexpr capi::Signature<3> kSignature("_Workers", {"count", "name", "initializer"}, 3,
                                                 3);
  const auto [count, name, initializer] = kSignature.ParseTuple(args, kwargs);
  const auto workers = static_cast<int>(capi::Integer(count));
  const std::string thread_name = capi::Text(name);
  ModuleState* const state = StateOf(type);
  state->hub->Drain();  // what workers of other pools let go of when they ended
  Ref object = Check(type->tp_alloc(type, 0));
  WorkersObject* const self = AsWorkers(object.get());
  new (&self->home) std::shared_ptr<Home>;
  new (&self->scheduler) std::shared_ptr<Scheduler>;
  self->home = std::make_shared<Home>(state->hub, initializer);
  self->scheduler =
      Scheduler::Make({.name = thread_name,
                       .workers = workers,
                       .oldest_first = true,
                       .pin = false,
                       .around = [home = self->home](auto work) { LiveAttached(*home, work); }});
  self->home->hook = state->hub->AddCloseHook(
      [home = std::weak_ptr<Home>(self->home), scheduler = std::weak_ptr(self->scheduler)] {
        if (const auto alive = home.lock()) alive->closing.store(true);
        if (const auto alive = scheduler.lock()) alive->Stop();
      });
  return object;
}

Ref Submit(PyObject* self, PyObject* callable) {
  auto* const call = new Call(AsWorkers(self)->home, callable);
  if (!AsWorkers(self)->scheduler->Submit({call, nullptr})) {
    call->Drop();
    throw std::bad_alloc();
  }
  return capi::None();
}

Ref Stop(PyObject* self, PyObject*) {
  AsWorkers(self)->scheduler->Stop();
  return capi::None();
}

// The callables that nobody has begun to call.
Ref TakeCalls(PyObject* self, PyObject*) {
  const std::vector<runtime::Task*> tasks = AsWorkers(self)->scheduler->TakeTasks();
  std::vector<Ref> calls;
  calls.reserve(tasks.size());
  for (runtime::Task* task : tasks) {
    auto* const call = static_cast<Call*>(task);
    calls.push_back(call->Take());
    call->Drop();
  }
  Ref list = Check(PyList_New(static_cast<Py_ssize_t>(calls.size())));
  for (size_t i = 0; i < calls.size(); ++i) {
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), calls[i].release());
  }
  return list;
}

// After Stop: until every worker has ended.
Ref Join(PyObject* self, PyObject*) {
  if (this_home == AsWorkers(self)->home.get()) {
    capi::Raise(PyExc_RuntimeError, "a worker cannot wait for the end of its own pool");
  }
  const std::shared_ptr<Scheduler> scheduler = AsWorkers(self)->scheduler;
  capi::WaitInterruptibly(
      [&](std::chrono::milliseconds time) { return scheduler->AwaitEnd(time); });
  return capi::None();
}

Ref Grow(PyObject* self, PyObject* count) {
  const auto wanted = static_cast<int>(capi::Integer(count));
  Scheduler& scheduler = *AsWorkers(self)->scheduler;
  if (wanted > scheduler.workers()) scheduler.SetWorkers(wanted);
  return capi::None();
}

Ref Stats(PyObject* self, PyObject*) {
  const Scheduler& scheduler = *AsWorkers(self)->scheduler;
  Ref workers = Check(PyList_New(0));
  for (const runtime::WorkerStats& stats : scheduler.Stats()) {
    const Ref worker = Check(Py_BuildValue("{sLsLsdsd}", "done", static_cast<long long>(stats.done),
                                           "stolen", static_cast<long long>(stats.stolen), "busy",
                                           static_cast<double>(stats.busy_ns) * 1e-9, "idle",
                                           static_cast<double>(stats.idle_ns) * 1e-9));
    capi::CheckStatus(PyList_Append(workers.get(), worker.get()));
  }
  return Check(Py_BuildValue("{sisLsO}", "threads", scheduler.threads(), "queued",
                             static_cast<long long>(scheduler.queued()), "workers", workers.get()));
}

// The workers do what is queued, and then end.
void Dealloc(PyObject* object) {
  WorkersObject* const self = AsWorkers(object);
  PyTypeObject* const type = Py_TYPE(object);
  if (self->home != nullptr && runtime::ForkCount() == self->home->forks) {
    if (self->scheduler != nullptr) self->scheduler->Stop();
    self->scheduler.~shared_ptr();
    self->home.~shared_ptr();
  }
  type->tp_free(object);
  Py_DECREF(type);
}

Ref InMainInterpreter(PyObject*, PyObject*) {
  return capi::Bool(PyInterpreterState_Get() == PyInterpreterState_Main());
}

PyMethodDef methods[] = {{"submit", capi::Method<&Submit>(), METH_O, nullptr},
                         {"stop", capi::Method<&Stop>(), METH_NOARGS, nullptr},
                         {"take_calls", capi::Method<&TakeCalls>(), METH_NOARGS, nullptr},
                         {"join", capi::Method<&Join>(), METH_NOARGS, nullptr},
                         {"grow", capi::Method<&Grow>(), METH_O, nullptr},
                         {"stats", capi::Method<&Stats>(), METH_NOARGS, nullptr},
                         {nullptr, nullptr, 0, nullptr}};

PyType_Slot slots[] = {{Py_tp_new, capi::Slot<&New>()},
                       {Py_tp_dealloc, reinterpret_cast<void*>(&Dealloc)},
                       {Py_tp_methods, methods},
                       {0, nullptr}};

}  // namespace

PyMethodDef worker_functions[] = {
    {"_in_main_interpreter", capi::Method<&InMainInterpreter>(), METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyType_Spec workers_spec = {"spanflow._core._Workers", sizeof(WorkersObject), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};

}  // namespace spanflow::bindings
