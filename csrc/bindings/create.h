// Making arrays: asarray and its relatives, and the module functions for them.
//
// Owns: nothing. Threads: thread-compatible. Attached: always.
// Fails: TypeError for what is no array, ValueError where copy=False cannot be kept or a nested
// list is ragged, MemoryError.
#pragma once

#include "array/copy.h"
#include "bindings/array_object.h"

namespace spanflow::bindings {

// `dtype` may be null or None; `copy` null, None (only if needed), True (always) or False (never).
capi::Ref AsArrayObject(ModuleState* state, PyObject* object, PyObject* dtype, PyObject* copy);

// Numbers, bytes and (nested) sequences of them: always a new array. `dtype` may be null.
capi::Ref ArrayFromSequence(ModuleState* state, PyObject* object, const base::DType* dtype);

// Wraps whatever exports bytes; an empty Ref when the object does not.
capi::Ref WrapOrNull(ModuleState* state, PyObject* object);

// A new array in C order, or in Fortran order for what is so.
capi::Ref CopyOf(ModuleState* state, const array::View& view, const base::DType& dtype,
                 array::CastHow how = {});

base::Dims ShapeFromObject(PyObject* object);  // an int or a sequence of ints
base::Dims IntegersFrom(PyObject* iterable);
base::Dims IntegersFrom(PyObject* const* objects, Py_ssize_t count);

bool FortranFromObject(PyObject* order);  // null, None, 'C' or 'F'

// The function arange, which has a file of its own.
capi::Ref Arange(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);

extern PyMethodDef create_functions[];

}  // namespace spanflow::bindings
