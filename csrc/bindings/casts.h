// Casts between dtypes: what may be cast, and what does it.
//
// Owns: nothing. Threads: thread-compatible. Attached: always; large work detaches inside.
// Fails: as the docstrings say.
#pragma once

#include "bindings/array_object.h"

namespace spanflow::bindings {

// Methods of Array.
capi::Ref AsType(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);
capi::Ref ByteSwap(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);

}  // namespace spanflow::bindings
