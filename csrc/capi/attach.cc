#include "capi/attach.h"

#include <chrono>
#include <thread>

namespace spanflow::capi {

DetachScope::~DetachScope() {
  // Up to 3.13 a thread that attaches after finalization has begun is ended by pthread_exit, which
  // unwinds through C++ frames that must not throw. 3.14 lets it hang instead, and so do we.
  if (!finalizing_before_ && IsFinalizing()) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  PyEval_RestoreThread(state_);
}

PythonThread::PythonThread(std::shared_ptr<Hub> hub) : hub_(std::move(hub)) {
  if (!hub_->TryEnter()) return;
  state_ = PyThreadState_New(hub_->interpreter());
  if (state_ == nullptr) hub_->Leave();
}

PythonThread::~PythonThread() {
  if (state_ == nullptr) return;
  PyEval_RestoreThread(state_);
  PyThreadState_Clear(state_);
  PyThreadState_DeleteCurrent();
  hub_->Leave();
}

}  // namespace spanflow::capi
