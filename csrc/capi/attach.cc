#include "capi/attach.h"

#include <chrono>
#include <thread>

namespace spanflow::capi {

// Up to 3.13 a thread that attaches after finalization has begun is ended by pthread_exit, which
// unwinds through C++ frames whose destructors may no longer touch Python. From 3.14 on it hangs
// instead, and so do we: the unwinding is caught where it begins and never goes on.
void RestoreThread(PyThreadState* state) noexcept {
  try {
    PyEval_RestoreThread(state);
    MarkDetached(false);
  } catch (...) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

PythonThread::PythonThread(std::shared_ptr<Hub> hub) : hub_(std::move(hub)) {
  if (!hub_->TryEnter()) return;
  MarkDetached(true);
  state_ = PyThreadState_New(hub_->interpreter());
  if (state_ == nullptr) hub_->Leave();
}

PythonThread::~PythonThread() {
  if (state_ == nullptr) return;
  RestoreThread(state_);
  PyThreadState_Clear(state_);
  PyThreadState_DeleteCurrent();
  MarkDetached(true);
  hub_->Leave();
}

}  // namespace spanflow::capi
