// Elements to Python objects and back: what item(), tolist(), indexing with integers and item
// assignment do.
//
// Owns: nothing. Threads: thread-compatible. Attached: always; the caller has borrowed the bytes.
// Fails: TypeError for an object that is no such element, OverflowError for one that does not fit.
#pragma once

#include "array/promote.h"
#include "array/view.h"
#include "bindings/state.h"

namespace spanflow::bindings {

// bool, int, float, complex, bytes; a record is a tuple, a sub-array field a (nested) list.
capi::Ref ItemToObject(const base::DType& dtype, const std::byte* item);

// Writes one element in the dtype's own byte order. Values of records are tuples (or sequences).
void ObjectToItem(const base::DType& dtype, PyObject* object, std::byte* item);

// Nested lists, or one object for a 0-d view.
capi::Ref ViewToList(const array::View& view);

// A number that takes its dtype from the arrays beside it (NEP 50): exactly bool, int, float or
// complex.
bool IsPythonScalar(PyObject* object);
array::Weak WeakOf(PyObject* scalar);  // of such a number

}  // namespace spanflow::bindings
