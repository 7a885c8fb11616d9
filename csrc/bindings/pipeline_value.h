// Between Python objects and the items of a pipeline.
//
// Owns: a PythonValue owns one reference, dropped in its own interpreter wherever it dies.
// Threads: a value belongs to one thread at a time. Attached: the functions need it; dropping does
// not. Fails: PythonError is thrown when an object cannot be made into arrays.
#pragma once

#include <memory>
#include <optional>

#include "bindings/array_object.h"
#include "capi/attach.h"
#include "pipeline/stage.h"

namespace spanflow::bindings {

class PythonValue final : public pipeline::Value {
 public:
  PythonValue(std::shared_ptr<capi::Hub> hub, capi::Ref object);
  ~PythonValue() override;
  int64_t nbytes() const override { return nbytes_; }

  PyObject* get() const { return object_; }
  capi::Ref Take() { return capi::Ref::Steal(std::exchange(object_, nullptr)); }

  // The rows of the source that the object stands for, as in pipeline::Chunk.
  int64_t first_row = 0;
  int64_t rows = pipeline::Chunk::kNoRows;

 private:
  std::shared_ptr<capi::Hub> hub_;
  PyObject* object_;
  int64_t nbytes_;
};

// Whether sf.asarray would take the object as an array, and not as a number or a list.
bool IsArrayLike(ModuleState* state, PyObject* object);

// An array's view and what keeps its bytes alive.
pipeline::Part PartOf(ArrayObject* array);

// `to_arrays`: the next stage works on arrays, so anything else is converted as sf.asarray does.
pipeline::Item ItemFromObject(ModuleState* state, capi::Ref object, bool to_arrays);

// A tuple for several arrays, a Python scalar for a 0-d result.
capi::Ref ObjectFromItem(ModuleState* state, pipeline::Item item);

// The consumer's thread inside Run::Next: its own thread state serves stages that it helps with.
class PythonCaller final : public pipeline::Caller {
 public:
  PythonCaller(capi::DetachScope& detached, capi::Hub& hub) : detached_(detached), hub_(hub) {}
  // Runs signal handlers; an exception that they raise stays set.
  bool Interrupted() override;

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
};

}  // namespace spanflow::bindings
