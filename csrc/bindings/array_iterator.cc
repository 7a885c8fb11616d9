// Iteration over the first axis of spanflow.Array.
#include <utility>

#include "bindings/array_object.h"
#include "capi/critical_section.h"
#include "capi/entry.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Raise;
using capi::Ref;

struct IteratorObject {
  PyObject_HEAD
  PyObject* array;  // null once everything was given
  Py_ssize_t next;
};

IteratorObject* AsIterator(PyObject* self) { return reinterpret_cast<IteratorObject*>(self); }

// The array and the place of the next element; without a place the array is given up. Several
// threads may share an iterator, and the array must outlive the element that is being made.
Ref TakeNext(PyObject* object, Py_ssize_t* index) {
  const capi::CriticalSection section(object);
  IteratorObject* self = AsIterator(object);
  if (self->array == nullptr) return {};
  ArrayObject* array = AsArray(self->array);
  CheckOpen(array);
  if (self->next >= array->view.layout.shape[0]) {
    return Ref::Steal(std::exchange(self->array, nullptr));
  }
  *index = self->next++;
  return Ref::Borrow(self->array);
}

Ref IteratorNext(PyObject* object) {
  Py_ssize_t index = -1;
  const Ref array = TakeNext(object, &index);
  return index < 0 ? Ref() : ArrayItem(array.get(), index);
}

int IteratorTraverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(AsIterator(self)->array);
  return 0;
}
int IteratorClear(PyObject* self) {
  Py_CLEAR(AsIterator(self)->array);
  return 0;
}
void IteratorDealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  Py_CLEAR(AsIterator(self)->array);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot iterator_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&IteratorDealloc)},
                                {Py_tp_traverse, reinterpret_cast<void*>(&IteratorTraverse)},
                                {Py_tp_clear, reinterpret_cast<void*>(&IteratorClear)},
                                {Py_tp_iter, reinterpret_cast<void*>(&PyObject_SelfIter)},
                                {Py_tp_iternext, capi::Slot<&IteratorNext>()},
                                {0, nullptr}};

}  // namespace

PyType_Spec iterator_spec = {"spanflow._core._ArrayIterator", sizeof(IteratorObject), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                                 Py_TPFLAGS_DISALLOW_INSTANTIATION,
                             iterator_slots};

Ref ArrayIter(PyObject* object) {
  ArrayObject* array = AsArray(object);
  CheckOpen(array);
  if (array->view.ndim() == 0) Raise(PyExc_TypeError, "iteration over a 0-d array");
  auto* self = PyObject_GC_New(IteratorObject, array->state->iterator_type);
  Ref iterator = Check(reinterpret_cast<PyObject*>(self));
  self->array = Py_NewRef(object);
  self->next = 0;
  PyObject_GC_Track(iterator.get());
  return iterator;
}

}  // namespace spanflow::bindings
