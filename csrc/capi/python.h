// The one place that includes Python.h, with shims for what newer CPython versions have.
//
// Owns: nothing. Threads: see each function. Attached: see each function. Fails: never.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

namespace spanflow::capi {

// The thread state this thread is attached with, or null; may be called by any thread.
inline PyThreadState* AttachedStateOrNull() {
#if PY_VERSION_HEX >= 0x030D0000
  return PyThreadState_GetUnchecked();
#else
  return _PyThreadState_UncheckedGet();
#endif
}

}  // namespace spanflow::capi
