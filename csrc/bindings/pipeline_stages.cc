#include "bindings/pipeline_stages.h"

#include <cstdlib>
#include <optional>

#include "bindings/create.h"
#include "bindings/pipeline_value.h"
#include "capi/object.h"
#include "pipeline/array_stages.h"
#include "pipeline/rows_source.h"

namespace spanflow::bindings {
namespace {

using base::Result;
using base::Status;
using capi::Check;
using capi::Ref;
using pipeline::Chunk;
using pipeline::Context;
using pipeline::Item;

class CallScope {
 public:
  explicit CallScope(std::atomic<int>& calls) : calls_(calls) { calls_.fetch_add(1); }
  ~CallScope() { calls_.fetch_sub(1); }
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

 private:
  std::atomic<int>& calls_;
};

// The exception that is set becomes the error of the item in hand.
Status ThrowRaised(const PythonSide& side, Context& context) {
  Ref raised = capi::TakeRaised();
  if (PyErr_GivenExceptionMatches(raised.get(), PyExc_StopIteration)) {
    // The consumer's next() would take it for the end (PEP 479).
    Ref instead = Ref::Steal(PyObject_CallFunction(
        PyExc_RuntimeError, "s", "a function of the pipeline raised StopIteration"));
    if (!instead) instead = capi::TakeRaised();
    PyException_SetCause(instead.get(), raised.release());
    raised = std::move(instead);
  }
  const bool urgent = !PyErr_GivenExceptionMatches(raised.get(), PyExc_Exception);
  return context.Throw(std::make_unique<PythonValue>(side.owned, std::move(raised)), urgent);
}

// What sys.exit would make of the exception that is set, or 1 after printing it.
int ExitCodeOfRaised() {
  if (PyErr_Occurred() == nullptr) return 0;
  if (PyErr_ExceptionMatches(PyExc_SystemExit)) {
    const Ref exit = capi::TakeRaised();
    const Ref code = Ref::Steal(PyObject_GetAttrString(exit.get(), "code"));
    if (code && code.get() == Py_None) return 0;
    if (code && PyLong_Check(code.get())) return static_cast<int>(PyLong_AsLong(code.get()));
    if (code) PySys_FormatStderr("%S\n", code.get());
    return 1;
  }
  PyErr_Print();
  return 1;
}

// In a child that was forked inside of the function: there is only this thread. The consumer's goes
// on with the exception, if there is one. For a thread of the run there is nothing to go on with,
// and CPython cannot finalize from it.
[[noreturn]] void LeaveForkedChild(const Context& context) {
  if (context.caller() != nullptr) throw pipeline::LeftBehind{};
  const int code = ExitCodeOfRaised();
  for (const char* name : {"stdout", "stderr"}) {
    PyObject* const stream = PySys_GetObject(name);
    if (stream != nullptr && stream != Py_None) {
      Ref::Steal(PyObject_CallMethod(stream, "flush", nullptr));
    }
    PyErr_Clear();
  }
  std::_Exit(code);
}

// Runs `work` attached; what it throws becomes the item's error.
template <class Work>
Status RunAttached(const PythonSide& side, Context& context, Work&& work) {
  const StageAttach attached(context, side.state->hub);
  if (!attached.ok()) return Status::Cancelled();  // the interpreter is going away
  const CallScope call(side.owned->calls);
  Status status;
  try {
    status = work();
    if (!side.owned->Forked()) return status;
  } catch (...) {
    capi::SetErrorFromCurrentException();
    if (!side.owned->Forked()) return ThrowRaised(side, context);
  }
  LeaveForkedChild(context);
}

// Iterators of built-in collections: their items are there already.
bool NeverWaits(PyObject* iterator) {
  const PyTypeObject* const type = Py_TYPE(iterator);
  for (const PyTypeObject* known :
       {&PyListIter_Type, &PyTupleIter_Type, &PyRangeIter_Type, &PyLongRangeIter_Type,
        &PyDictIterKey_Type, &PyDictIterValue_Type, &PyDictIterItem_Type, &PySetIter_Type,
        &PyBytesIter_Type, &PyByteArrayIter_Type, &PyUnicodeIter_Type}) {
    if (type == known) return true;
  }
  return false;
}

class IteratorRun final : public pipeline::SourceRun {
 public:
  IteratorRun(PythonSide side, PyObject* iterator, bool to_arrays)
      : side_(std::move(side)),
        iterator_(iterator),
        to_arrays_(to_arrays),
        never_waits_(NeverWaits(iterator)) {}

