#include "bindings/pipeline_value.h"

#include <algorithm>

#include "bindings/convert.h"
#include "bindings/create.h"
#include "capi/error.h"
#include "capi/object.h"
#include "pipeline/stats.h"
#include "platform/thread.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Ref;
using pipeline::Chunk;
using pipeline::Item;
using pipeline::Part;

// A thread state of a run's own thread, kept while the thread lives.
class OwnThread final : public pipeline::Value {
 public:
  explicit OwnThread(std::shared_ptr<capi::Hub> hub) : thread(std::move(hub)) {}
  capi::PythonThread thread;
};

// What an object holds, where that is cheap to know.
int64_t BytesOf(PyObject* object) {
  if (PyBytes_Check(object)) return PyBytes_GET_SIZE(object);
  if (PyByteArray_Check(object)) return PyByteArray_GET_SIZE(object);
  if (!PyObject_CheckBuffer(object)) return 0;
  const Ref nbytes = Ref::Steal(PyObject_GetAttrString(object, "nbytes"));
  const int64_t value = nbytes ? PyLong_AsLongLong(nbytes.get()) : 0;
  if (PyErr_Occurred() != nullptr) PyErr_Clear();
  return value > 0 ? value : 0;
}

// A tuple of arrays is several arrays side by side; any other tuple is a sequence of numbers.
bool IsTupleOfArrays(ModuleState* state, PyObject* object) {
  if (!PyTuple_CheckExact(object) || PyTuple_GET_SIZE(object) == 0) return false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); ++i) {
    if (!IsArrayLike(state, PyTuple_GET_ITEM(object, i))) return false;
  }
  return true;
}

Part PartFromObject(const PythonSide& side, PyObject* object) {
  const Ref array = AsArrayObject(side.state, object, nullptr, nullptr);
  CheckOpen(AsArray(array.get()));
  return PartOf(side, AsArray(array.get()));
}

// A dict with strings as keys and arrays as values, at least one.
bool IsDictOfArrays(ModuleState* state, PyObject* object) {
  if (!PyDict_CheckExact(object) || PyDict_GET_SIZE(object) == 0) return false;
  PyObject *key, *value;
  for (Py_ssize_t at = 0; PyDict_Next(object, &at, &key, &value) != 0;) {
    if (!PyUnicode_Check(key) || !IsArrayLike(state, value)) return false;
  }
  return true;
}

void FillFromDict(const PythonSide& side, PyObject* dict, Chunk* chunk) {
  const Ref items = Check(PyDict_Items(dict));  // of its own: making arrays may run Python
  auto names = std::make_shared<std::vector<std::string>>();
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(items.get()); ++i) {
    PyObject* const item = PyList_GET_ITEM(items.get(), i);
    names->push_back(capi::Text(PyTuple_GET_ITEM(item, 0)));
    Part part = PartFromObject(side, PyTuple_GET_ITEM(item, 1));
    if (i == 0)
      (*chunk)[0] = std::move(part);
    else
      chunk->Append(std::move(part));
  }
  chunk->form.names = std::move(names);
}

Item ChunkFromObject(const PythonSide& side, PyObject* object) {
  auto chunk = std::make_unique<Chunk>();
  if (IsDictOfArrays(side.state, object)) {
    FillFromDict(side, object, chunk.get());
    return chunk;
  }
  if (!IsTupleOfArrays(side.state, object)) {
    (*chunk)[0] = PartFromObject(side, object);
    return chunk;
  }
  chunk->form.is_tuple = true;
  (*chunk)[0] = PartFromObject(side, PyTuple_GET_ITEM(object, 0));
  for (Py_ssize_t i = 1; i < PyTuple_GET_SIZE(object); ++i) {
    chunk->Append(PartFromObject(side, PyTuple_GET_ITEM(object, i)));
  }
  return chunk;
}

Ref ObjectFromPart(ModuleState* state, Part& part) {
  if (part.view.ndim() == 0) return ReadItem(part.view, part.view.data);
  const auto* lease = static_cast<PythonValue*>(part.keep.get());
  return NewArray(state, array::View(part.view), lease == nullptr ? nullptr : lease->get());
}

}  // namespace

bool IsArrayLike(ModuleState* state, PyObject* object) {
  return IsArray(state, object) || PyObject_CheckBuffer(object);
}

void OwnedObjects::Add(PythonValue* value) {
  if (Forked()) return;
  const std::lock_guard lock(mutex_);
  value->next_ = first_;
  if (first_ != nullptr) first_->previous_ = value;
  first_ = value;
}

