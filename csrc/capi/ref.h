// Ref: one owned reference to a Python object, and a verb for each way to hand one over.
//
// Owns: exactly one reference, or nothing (null). Move-only: a copy is spelled Borrow(ref.get()).
// Threads: thread-hostile; belongs to the interpreter that made it.
// Attached: always, the destructor included. For references that native threads hold see hub.h.
// Fails: never.
#pragma once

#include <utility>

#include "capi/python.h"

namespace spanflow::capi {

class Ref {
 public:
  Ref() = default;
  static Ref Steal(PyObject* object) { return Ref(object); }               // takes the caller's
  static Ref Borrow(PyObject* object) { return Ref(Py_XNewRef(object)); }  // adds one

  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    Ref old(std::exchange(object_, std::exchange(other.object_, nullptr)));
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() {
    if (object_ != nullptr) Drop(object_);
  }

  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }  // the caller owns it now
  explicit operator bool() const { return object_ != nullptr; }

 private:
  explicit Ref(PyObject* object) : object_(object) {}

  static void Drop(PyObject* object) noexcept {
    if (!MayTouchPython()) StayForever();
    try {
      Py_DECREF(object);  // may run Python code
    } catch (...) {
      StayForever();
    }
  }

  PyObject* object_ = nullptr;
};

inline Ref None() { return Ref::Borrow(Py_None); }
inline Ref Bool(bool value) { return Ref::Borrow(value ? Py_True : Py_False); }
inline Ref NotImplemented() { return Ref::Borrow(Py_NotImplemented); }

}  // namespace spanflow::capi
