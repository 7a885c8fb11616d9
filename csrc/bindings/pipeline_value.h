// Between Python objects and the items of a pipeline.
//
// Owns: a PythonValue owns one reference, dropped in its own interpreter wherever it dies.
// Threads: a value belongs to one thread at a time. Attached: the functions need it; dropping does
// not. Fails: PythonError is thrown when an object cannot be made into arrays.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "bindings/array_object.h"
#include "capi/attach.h"
#include "pipeline/stage.h"
#include "runtime/fork.h"

namespace spanflow::bindings {

class PythonValue;

// The Python objects that a run owns natively: its items and errors. The garbage collector is shown
// them, because any of them may lead back to the run: the traceback of an error does.
class OwnedObjects {
 public:
  explicit OwnedObjects(std::shared_ptr<capi::Hub> hub) : hub_(std::move(hub)) {}
  capi::Hub& hub() const { return *hub_; }

  void Add(PythonValue* value);
  void Remove(PythonValue* value);
  bool Forked() const { return runtime::ForkCount() != forks_; }
  // As tp_traverse.
  int Visit(visitproc visit, void* arg);

  // How many threads are between taking an object of the run up and putting it down again; changed
  // by attached threads only.
  std::atomic<int> calls{0};
  std::atomic<bool> called{false};  // whether one ever was

 private:
  const std::shared_ptr<capi::Hub> hub_;
  const uint64_t forks_ = runtime::ForkCount();
  std::mutex mutex_;  // in a forked child never used again: another thread may have held it
  PythonValue* first_ = nullptr;
};

// What the Python stages of one run share.
struct PythonSide {
  ModuleState* state;
  std::shared_ptr<OwnedObjects> owned;
};

class PythonValue final : public pipeline::Value {
 public:
  PythonValue(std::shared_ptr<OwnedObjects> owned, capi::Ref object);
  ~PythonValue() override;
  int64_t nbytes() const override { return nbytes_; }

  void set_nbytes(int64_t nbytes) { nbytes_ = nbytes; }  // of what is inside of the object

  PyObject* get() const { return object_; }
  capi::Ref Take();

  // The rows of the source that the object stands for, as in pipeline::Chunk.
  int64_t first_row = 0;
  int64_t rows = pipeline::Chunk::kNoRows;

 private:
  friend class OwnedObjects;

  const std::shared_ptr<OwnedObjects> owned_;
  PyObject* object_;
  PythonValue* next_ = nullptr;
  PythonValue* previous_ = nullptr;
  int64_t nbytes_;
};

// Whether sf.asarray would take the object as an array, and not as a number or a list.
bool IsArrayLike(ModuleState* state, PyObject* object);

// An array's view and what keeps its bytes alive: a PythonValue of the lease of foreign bytes.
pipeline::Part PartOf(const PythonSide& side, ArrayObject* array);

// `to_arrays`: the next stage works on arrays, so anything else is converted as sf.asarray does.
pipeline::Item ItemFromObject(const PythonSide& side, capi::Ref object, bool to_arrays);

// From a tuple of strings; null of None.
pipeline::Names NamesFrom(PyObject* names);

// A dict or a tuple for several arrays, a Python scalar for a 0-d result.
capi::Ref ObjectFromItem(ModuleState* state, pipeline::Item item);

// The consumer's thread inside Run::Next: its own thread state serves stages that it helps with.
class PythonCaller : public pipeline::Caller {
 public:
  PythonCaller(capi::DetachScope& detached, capi::Hub& hub) : detached_(detached), hub_(hub) {}
  // Attached: runs signal handlers; true for an exception that they raised, which stays set.
  bool LookForSignals();

  capi::DetachScope& detached() { return detached_; }
  // Time that stages were attached on this thread.
  void AddAttached(int64_t nanoseconds) { attached_ns_ += nanoseconds; }
  int64_t attached_ns() const { return attached_ns_; }

 private:
  capi::DetachScope& detached_;
  capi::Hub& hub_;
  int64_t attached_ns_ = 0;
};

// Attached to the hub's interpreter for a scope inside a stage or source, on whichever thread.
class StageAttach {
 public:
  StageAttach(pipeline::Context& context, const std::shared_ptr<capi::Hub>& hub);
  ~StageAttach();
  StageAttach(const StageAttach&) = delete;
  StageAttach& operator=(const StageAttach&) = delete;

  bool ok() const { return own_.has_value() || caller_.has_value(); }  // false: it is going away

 private:
  pipeline::Context& context_;
  std::optional<capi::AttachScope> own_;
  std::optional<capi::ReattachScope> caller_;
  int64_t since_ = 0;
  int64_t cpu_since_ = -1;  // -1: not measured
};

}  // namespace spanflow::bindings