  Status Produce(const pipeline::Request& request, pipeline::Produced* produced,
                 Context& context) override {
    return RunAttached(side_, context, [&] {
      int64_t nbytes = 0;
      for (Item& item : request.items) {
        Ref object = Ref::Steal(PyIter_Next(iterator_));
        if (!object) {
          if (PyErr_Occurred() != nullptr) throw capi::PythonError{};
          produced->end = true;
          break;
        }
        item = ItemFromObject(side_, std::move(object), to_arrays_);
        ++produced->count;
        nbytes += item->nbytes();
        if (!never_waits_ || nbytes >= request.nbytes) break;
      }
      return Status::Ok();
    });
  }

 private:
  const PythonSide side_;
  PyObject* iterator_;
  const bool to_arrays_;
  // Any other iterator may wait for something, and be it for what becomes of the item before.
  const bool never_waits_;
};

class IteratorDescription final : public pipeline::Source {
 public:
  IteratorDescription(PythonSide side, std::string name, PyObject* iterator, bool to_arrays)
      : side_(std::move(side)),
        name_(std::move(name)),
        iterator_(iterator),
        to_arrays_(to_arrays) {}
  std::string Name() const override { return name_; }
  Result<std::unique_ptr<pipeline::SourceRun>> Open(pipeline::Shape*) const override {
    return std::unique_ptr<pipeline::SourceRun>(new IteratorRun(side_, iterator_, to_arrays_));
  }

 private:
  const PythonSide side_;
  const std::string name_;
  PyObject* iterator_;
  const bool to_arrays_;
};

// Which rows of the source an item stands for.
struct Rows {
  int64_t first = 0;
  int64_t count = Chunk::kNoRows;
};

Rows RowsOfItem(const Item& item) {
  if (const Chunk* chunk = item->AsChunk()) return {chunk->first_row, chunk->rows};
  const auto& value = static_cast<const PythonValue&>(*item);
  return {value.first_row, value.rows};
}

Ref AlignedRows(ModuleState* state, PyObject* array, const Rows& rows) {
  const array::View& view = AsArray(array)->view;
  if (rows.count == Chunk::kNoRows) {
    capi::Raise(PyExc_ValueError,
                "aligned() needs chunks that still stand for rows of the source; a stage before "
                "this one dropped or changed them");
  }
  if (rows.first + rows.count > view.layout.shape[0]) {
    capi::Raise(PyExc_ValueError,
                "aligned() array has %lld rows, but the chunk stands for rows %lld to %lld",
                static_cast<long long>(view.layout.shape[0]), static_cast<long long>(rows.first),
                static_cast<long long>(rows.first + rows.count));
  }
  return NewArray(state, pipeline::RowsOf(view, rows.first, rows.count), AsArray(array)->lease);
}

Ref CallWith(ModuleState* state, const PythonCall& call, PyObject* object, const Rows& rows) {
  const Py_ssize_t extra = PyTuple_GET_SIZE(call.args);
  if (extra == 0 && call.kwargs == nullptr)
    return Check(PyObject_CallOneArg(call.callable, object));
  Ref args = Check(PyTuple_New(extra + 1));
  PyTuple_SET_ITEM(args.get(), 0, Py_NewRef(object));
  for (Py_ssize_t i = 0; i < extra; ++i) {
    PyObject* arg = PyTuple_GET_ITEM(call.args, i);
    const bool aligned = i < 64 && ((call.aligned >> i) & 1) != 0;
    Ref passed = aligned ? AlignedRows(state, arg, rows) : Ref::Borrow(arg);
    PyTuple_SET_ITEM(args.get(), i + 1, passed.release());
  }
  return Check(PyObject_Call(call.callable, args.get(), call.kwargs));
}

// A result with as many rows as the item stands for still stands for them.
void KeepRows(ModuleState* state, const Rows& rows, Item* item) {
  if (rows.count == Chunk::kNoRows) return;
  if (Chunk* chunk = (*item)->AsChunk()) {
    const base::Dims& shape = (*chunk)[0].view.layout.shape;
    if (shape.empty() || shape[0] != rows.count) return;
    chunk->first_row = rows.first;
    chunk->rows = rows.count;
  } else {
    auto& value = static_cast<PythonValue&>(**item);
    if (!IsArrayLike(state, value.get()) || PyObject_Size(value.get()) != rows.count) {
      return PyErr_Clear();  // what has no length has no rows
    }
    value.first_row = rows.first;
    value.rows = rows.count;
  }
}

class CallRun final : public pipeline::StageRun {
 public:
  CallRun(PythonSide side, const PythonCall& call, bool to_arrays)
      : side_(std::move(side)), call_(call), to_arrays_(to_arrays) {}

