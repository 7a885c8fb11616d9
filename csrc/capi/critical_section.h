// CriticalSection: CPython's per-object lock as a scope; nothing at all on builds with a GIL, where
// being attached is the lock.
//
// Owns: the lock while it lives. Threads: per thread; only the innermost section is sure to be
// held, and any detach suspends it: use it for short edits of metadata, never around a kernel.
// Attached: always. Fails: never.
#pragma once

#include "capi/python.h"

namespace spanflow::capi {

class CriticalSection {
 public:
#ifdef Py_GIL_DISABLED
  explicit CriticalSection(PyObject* object) { PyCriticalSection_Begin(&section_, object); }
  ~CriticalSection() {
    if (!MayTouchPython()) StayForever();
    PyCriticalSection_End(&section_);
  }
#else
  explicit CriticalSection(PyObject*) {}
#endif
  CriticalSection(const CriticalSection&) = delete;
  CriticalSection& operator=(const CriticalSection&) = delete;

#ifdef Py_GIL_DISABLED
 private:
  PyCriticalSection section_;
#endif
};

}  // namespace spanflow::capi
