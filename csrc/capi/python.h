// The one place that includes Python.h, with shims for what newer CPython versions have.
//
// Owns: nothing. Threads: see each function. Attached: see each function. Fails: never.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

namespace spanflow::capi {

// The thread state this thread is attached with, or null; may be called by any thread.
//
// Up to 3.11 CPython has one current thread state for the whole process, that of whoever holds the
// GIL. So on those versions DetachScope and its kin (attach.h) keep a mark of their own.
#if PY_VERSION_HEX >= 0x030D0000
inline void MarkDetached(bool) {}
inline PyThreadState* AttachedStateOrNull() { return PyThreadState_GetUnchecked(); }
#elif PY_VERSION_HEX >= 0x030C0000
inline void MarkDetached(bool) {}
inline PyThreadState* AttachedStateOrNull() { return _PyThreadState_UncheckedGet(); }
#else
inline thread_local bool is_marked_detached = false;
inline void MarkDetached(bool detached) { is_marked_detached = detached; }
inline PyThreadState* AttachedStateOrNull() {
  // A thread without any state of its own can never be attached.
  if (is_marked_detached || PyGILState_GetThisThreadState() == nullptr) return nullptr;
  return _PyThreadState_UncheckedGet();
}
#endif

}  // namespace spanflow::capi
