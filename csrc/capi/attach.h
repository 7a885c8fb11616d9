// DetachScope, PythonThread and AttachScope: who may touch Python objects, and when.
//
// DetachScope is Py_BEGIN_ALLOW_THREADS … Py_END_ALLOW_THREADS as a scope: the thread gives the
// GIL up (or detaches, on free-threaded builds) and takes it back at the end.
// PythonThread is a native thread's own thread state in one stored interpreter, made once and used
// for many calls (making one costs about 20 µs, attaching with it 0.1 µs). AttachScope uses it.
// ReattachScope takes the GIL back for a while inside a DetachScope of the same thread.
// PyGILState is never used: it always attaches to the main interpreter.
//
// Owns: a PythonThread owns its thread state and one entry in its Hub.
// Threads: each object belongs to the thread that made it.
// Attached: DetachScope needs it; PythonThread and AttachScope need the opposite.
// Fails: PythonThread::valid() is false once the interpreter is going away.
#pragma once

#include <chrono>
#include <memory>

#include "capi/error.h"
#include "capi/hub.h"
#include "capi/python.h"

namespace spanflow::capi {

// PyEval_RestoreThread for a thread that may come too late: it then never returns.
void RestoreThread(PyThreadState* state) noexcept;

// PyEval_SaveThread.
inline PyThreadState* SaveThread() {
  MarkDetached(true);
  return PyEval_SaveThread();
}

class DetachScope {
 public:
  DetachScope() : state_(SaveThread()) {}
  ~DetachScope() { RestoreThread(state_); }
  DetachScope(const DetachScope&) = delete;
  DetachScope& operator=(const DetachScope&) = delete;

 private:
  friend class ReattachScope;

  PyThreadState* state_;
};

// Waits detached until wait_for(time) is true. Signals are answered meanwhile: throws PythonError
// when a handler of one raised.
template <class WaitFor>
void WaitInterruptibly(WaitFor wait_for) {
  constexpr std::chrono::milliseconds kSlice{40};
  for (;;) {
    {
      const DetachScope detached;
      if (wait_for(kSlice)) return;
    }
    CheckStatus(PyErr_CheckSignals());
  }
}

class ReattachScope {
 public:
  explicit ReattachScope(DetachScope& detached) : detached_(detached) {
    RestoreThread(detached_.state_);
  }
  ~ReattachScope() { detached_.state_ = SaveThread(); }
  ReattachScope(const ReattachScope&) = delete;
  ReattachScope& operator=(const ReattachScope&) = delete;

 private:
  DetachScope& detached_;
};

class PythonThread {
 public:
  explicit PythonThread(std::shared_ptr<Hub> hub);
  ~PythonThread();
  PythonThread(const PythonThread&) = delete;
  PythonThread& operator=(const PythonThread&) = delete;

  bool valid() const { return state_ != nullptr; }

 private:
  friend class AttachScope;
  std::shared_ptr<Hub> hub_;
  PyThreadState* state_ = nullptr;
};

class AttachScope {
 public:
  // `thread` must be valid and belong to the calling thread.
  explicit AttachScope(PythonThread& thread) { RestoreThread(thread.state_); }
  ~AttachScope() { SaveThread(); }
  AttachScope(const AttachScope&) = delete;
  AttachScope& operator=(const AttachScope&) = delete;
};

}  // namespace spanflow::capi
