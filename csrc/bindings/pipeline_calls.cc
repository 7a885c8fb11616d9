// spanflow._core._Calls: how a handler sees the calls of its stage.

#include <cmath>
#include <new>
#include <utility>

#include "bindings/pipeline_served.h"
#include "capi/attach.h"
#include "capi/entry.h"
#include "capi/object.h"
#include "pipeline/stats.h"

namespace spanflow::bindings {

using capi::Check;
using capi::Raise;
using capi::Ref;

Ref InHand::Accept(pipeline::Call* call) {
  const Ref arguments = desk_.ArgumentsOf(ErrandIn(*call));
  Ref accepted = Check(Py_BuildValue("(LO)", static_cast<long long>(last_ + 1), arguments.get()));
  taken_.emplace(++last_, Taken{std::move(*call), pipeline::Now()});
  return accepted;
}

Ref InHand::TakeOrNone() {
  while (auto call = desk_.calls->TryTake()) {
    try {
      return Accept(&*call);
    } catch (const capi::PythonError&) {
      ErrandIn(*call).exception =
          std::make_unique<PythonValue>(desk_.side.owned, TakeRaisedForItem());
      desk_.calls->Return(*std::move(call));
    }
  }
  return capi::None();
}

void InHand::Answer(int64_t number, std::unique_ptr<PythonValue> result,
                    std::unique_ptr<PythonValue> exception) {
  const auto found = taken_.find(number);
  if (found == taken_.end()) Raise(PyExc_ValueError, "the call was answered already");
  pipeline::Call call = std::move(found->second.call);
  call.elapsed_ns = pipeline::Now() - found->second.since;
  taken_.erase(found);
  ErrandIn(call).result = std::move(result);
  ErrandIn(call).exception = std::move(exception);
  desk_.calls->Return(std::move(call));
}

void InHand::FailAll(PyObject* exception) {
  while (!taken_.empty()) {
    Answer(taken_.begin()->first, nullptr,
           std::make_unique<PythonValue>(desk_.side.owned, Ref::Borrow(exception)));
  }
}

namespace {

struct CallsObject {
  PyObject_HEAD
  std::shared_ptr<pipeline::Calls> calls;
  InHand* in_hand;  // null where the server itself takes the calls
};

CallsObject* AsCalls(PyObject* object) { return reinterpret_cast<CallsObject*>(object); }

InHand& InHandOf(PyObject* object) {
  InHand* in_hand = AsCalls(object)->in_hand;
  if (in_hand == nullptr) Raise(PyExc_RuntimeError, "these calls are not to be taken");
  return *in_hand;
}

Ref Stopped(PyObject* self, void*) { return capi::Bool(AsCalls(self)->calls->stopped()); }

Ref Sleep(PyObject* self, PyObject* argument) {
  const double seconds = std::fmin(std::fmax(capi::Double(argument), 0), 1e9);
  const auto time = std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
  const capi::DetachScope detached;
  return AsCalls(self)->calls->Sleep(time) ? capi::Bool(true) : capi::Bool(false);
}

Ref Retried(PyObject* self, PyObject*) {
  AsCalls(self)->calls->retried.fetch_add(1);
  return capi::None();
}

Ref Take(PyObject* self, PyObject*) { return InHandOf(self).TakeOrNone(); }

Ref Answer(PyObject* self, PyObject* args, bool failed) {
  long long number;
  PyObject* object;
  if (!PyArg_ParseTuple(args, "LO", &number, &object)) throw capi::PythonError{};
  InHand& in_hand = InHandOf(self);
  auto value = std::make_unique<PythonValue>(in_hand.desk().side.owned, Ref::Borrow(object));
  if (failed) {
    in_hand.Answer(number, nullptr, std::move(value));
  } else {
    in_hand.Answer(number, std::move(value), nullptr);
  }
  return capi::None();
}

Ref Done(PyObject* self, PyObject* args) { return Answer(self, args, false); }
Ref Failed(PyObject* self, PyObject* args) { return Answer(self, args, true); }

Ref Descriptor(PyObject* self, PyObject*) {
  return Check(PyLong_FromLong(capi::Take(AsCalls(self)->calls->WakeDescriptor())));
}

void Dealloc(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  AsCalls(object)->calls.~shared_ptr();
  type->tp_free(object);
  Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"sleep", capi::Method<&Sleep>(), METH_O,
     "sleep($self, seconds, /)\n--\n\nWait; False if the run ended before."},
    {"retried", capi::Method<&Retried>(), METH_NOARGS,
     "retried($self, /)\n--\n\nCount one call that is made again."},
    {"take", capi::Method<&Take>(), METH_NOARGS,
     "take($self, /)\n--\n\n(number, arguments) of the next call, or None while there is none."},
    {"done", capi::Method<&Done>(), METH_VARARGS,
     "done($self, number, result, /)\n--\n\nAnswer a call that was taken."},
    {"failed", capi::Method<&Failed>(), METH_VARARGS,
     "failed($self, number, exception, /)\n--\n\nAnswer a call that was taken."},
    {"fileno", capi::Method<&Descriptor>(), METH_NOARGS,
     "fileno($self, /)\n--\n\nAn event descriptor: readable when there are calls, and at the end."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef getset[] = {{"stopped", reinterpret_cast<getter>(capi::Slot<&Stopped>()), nullptr,
                         "Whether the run has ended.", nullptr},
                        {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&Dealloc)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, getset},
                       {0, nullptr}};

}  // namespace

PyType_Spec calls_spec = {
    "spanflow._core._Calls", sizeof(CallsObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

Ref NewCalls(ModuleState* state, std::shared_ptr<pipeline::Calls> calls, InHand* in_hand) {
  Ref object = Check(state->calls_type->tp_alloc(state->calls_type, 0));
  new (&AsCalls(object.get())->calls) std::shared_ptr<pipeline::Calls>(std::move(calls));
  AsCalls(object.get())->in_hand = in_hand;
  return object;
}

void EndCalls(PyObject* calls) { AsCalls(calls)->in_hand = nullptr; }

}  // namespace spanflow::bindings