  Status Process(Item item, Context& context) override {
    return RunAttached(side_, context, [&] {
      const Rows rows = RowsOfItem(item);
      pipeline::Credit credit = std::move(item->credit);  // what comes in lives during the call
      Ref object = ObjectFromItem(side_.state, std::move(item));
      Ref result = CallWith(side_.state, call_, object.get(), rows);
      const bool is_same = result.get() == object.get();
      object = {};
      Item made = ItemFromObject(side_, std::move(result), to_arrays_);
      KeepRows(side_.state, rows, &made);
      if (is_same) {
        made->credit = std::move(credit);
      } else if (const int64_t nbytes = made->nbytes(); nbytes > 0) {
        credit = {};
        made->credit = pipeline::Credit::Take(context.budget(), nbytes);
        SPANFLOW_TRY(context.budget()->CheckItem(nbytes));
      }
      context.Emit(std::move(made));
      return Status::Ok();
    });
  }

 private:
  const PythonSide side_;
  const PythonCall& call_;
  const bool to_arrays_;
};

class FilterRun final : public pipeline::StageRun {
 public:
  FilterRun(PythonSide side, const PythonCall& call) : side_(std::move(side)), call_(call) {}

  Status Process(Item item, Context& context) override {
    std::optional<pipeline::Part> mask;
    SPANFLOW_TRY(RunAttached(side_, context, [&] {
      const Rows rows = RowsOfItem(item);
      const Ref object = Borrowed(item);
      const Ref result = CallWith(side_.state, call_, object.get(), rows);
      mask = MaskOf(item, result.get());
      if (mask.has_value()) {
        if (item->AsChunk() == nullptr)
          item = ItemFromObject(side_, Ref::Borrow(object.get()), true);
        return Status::Ok();
      }
      if (!capi::Truth(result.get())) item = nullptr;  // dropped while attached
      return Status::Ok();
    }));
    if (item == nullptr) return Status::Ok();
    if (mask.has_value()) {
      SPANFLOW_TRY(pipeline::SelectRows(item->AsChunk(), mask->view, context));
    }
    context.Emit(std::move(item));
    return Status::Ok();
  }

 private:
  // The object for the call. The item goes on as it is, but the callable may keep what it sees, so
  // nobody may write into it from now on.
  Ref Borrowed(const Item& item) const {
    Chunk* chunk = item->AsChunk();
    if (chunk == nullptr) return Ref::Borrow(static_cast<PythonValue&>(*item).get());
    auto copy = std::make_unique<Chunk>();
    for (int i = 0; i < chunk->size(); ++i) {
      pipeline::Part& part = (*chunk)[i];
      part.fresh = false;
      if (i == 0)
        (*copy)[0] = part;
      else
        copy->Append(part);
    }
    copy->is_tuple = chunk->is_tuple;
    return ObjectFromItem(side_.state, std::move(copy));
  }

  // An array of bool with at least one dimension selects rows of the item's arrays.
  std::optional<pipeline::Part> MaskOf(const Item& item, PyObject* result) const {
    if (PyBool_Check(result) || !IsArrayLike(side_.state, result)) return {};
    if (item->AsChunk() == nullptr &&
        !IsArrayLike(side_.state, static_cast<PythonValue&>(*item).get())) {
      return {};
    }
    const Ref array = AsArrayObject(side_.state, result, nullptr, nullptr);
    pipeline::Part part = PartOf(side_, AsArray(array.get()));
    if (part.view.ndim() == 0 || part.view.dtype().kind() != base::Kind::kBool) return {};
    return part;
  }

  const PythonSide side_;
  const PythonCall& call_;
};

class CallDescription final : public pipeline::Stage {
 public:
  CallDescription(PythonSide side, PythonCall call, bool to_arrays, bool is_filter)
      : side_(std::move(side)),
        call_(std::move(call)),
        to_arrays_(to_arrays),
        is_filter_(is_filter) {}
  std::string Name() const override { return call_.name; }
  Result<std::unique_ptr<pipeline::StageRun>> Open(pipeline::Shape*) const override {
    if (is_filter_) return std::unique_ptr<pipeline::StageRun>(new FilterRun(side_, call_));
    return std::unique_ptr<pipeline::StageRun>(new CallRun(side_, call_, to_arrays_));
  }

 private:
  const PythonSide side_;
  const PythonCall call_;
  const bool to_arrays_;
  const bool is_filter_;
};

}  // namespace

std::shared_ptr<const pipeline::Source> IteratorSource(PythonSide side, std::string name,
                                                       PyObject* iterator, bool to_arrays) {
  return std::make_shared<IteratorDescription>(std::move(side), std::move(name), iterator,
                                               to_arrays);
}

std::shared_ptr<const pipeline::Stage> CallStage(PythonSide side, PythonCall call, bool to_arrays) {
  return std::make_shared<CallDescription>(std::move(side), std::move(call), to_arrays, false);
}

std::shared_ptr<const pipeline::Stage> CallFilter(PythonSide side, PythonCall call) {
  return std::make_shared<CallDescription>(std::move(side), std::move(call), false, true);
}

}  // namespace spanflow::bindings
