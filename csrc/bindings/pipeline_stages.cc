#include "bindings/pipeline_stages.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <tuple>
#include <utility>

#include "bindings/create.h"
#include "bindings/pipeline_value.h"
#include "capi/object.h"
#include "pipeline/array_stages.h"
#include "pipeline/rows_source.h"
#include "pipeline/stages.h"

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

// The items of built-in collections are there already; any other iterator may wait for something.
bool MayWait(PyObject* iterator) {
  const PyTypeObject* const type = Py_TYPE(iterator);
  for (const PyTypeObject* known :
       {&PyListIter_Type, &PyTupleIter_Type, &PyRangeIter_Type, &PyLongRangeIter_Type,
        &PyDictIterKey_Type, &PyDictIterValue_Type, &PyDictIterItem_Type, &PySetIter_Type,
        &PyBytesIter_Type, &PyByteArrayIter_Type, &PyUnicodeIter_Type}) {
    if (type == known) return false;
  }
  return true;
}

class IteratorRun final : public pipeline::SourceRun {
 public:
  IteratorRun(PythonSide side, PyObject* iterator, bool to_arrays)
      : side_(std::move(side)),
        iterator_(iterator),
        to_arrays_(to_arrays),
        never_waits_(!MayWait(iterator)) {}

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
  const bool never_waits_;  // else each item goes on its way before the next is asked for
};

class IteratorDescription final : public pipeline::Source {
 public:
  IteratorDescription(PythonSide side, std::string name, PyObject* iterator, bool to_arrays)
      : side_(std::move(side)),
        name_(std::move(name)),
        iterator_(iterator),
        to_arrays_(to_arrays) {}
  std::string Name() const override { return name_; }
  bool may_wait() const override { return MayWait(iterator_); }
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

// What a call sees of an item that goes on: from then on nobody may write into it.
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
  copy->is_tuple = chunk->is_tuple;
  return ObjectFromItem(side.state, std::move(copy));
}

class FilterRun final : public pipeline::StageRun {
 public:
  FilterRun(PythonSide side, const PythonCall& call) : side_(std::move(side)), call_(call) {}

