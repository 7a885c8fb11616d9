// Python exceptions and C++: PythonError says "the error indicator is set", Check turns a failed C
// API call into it, RaisedError carries an exception object to another place.
//
// Owns: PythonError nothing (it is a tag); RaisedError one exception object.
// Threads: PythonError never crosses a thread; RaisedError may, as a held native value (hub.h).
// Attached: all functions need it.
// Fails: the functions marked [[noreturn]] always throw PythonError.
#pragma once

#include "base/status.h"
#include "capi/ref.h"

namespace spanflow::capi {

// Thrown while the interpreter's error indicator is set; caught by Entry (entry.h).
struct PythonError {};

// The results of C API calls: null or negative means that an exception is set.
inline Ref Check(PyObject* new_reference) {
  if (new_reference == nullptr) throw PythonError{};
  return Ref::Steal(new_reference);
}
inline void CheckStatus(int result) {
  if (result < 0) throw PythonError{};
}

// Raise(PyExc_ValueError, "format %zd", …) with PyErr_Format's letters.
[[noreturn]] void Raise(PyObject* type, const char* format, ...);

// The Python exception that a Status stands for (OSError gets errno and path).
[[noreturn]] void Raise(const base::Status& status);
void SetError(const base::Status& status) noexcept;

inline void Check(const base::Status& status) {
  if (!status.ok()) Raise(status);
}
template <class T>
T Take(base::Result<T> result) {
  if (!result.ok()) Raise(result.status());
  return *std::move(result);
}

// Sets the error indicator from the C++ exception in flight (call inside catch (...)).
void SetErrorFromCurrentException() noexcept;

// Takes the current exception out of the error indicator, traceback and all, and puts it back.
Ref TakeRaised();
void Restore(Ref exception);

// exception.add_note(text); nothing happens where that fails.
void AddNote(PyObject* exception, const char* text) noexcept;

}  // namespace spanflow::capi
