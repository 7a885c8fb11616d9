// Servers that have an interpreter of their own.

#include <mutex>
#include <utility>

#include "bindings/pipeline_served.h"
#include "capi/interpreter.h"
#include "capi/object.h"
#include "pipeline/stats.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Ref;

// CPython 3.12 loads extension modules of its own without a lock, so interpreters begin one after
// the other. Python does run under this mutex, but only what is in spanflow and the standard
// library, none of which waits for another interpreter.
std::mutex beginnings;

// The other interpreter's side. Everything here is attached to it, but for the constructor's first
// half and what Serve does between two calls.
class Guest {
 public:
  Guest(const Desk& desk, capi::Interpreter& interpreter)
      : desk_(desk), interpreter_(interpreter) {}

  void Begin() {
    const std::lock_guard one_at_a_time(beginnings);
    const capi::Interpreter::Attach attached(interpreter_);
    try {
      module_ = Check(PyImport_ImportModule("spanflow._core"));
      const Ref crossing = Check(PyImport_ImportModule("spanflow._crossing"));
      pack_ = Check(PyObject_GetAttrString(crossing.get(), "pack"));
      unpack_ = Check(PyObject_GetAttrString(crossing.get(), "unpack"));
      pack_error_ = Check(PyObject_GetAttrString(crossing.get(), "pack_error"));
      const Ref workers = Check(PyImport_ImportModule("spanflow._interpreters"));
      make_ = Check(PyObject_GetAttrString(workers.get(), "handler"));
    } catch (...) {
      Broken();
    }
  }

  // Imports the user's module, which may take long.
  void MakeHandler(const Parcel& described) {
    const capi::Interpreter::Attach attached(interpreter_);
    if (failure_.has_value()) return;
    try {
      const Ref calls = NewCalls(StateOf(module_.get()), desk_.calls);
      const Ref description = Unpack(StateOf(module_.get()), unpack_.get(), described);
      handler_ =
          Check(PyObject_CallFunctionObjArgs(make_.get(), calls.get(), description.get(), nullptr));
    } catch (...) {
      Broken();
    }
  }

  void Answer(Errand* errand) {
    const capi::Interpreter::Attach attached(interpreter_);
    if (failure_.has_value()) {
      errand->parcel = failure_;
      return;
    }
    try {
      const Ref object = Unpack(StateOf(module_.get()), unpack_.get(), *errand->parcel);
      errand->parcel.reset();
      const Ref result = Check(desk_.single() ? PyObject_CallOneArg(handler_.get(), object.get())
                                              : PyObject_CallObject(handler_.get(), object.get()));
      errand->parcel = ParcelOf(StateOf(module_.get()), nullptr, pack_.get(), result.get());
    } catch (...) {
      errand->parcel = ErrorFromCurrentException();
    }
  }

  void End() {
    const capi::Interpreter::Attach attached(interpreter_);
    for (Ref* held : {&handler_, &make_, &pack_error_, &unpack_, &pack_, &module_}) *held = {};
  }

 private:
  Parcel ErrorFromCurrentException() {
    capi::SetErrorFromCurrentException();
    const Ref raised = TakeRaisedForItem();
    Parcel parcel;
    parcel.form = Parcel::Form::kPickle;
    parcel.is_error = true;
    const Ref bytes =
        Ref::Steal(pack_error_ ? PyObject_CallOneArg(pack_error_.get(), raised.get()) : nullptr);
    if (bytes && PyBytes_Check(bytes.get())) {
      parcel.pickle.assign(PyBytes_AS_STRING(bytes.get()),
                           static_cast<size_t>(PyBytes_GET_SIZE(bytes.get())));
    }
    PyErr_Clear();
    return parcel;
  }
  void Broken() { failure_ = ErrorFromCurrentException(); }

  const Desk& desk_;
  capi::Interpreter& interpreter_;
  std::optional<Parcel> failure_;  // why there is no handler
  Ref module_, pack_, unpack_, pack_error_, make_, handler_;
};

// Every call gets the exception that `raise` throws in the interpreter of the run.
template <class Raise>
void Refuse(const Desk& desk, pipeline::Context& context, Raise raise) {
  while (auto call = desk.calls->Take()) {
    Errand& errand = ErrandIn(*call);
    errand.parcel.reset();
    errand.exception = desk.Try(context, raise);
    if (errand.exception != nullptr) desk.calls->Return(*std::move(call));  // else stopped
  }
}

}  // namespace

void ServeInInterpreter(const Desk& desk, pipeline::Context& context) {
  capi::PythonThread creator(desk.side.state->hub);
  if (!creator.valid()) return desk.calls->Stop();  // the interpreter is going away
  std::optional<capi::Interpreter> interpreter;
  {
    const std::lock_guard one_at_a_time(beginnings);
    interpreter.emplace(creator);
  }
  if (!interpreter->valid()) {
    return Refuse(desk, context, [&] {
      capi::Raise(PyExc_RuntimeError, "no interpreter could be made: %s",
                  interpreter->why().c_str());
    });
  }
  Parcel described;
  const auto describe = [&] {
    described = ParcelOf(desk.side.state, &desk.side, desk.service.pack, desk.service.make);
  };
  if (desk.Try(context, describe) != nullptr) return Refuse(desk, context, describe);
  if (desk.calls->stopped()) return;  // maybe because it could not attach any more
  Guest guest(desk, *interpreter);
  guest.Begin();
  guest.MakeHandler(described);
  while (auto call = desk.calls->Take()) {
    const int64_t begun = pipeline::Now();
    guest.Answer(&ErrandIn(*call));
    call->elapsed_ns = pipeline::Now() - begun;
    desk.calls->Return(*std::move(call));
  }
  guest.End();
}

}  // namespace spanflow::bindings
