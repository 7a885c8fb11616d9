// Lease: the Python object that holds a foreign exporter's bytes: one Py_buffer, or the owner of
// an __array_interface__. The Block over those bytes lives inside it.
//
// Owns: the Py_buffer, released exactly once in its own interpreter: by close(), by the garbage
// collector breaking a cycle, or when the last Array over it goes.
// Threads: as any Python object. Native code that outlives a call holds the Array, not the Block.
// Attached: always. Fails: what the exporter raises.
#pragma once

#include "array/view.h"
#include "bindings/state.h"

namespace spanflow::bindings {

extern PyType_Spec lease_spec;

struct Leased {
  capi::Ref lease;
  array::View view;
};

// Requests the exporter's buffer (PyBUF_FULL_RO) and describes it. An exporter with suboffsets is
// refused with an empty Leased::lease, because only a copy can serve it.
Leased LeaseBuffer(ModuleState* state, PyObject* exporter);

// The bytes of an exporter, C-contiguous and of whatever format, as one dimension of uint8.
Leased LeaseBytes(ModuleState* state, PyObject* exporter);

// An object with __array_interface__ (version 3); `interface` is that dict.
Leased LeaseInterface(ModuleState* state, PyObject* owner, PyObject* interface);

}  // namespace spanflow::bindings
