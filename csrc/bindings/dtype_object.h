// spanflow.DType in Python: what one element is. sf.float32 and friends are instances.
//
// Owns: a base::DType by value. Threads: immutable. Attached: always.
// Fails: TypeError that names the dtype that is not supported.
#pragma once

#include "base/dtype.h"
#include "bindings/state.h"

namespace spanflow::bindings {

struct DTypeObject {
  PyObject_HEAD
  base::DType dtype;
};

extern PyType_Spec dtype_spec;

// The Python object for a dtype; native scalars are the same object every time.
capi::Ref WrapDType(ModuleState* state, const base::DType& dtype);

// What a user may write for a dtype: an instance, "f4", "<f4", "float32", float, numpy.float32,
// numpy.dtype(…), [("x", "f4"), …] or {"names": …, "formats": …, "offsets": …, "itemsize": …}.
base::DType DTypeFromObject(ModuleState* state, PyObject* object);

// Makes the singletons and adds them to the module.
void AddDTypes(PyObject* module, ModuleState* state);

}  // namespace spanflow::bindings
