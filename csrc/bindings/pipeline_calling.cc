#include "bindings/pipeline_calling.h"

#include <cstdlib>
#include <utility>

#include "bindings/create.h"
#include "capi/object.h"
#include "pipeline/array_stages.h"
#include "pipeline/rows_source.h"
#include "pipeline/stats.h"

namespace spanflow::bindings {

using base::Status;
using capi::Check;
using capi::Ref;
using pipeline::Chunk;
using pipeline::Context;
using pipeline::Item;

namespace {

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

// An array of bool with at least one dimension selects rows of the item's arrays.
std::optional<pipeline::Part> MaskOf(const PythonSide& side, const Item& item, PyObject* result) {
  if (PyBool_Check(result) || !IsArrayLike(side.state, result)) return {};
  if (item->AsChunk() == nullptr &&
      !IsArrayLike(side.state, static_cast<PythonValue&>(*item).get())) {
    return {};
  }
  const Ref array = AsArrayObject(side.state, result, nullptr, nullptr);
  pipeline::Part part = PartOf(side, AsArray(array.get()));
  if (part.view.ndim() == 0 || part.view.dtype().kind() != base::Kind::kBool) return {};
  return part;
}

// An array that is cut into rows natively. Others that look like one, such as those of objects, are
// iterated over.
bool HoldsRows(ModuleState* state, PyObject* object) {
  if (!IsArrayLike(state, object) || PyBytes_Check(object)) return false;
  if (IsArray(state, object)) return true;
  try {
    AsArrayObject(state, object, nullptr, nullptr);
    return true;
  } catch (const capi::PythonError&) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_ValueError))
      throw;
    PyErr_Clear();
    return false;
  }
}

// The same, or a tuple of such arrays.
bool HoldRows(ModuleState* state, PyObject* object) {
  if (!PyTuple_Check(object) || PyTuple_GET_SIZE(object) == 0) return HoldsRows(state, object);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); ++i) {
    if (!HoldsRows(state, PyTuple_GET_ITEM(object, i))) return false;
  }
  return true;
}

class RestOfIterator final : public pipeline::Rest {
 public:
  RestOfIterator(const PythonSide& side, Ref iterator, bool to_arrays)
      : side_(side), iterator_(side.owned, std::move(iterator)), to_arrays_(to_arrays) {}

  Status Continue(Context& context) override {
    return RunAttached(side_, context, [&] {
      return EmitFrom(side_, Ref::Borrow(iterator_.get()), to_arrays_, context);
    });
  }

 private:
  const PythonSide& side_;
  PythonValue iterator_;
  const bool to_arrays_;
};

}  // namespace

Ref TakeRaisedForItem() {
  Ref raised = capi::TakeRaised();
  if (!PyErr_GivenExceptionMatches(raised.get(), PyExc_StopIteration)) return raised;
  // The consumer's next() would take it for the end (PEP 479).
  Ref instead = Ref::Steal(PyObject_CallFunction(
      PyExc_RuntimeError, "s", "a function of the pipeline raised StopIteration"));
  if (!instead) instead = capi::TakeRaised();
  PyException_SetCause(instead.get(), raised.release());
  return instead;
}

bool IsUrgent(PyObject* exception) {
  return !PyErr_GivenExceptionMatches(exception, PyExc_Exception);
}

Status ThrowRaised(const PythonSide& side, Context& context) {
  Ref raised = TakeRaisedForItem();
  const bool urgent = IsUrgent(raised.get());
  return context.Throw(std::make_unique<PythonValue>(side.owned, std::move(raised)), urgent);
}

