// spanflow.Array in Python: a View, and for foreign bytes the lease that keeps them alive.
//
// Owns: its View (one reference to the Block) and one reference to the lease. Shape, strides and
// dtype never change once the object exists, which is what lets getbuffer hand out pointers to
// them. Threads: immutable but for the bytes; every access to bytes borrows the Block first.
// Attached: always. Fails: ValueError once the array was closed.
#pragma once

#include <span>

#include "array/run.h"
#include "array/view.h"
#include "bindings/state.h"
#include "capi/error.h"

namespace spanflow::bindings {

struct ArrayObject {
  PyObject_HEAD
  ModuleState* state;
  PyObject* lease;  // null unless the bytes are foreign
  PyObject* weakrefs;
  array::View view;
};

// Makes the type and adds it to the module.
PyTypeObject* MakeArrayType(PyObject* module);

inline ArrayObject* AsArray(PyObject* object) { return reinterpret_cast<ArrayObject*>(object); }
inline bool IsArray(const ModuleState* state, PyObject* object) {
  return Py_TYPE(object) == state->array_type || PyObject_TypeCheck(object, state->array_type);
}

// A new Array of the exact type; `lease` may be null.
capi::Ref NewArray(ModuleState* state, array::View&& view, PyObject* lease = nullptr);
// A new Array over the same bytes as `self`, with the same lease.
capi::Ref NewView(ArrayObject* self, array::View&& view);
capi::Ref NewView(ArrayObject* self);
// The same view in an object of a subtype.
capi::Ref NewArrayOfType(PyTypeObject* type, ArrayObject* from);

[[noreturn]] void RaiseClosed();
inline void CheckOpen(const ArrayObject* self) {
  if (self->view.block->closed()) RaiseClosed();
}
inline ArrayObject* OpenArray(PyObject* array) {
  CheckOpen(AsArray(array));
  return AsArray(array);
}
// Around direct access to elements: nobody can close the bytes meanwhile, and pages that turned out
// to be missing become an error, which Finish raises.
class AccessScope {
 public:
  explicit AccessScope(const array::View& view) { capi::Check(scope_.Add(view)); }
  void Finish() const { capi::Check(scope_.Finish()); }

 private:
  array::RunScope scope_;
};
// One element, read and written under an AccessScope.
capi::Ref ReadItem(const array::View& view, const std::byte* item);
void WriteItem(const array::View& view, std::byte* item, PyObject* value);

void CheckWritable(const array::View& view);

capi::Ref DimsTuple(const base::Dims& dims);

// Slots and tables that live in files of their own.
int ArrayGetBuffer(PyObject* self, Py_buffer* buffer, int flags) noexcept;
void ArrayReleaseBuffer(PyObject* self, Py_buffer* buffer) noexcept;
capi::Ref ArraySubscript(PyObject* self, PyObject* key);
int ArrayAssignSubscript(PyObject* self, PyObject* key, PyObject* value);
capi::Ref ArrayItem(PyObject* self, Py_ssize_t index);
capi::Ref ArrayIter(PyObject* self);
capi::Ref ArrayComplex(PyObject* self, PyObject* unused);  // __complex__ has no slot
capi::Ref ArrayRichCompare(PyObject* self, PyObject* other, int op);
extern PyType_Spec iterator_spec;
extern PyMethodDef array_methods[];
std::span<const PyType_Slot> ArrayNumberSlots();

}  // namespace spanflow::bindings
