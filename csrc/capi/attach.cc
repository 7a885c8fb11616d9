#include "capi/attach.h"

#include <chrono>
#include <thread>

namespace spanflow::capi {

void StayForever() noexcept {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

void RestoreThread(PyThreadState* state) noexcept {
  try {
    PyEval_RestoreThread(state);
    MarkDetached(false);
  } catch (...) {
    StayForever();
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
