// The one place that includes Python.h, with shims for what newer CPython versions have.
//
// Owns: nothing. Threads: see each function. Attached: see each function. Fails: never.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

namespace spanflow::capi {

// Up to 3.13 a thread that comes back to an interpreter that has ended is taken out of the call by
// pthread_exit, which unwinds C++ frames like an exception that must not be caught. What these
// frames hold of Python may no longer be touched. So the first of them that can stops the thread
// for good, as CPython itself does from 3.14 on: the destructor of a Ref, or SetErrorFromCurrent-
// Exception, which every entry calls.
[[noreturn]] void StayForever() noexcept;

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

// False in a thread that is being unwound by pthread_exit; elsewhere only for attached threads.
inline bool MayTouchPython() {
#if PY_VERSION_HEX >= 0x030E0000
  return true;
#elif PY_VERSION_HEX >= 0x030C0000
  return AttachedStateOrNull() != nullptr;
#else
  if (!_Py_IsFinalizing()) return true;
  const PyThreadState* const state = _PyThreadState_UncheckedGet();
  return state != nullptr && state->thread_id == PyThread_get_thread_ident();
#endif
}

// Whether the process's interpreters are being torn down: modules may have lost their names.
inline bool IsFinalizing() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

}  // namespace spanflow::capi