void OwnedObjects::Remove(PythonValue* value) {
  if (Forked()) return;
  const std::lock_guard lock(mutex_);
  if (value->next_ != nullptr) value->next_->previous_ = value->previous_;
  (value->previous_ != nullptr ? value->previous_->next_ : first_) = value->next_;
}

// The collector looks several times, and what it sees must fit together. Objects are added and
// taken by attached threads only, of which none runs meanwhile; one that a detached thread drops is
// garbage unless somebody else has it. No thread that the collector has stopped is in the mutex.
int OwnedObjects::Visit(visitproc visit, void* arg) {
  if (Forked()) return 0;
  const std::lock_guard lock(mutex_);
  for (PythonValue* value = first_; value != nullptr; value = value->next_) {
    Py_VISIT(value->object_);
  }
  return 0;
}

PythonValue::PythonValue(std::shared_ptr<OwnedObjects> owned, Ref object)
    : owned_(std::move(owned)), nbytes_(BytesOf(object.get())) {
  object_ = object.release();
  owned_->Add(this);
}

PythonValue::~PythonValue() {
  if (object_ == nullptr) return;
  owned_->Remove(this);
  owned_->hub().Release(object_);
}

Ref PythonValue::Take() {
  owned_->Remove(this);
  return Ref::Steal(std::exchange(object_, nullptr));
}

Part PartOf(const PythonSide& side, ArrayObject* array) {
  if (array->lease == nullptr) return Part(array->view);
  return Part(array->view, std::make_shared<PythonValue>(side.owned, Ref::Borrow(array->lease)));
}

pipeline::Names NamesFrom(PyObject* names) {
  if (names == Py_None) return nullptr;
  auto texts = std::make_shared<std::vector<std::string>>();
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); ++i) {
    texts->push_back(capi::Text(PyTuple_GET_ITEM(names, i)));
  }
  return texts;
}

Item ItemFromObject(const PythonSide& side, Ref object, bool to_arrays) {
  if (to_arrays) return ChunkFromObject(side, object.get());
  return std::make_unique<PythonValue>(side.owned, std::move(object));
}

Ref ObjectFromItem(ModuleState* state, Item item) {
  Chunk* chunk = item->AsChunk();
  if (chunk == nullptr) return static_cast<PythonValue&>(*item).Take();
  if (const pipeline::Names& names = chunk->form.names; names != nullptr) {
    Ref dict = Check(PyDict_New());
    for (int i = 0; i < chunk->size(); ++i) {
      const Ref value = ObjectFromPart(state, (*chunk)[i]);
      capi::CheckStatus(
          PyDict_SetItemString(dict.get(), (*names)[static_cast<size_t>(i)].c_str(), value.get()));
    }
    return dict;
  }
  if (!chunk->form.is_tuple && chunk->size() == 1) return ObjectFromPart(state, (*chunk)[0]);
  Ref tuple = Check(PyTuple_New(chunk->size()));
  for (int i = 0; i < chunk->size(); ++i) {
    PyTuple_SET_ITEM(tuple.get(), i, ObjectFromPart(state, (*chunk)[i]).release());
  }
  return tuple;
}

bool PythonCaller::LookForSignals() {
  hub_.Drain();
  return PyErr_CheckSignals() != 0;
}

// A function may give the GIL up inside, to sleep or to wait. What it holds it for is about the
// processor time that it uses; asking for that takes a system call, so that calls count whole where
// all of the thread's last ones were quick.
constexpr int64_t kQuickCall = 20'000;  // ns
thread_local int64_t expected_call = 0;

StageAttach::StageAttach(pipeline::Context& context, const std::shared_ptr<capi::Hub>& hub)
    : context_(context) {
  if (context.caller() != nullptr) {
    caller_.emplace(static_cast<PythonCaller*>(context.caller())->detached());
  } else {
    if (context.local() == nullptr) context.local() = std::make_unique<OwnThread>(hub);
    capi::PythonThread& thread = static_cast<OwnThread&>(*context.local()).thread;
    if (!thread.valid()) return;
    own_.emplace(thread);
  }
  since_ = pipeline::Now();
  if (expected_call > kQuickCall) cpu_since_ = platform::ThreadCpuTime();
  hub->Drain();  // what detached threads of the run could not drop
}

StageAttach::~StageAttach() {
  if (!ok()) return;
  const int64_t attached = pipeline::Now() - since_;
  int64_t held = attached;
  if (cpu_since_ >= 0) held = std::min(platform::ThreadCpuTime() - cpu_since_, attached);
  expected_call = std::max(attached, expected_call - expected_call / 8);
  context_.AddAttached(held);
  if (caller_.has_value()) static_cast<PythonCaller*>(context_.caller())->AddAttached(attached);
}

}  // namespace spanflow::bindings
