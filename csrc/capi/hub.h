// Hub: what native threads must know of one interpreter - whether they may still enter it, and
// where to leave references that only it may drop. One per interpreter, closed from atexit.
//
// Owns: references that native threads gave back (Defer) until an attached thread drops them.
// Threads: thread-safe. No Python is called while its mutex is held.
// Attached: TryEnter, Leave, Defer need nothing; Drain and Close need the hub's own interpreter.
// Fails: TryEnter is false once Close has begun; Defer after that leaks on purpose, since nobody
// can drop the reference any more.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "capi/python.h"

namespace spanflow::capi {

class Hub {
 public:
  // For the interpreter that the calling thread is attached to.
  static std::shared_ptr<Hub> ForCurrentInterpreter();

  PyInterpreterState* interpreter() const { return interpreter_; }
  // Whether the calling thread is attached to this hub's interpreter right now.
  bool AttachedHere() const;

  // A thread that holds, or is about to make, a thread state of this interpreter.
  bool TryEnter();
  void Leave();

  // Called (attached or not) when Close begins: ends a run that may still hold entries. Returns a
  // number for RemoveCloseHook; the hook must be short and must not call Python.
  int64_t AddCloseHook(std::function<void()> hook);
  void RemoveCloseHook(int64_t number);

  // Drops the reference now when attached here, else keeps it for Drain.
  void Release(PyObject* object);
  void Drain();

  // Refuses new entries, ends runs, waits until every thread has left, drops what was deferred.
  // Throws PythonError when Ctrl-C ends the wait: then threads that are still inside will never
  // come back, and nobody must wait for them any more.
  void Close();
  bool GaveUp() const { return gave_up_.load(); }
  // The first half of it for every interpreter, at the end of the main one: after that no thread
  // can come back to any of them.
  static void EndAllThreads();

  // In a forked child only the calling thread and its interpreter are left: entries of other
  // threads are forgotten.
  void ForgetOtherThreads();

 private:
  Hub() = default;
  void BeginClose();
  void AwaitThreads();
  void DropDeferred();

  struct Hook {
    int64_t number;
    std::function<void()> run;
  };

  PyInterpreterState* interpreter_ = nullptr;
  std::mutex mutex_;
  std::condition_variable all_left_;
  bool closing_ = false;
  std::atomic<bool> gave_up_{false};
  int64_t entered_ = 0;
  int64_t last_hook_ = 0;
  std::vector<Hook> hooks_;
  std::vector<PyObject*> deferred_;
  std::atomic<bool> has_deferred_{false};
};

// A reference that native code holds on any thread and for any time: dropped in its own
// interpreter, at once or when that interpreter is next attached.
class HeldRef {
 public:
  HeldRef() = default;
  // Attached: adds a reference to `object`.
  HeldRef(std::shared_ptr<Hub> hub, PyObject* object)
      : object_(Py_NewRef(object), [hub = std::move(hub)](PyObject* held) { hub->Release(held); }) {
  }
  PyObject* get() const { return object_.get(); }  // borrowed
  explicit operator bool() const { return object_ != nullptr; }

 private:
  std::shared_ptr<PyObject> object_;
};

}  // namespace spanflow::capi