  Status Process(Item item, Context& context) override {
    std::optional<pipeline::Part> mask;
    SPANFLOW_TRY(RunAttached(side_, context, [&] {
      const Rows rows = RowsOfItem(item);
      const Ref object = SharedWith(side_, item);
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

// An item that a Python stage made, with the credit that it takes.
Status EmitMade(const PythonSide& side, Ref object, bool to_arrays, Context& context) {
  Item made = ItemFromObject(side, std::move(object), to_arrays);
  if (const int64_t nbytes = made->nbytes(); nbytes > 0) {
    made->credit = pipeline::Credit::Take(context.budget(), nbytes);
    SPANFLOW_TRY(context.budget()->CheckItem(nbytes));
  }
  context.Emit(std::move(made));
  return Status::Ok();
}

class FlatMapRun final : public pipeline::StageRun {
 public:
  FlatMapRun(PythonSide side, const PythonCall& call, bool to_arrays)
      : side_(std::move(side)), call_(call), to_arrays_(to_arrays) {}

  Status Process(Item item, Context& context) override {
    if (call_.callable == nullptr && item->AsChunk() != nullptr) {
      return pipeline::EmitRows(std::move(item), context);
    }
    std::unique_ptr<Item> rows;
    SPANFLOW_TRY(
        RunAttached(side_, context, [&] { return Iterate(std::move(item), context, &rows); }));
    return rows == nullptr ? Status::Ok() : pipeline::EmitRows(std::move(*rows), context);
  }

 private:
  // Emits the items of what the callable gives; or `rows`, where that is an array.
  Status Iterate(Item item, Context& context, std::unique_ptr<Item>* rows) const {
    const Rows at = RowsOfItem(item);
    Ref object = ObjectFromItem(side_.state, std::move(item));
    if (call_.callable != nullptr) object = CallWith(side_.state, call_, object.get(), at);
    if (IsArrayLike(side_.state, object.get()) && !PyBytes_Check(object.get())) {
      *rows = std::make_unique<Item>(ItemFromObject(side_, std::move(object), true));
      return Status::Ok();
    }
    const Ref iterator = Check(PyObject_GetIter(object.get()));
    while (Ref next = Ref::Steal(PyIter_Next(iterator.get()))) {
      SPANFLOW_TRY(EmitMade(side_, std::move(next), to_arrays_, context));
    }
    if (PyErr_Occurred() != nullptr) throw capi::PythonError{};
    return Status::Ok();
  }

  const PythonSide side_;
  const PythonCall& call_;
  const bool to_arrays_;
};

class TapRun final : public pipeline::StageRun {
 public:
  TapRun(PythonSide side, const PythonCall& call) : side_(std::move(side)), call_(call) {}

  Status Process(Item item, Context& context) override {
    SPANFLOW_TRY(RunAttached(side_, context, [&] {
      const Ref object = SharedWith(side_, item);
      CallWith(side_.state, call_, object.get(), RowsOfItem(item));
      return Status::Ok();
    }));
    context.Emit(std::move(item));
    return Status::Ok();
  }

 private:
  const PythonSide side_;
  const PythonCall& call_;
};

class EnumerateRun final : public pipeline::StageRun {
 public:
  EnumerateRun(PythonSide side, int64_t start, bool to_arrays)
      : side_(std::move(side)), next_(start), to_arrays_(to_arrays) {}

  Status Process(Item item, Context& context) override {
    return RunAttached(side_, context, [&] {
      pipeline::Credit credit = std::move(item->credit);  // the pair has what the item has
      const Ref number = Check(PyLong_FromLongLong(next_++));
      const Ref object = ObjectFromItem(side_.state, std::move(item));
      Item made =
          ItemFromObject(side_, Check(PyTuple_Pack(2, number.get(), object.get())), to_arrays_);
      made->credit = std::move(credit);
      context.Emit(std::move(made));
      return Status::Ok();
    });
  }

 private:
  const PythonSide side_;
  int64_t next_;
  const bool to_arrays_;
};

class CollateRun final : public pipeline::StageRun {
 public:
  CollateRun(PythonSide side, PyObject* collate, bool to_arrays)
      : side_(std::move(side)), collate_(collate), to_arrays_(to_arrays) {}

  Status Process(Item item, Context& context) override {
    pipeline::Items items = std::move(static_cast<pipeline::Group&>(*item).items);
    const bool all_chunks =
        std::ranges::all_of(items, [](const Item& i) { return i->AsChunk() != nullptr; });
    if (all_chunks) {
      SPANFLOW_ASSIGN(Item joined,
                      pipeline::JoinItems(std::move(items), pipeline::Join::kStack, context));
      context.Emit(std::move(joined));
      return Status::Ok();
    }
    return RunAttached(side_, context, [&] {
      const Ref list = Check(PyList_New(0));
      for (Item& one : items) {
        const Ref object = ObjectFromItem(side_.state, std::move(one));
        capi::CheckStatus(PyList_Append(list.get(), object.get()));
      }
      return EmitMade(side_, Check(PyObject_CallOneArg(collate_, list.get())), to_arrays_, context);
    });
  }

 private:
  const PythonSide side_;
  PyObject* const collate_;
  const bool to_arrays_;
};

// A stage whose run is made of what a call needs and what the description says.
template <class Run, class... More>
class CallDescription final : public pipeline::Stage {
 public:
  CallDescription(pipeline::Mode mode, PythonSide side, PythonCall call, More... more)
      : mode_(mode), side_(std::move(side)), call_(std::move(call)), more_(more...) {}
  std::string Name() const override { return call_.name; }
  pipeline::Mode mode() const override { return mode_; }
  Result<std::unique_ptr<pipeline::StageRun>> Open(pipeline::Shape*) const override {
    return std::apply(
        [this](More... more) {
          return std::unique_ptr<pipeline::StageRun>(new Run(side_, call_, more...));
        },
        more_);
  }

 private:
  const pipeline::Mode mode_;
  const PythonSide side_;
  const PythonCall call_;
  const std::tuple<More...> more_;
};

class EnumerateDescription final : public pipeline::Stage {
 public:
  EnumerateDescription(PythonSide side, int64_t start, bool to_arrays)
      : side_(std::move(side)), start_(start), to_arrays_(to_arrays) {}
  std::string Name() const override { return "enumerate"; }
  pipeline::Mode mode() const override { return pipeline::Mode::kSerialInOrder; }
  Result<std::unique_ptr<pipeline::StageRun>> Open(pipeline::Shape*) const override {
    return std::unique_ptr<pipeline::StageRun>(new EnumerateRun(side_, start_, to_arrays_));
  }

 private:
  const PythonSide side_;
  const int64_t start_;
  const bool to_arrays_;
};

class CollateDescription final : public pipeline::Stage {
 public:
  CollateDescription(PythonSide side, PyObject* collate, bool to_arrays)
      : side_(std::move(side)), collate_(collate), to_arrays_(to_arrays) {}
  std::string Name() const override { return "stack"; }
  Result<std::unique_ptr<pipeline::StageRun>> Open(pipeline::Shape*) const override {
    return std::unique_ptr<pipeline::StageRun>(new CollateRun(side_, collate_, to_arrays_));
  }

 private:
  const PythonSide side_;
  PyObject* const collate_;
  const bool to_arrays_;
};

}  // namespace

std::shared_ptr<const pipeline::Source> IteratorSource(PythonSide side, std::string name,
                                                       PyObject* iterator, bool to_arrays) {
  return std::make_shared<IteratorDescription>(std::move(side), std::move(name), iterator,
                                               to_arrays);
}

namespace {

template <class Run, class... More>
std::shared_ptr<const pipeline::Stage> Describe(pipeline::Mode mode, PythonSide side,
                                                PythonCall call, More... more) {
  return std::make_shared<CallDescription<Run, More...>>(mode, std::move(side), std::move(call),
                                                         more...);
}

}  // namespace

std::shared_ptr<const pipeline::Stage> CallStage(PythonSide side, PythonCall call, bool to_arrays) {
  return Describe<CallRun>(pipeline::Mode::kParallel, std::move(side), std::move(call), to_arrays);
}

std::shared_ptr<const pipeline::Stage> CallFilter(PythonSide side, PythonCall call) {
  return Describe<FilterRun>(pipeline::Mode::kParallel, std::move(side), std::move(call));
}

std::shared_ptr<const pipeline::Stage> CallFlatMap(PythonSide side, PythonCall call,
                                                   bool to_arrays) {
  return Describe<FlatMapRun>(pipeline::Mode::kParallel, std::move(side), std::move(call),
                              to_arrays);
}

std::shared_ptr<const pipeline::Stage> CallTap(PythonSide side, PythonCall call) {
  return Describe<TapRun>(pipeline::Mode::kSerialInOrder, std::move(side), std::move(call));
}

std::shared_ptr<const pipeline::Stage> EnumerateStage(PythonSide side, int64_t start,
                                                      bool to_arrays) {
  return std::make_shared<EnumerateDescription>(std::move(side), start, to_arrays);
}

std::shared_ptr<const pipeline::Stage> CollateStage(PythonSide side, PyObject* collate,
                                                    bool to_arrays) {
  return std::make_shared<CollateDescription>(std::move(side), collate, to_arrays);
}

}  // namespace spanflow::bindings