// In a child that was forked inside of the function: there is only this thread. The consumer's goes
// on with the exception, if there is one. For a thread of the run there is nothing to go on with,
// and CPython cannot finalize from it.
void LeaveForkedChild(const Context& context) {
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

Rows RowsOfItem(const Item& item) {
  if (const Chunk* chunk = item->AsChunk()) return {chunk->first_row, chunk->rows};
  const auto& value = static_cast<const PythonValue&>(*item);
  return {value.first_row, value.rows};
}

Ref ArgumentsFor(ModuleState* state, const PythonCall& call, PyObject* item, const Rows& rows) {
  const Py_ssize_t extra = PyTuple_GET_SIZE(call.args);
  Ref args = Check(PyTuple_New(extra + 1));
  PyTuple_SET_ITEM(args.get(), 0, Py_NewRef(item));
  for (Py_ssize_t i = 0; i < extra; ++i) {
    PyObject* arg = PyTuple_GET_ITEM(call.args, i);
    const bool aligned = i < 64 && ((call.aligned >> i) & 1) != 0;
    Ref passed = aligned ? AlignedRows(state, arg, rows) : Ref::Borrow(arg);
    PyTuple_SET_ITEM(args.get(), i + 1, passed.release());
  }
  return args;
}

Ref CallWith(ModuleState* state, const PythonCall& call, PyObject* item, const Rows& rows) {
  if (PyTuple_GET_SIZE(call.args) == 0 && call.kwargs == nullptr) {
    return Check(PyObject_CallOneArg(call.callable, item));
  }
  const Ref args = ArgumentsFor(state, call, item, rows);
  return Check(PyObject_Call(call.callable, args.get(), call.kwargs));
}

Ref SharedWith(const PythonSide& side, const Item& item) {
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
  copy->form = chunk->form;
  return ObjectFromItem(side.state, std::move(copy));
}

Status EmitResult(const PythonSide& side, Ref result, bool is_same, CameIn came_in, bool to_arrays,
                  Context& context) {
  Item made = ItemOfResult(side, std::move(result), came_in.rows, to_arrays);
  return EmitItem(std::move(made), is_same, std::move(came_in), context);
}

Item ItemOfResult(const PythonSide& side, Ref result, const Rows& rows, bool to_arrays) {
  Item made = ItemFromObject(side, std::move(result), to_arrays);
  KeepRows(side.state, rows, &made);
  return made;
}

Status EmitItem(Item made, bool is_same, CameIn came_in, Context& context) {
  if (is_same) {
    made->credit = std::move(came_in.credit);
  } else if (const int64_t nbytes = made->nbytes(); nbytes > 0) {
    came_in.credit = {};  // what came in lived during the call
    made->credit = pipeline::Credit::Take(context.budget(), nbytes);
    SPANFLOW_TRY(context.budget()->CheckItem(nbytes));
  }
  context.Emit(std::move(made));
  return Status::Ok();
}

std::optional<pipeline::Part> Judge(const PythonSide& side, PyObject* object, PyObject* result,
                                    Item* item) {
  std::optional<pipeline::Part> mask = MaskOf(side, *item, result);
  if (mask.has_value()) {
    if ((*item)->AsChunk() == nullptr) *item = ItemFromObject(side, Ref::Borrow(object), true);
  } else if (!capi::Truth(result)) {
    *item = nullptr;  // dropped while attached
  }
  return mask;
}

Status EmitJudged(Item item, const std::optional<pipeline::Part>& mask, Context& context) {
  if (item == nullptr) return Status::Ok();
  if (mask.has_value()) {
    SPANFLOW_TRY(pipeline::SelectRows(item->AsChunk(), mask->view, context));
  }
  context.Emit(std::move(item));
  return Status::Ok();
}

Status EmitEach(const PythonSide& side, Ref iterable, const EachHow& how,
                std::unique_ptr<Item>* rows, Context& context) {
  if (how.tuples ? HoldRows(side.state, iterable.get()) : HoldsRows(side.state, iterable.get())) {
    *rows = std::make_unique<Item>(ItemFromObject(side, std::move(iterable), true));
    return Status::Ok();
  }
  return EmitFrom(side, Check(PyObject_GetIter(iterable.get())), how.to_arrays, context);
}

Status EmitFrom(const PythonSide& side, Ref iterator, bool to_arrays, Context& context) {
  constexpr int64_t kPatience = 10'000'000;  // ns
  const int64_t begun = pipeline::Now();
  while (!context.Enough() && pipeline::Now() - begun < kPatience) {
    Ref next = Ref::Steal(PyIter_Next(iterator.get()));
    if (!next) {
      if (PyErr_Occurred() != nullptr) throw capi::PythonError{};
      return Status::Ok();
    }
    SPANFLOW_TRY(EmitMade(side, std::move(next), to_arrays, context));
  }
  context.Later(std::make_unique<RestOfIterator>(side, std::move(iterator), to_arrays));
  return Status::Ok();
}

Status EmitMade(const PythonSide& side, Ref object, bool to_arrays, Context& context) {
  Item made = ItemFromObject(side, std::move(object), to_arrays);
  if (const int64_t nbytes = made->nbytes(); nbytes > 0) {
    made->credit = pipeline::Credit::Take(context.budget(), nbytes);
    SPANFLOW_TRY(context.budget()->CheckItem(nbytes));
  }
  context.Emit(std::move(made));
  return Status::Ok();
}

}  // namespace spanflow::bindings
