// What is read out of Python objects: truth, numbers, text, attributes and the entries of
// containers. Any of these may run Python code, so nothing here gives a borrowed reference.
//
// Owns: nothing; results are values or owned references.
// Threads: as any use of Python objects. Attached: always.
// Fails: PythonError with the object's own exception.
#pragma once

#include <string>

#include "capi/error.h"

namespace spanflow::capi {

inline bool Given(PyObject* object) { return object != nullptr && object != Py_None; }

bool Truth(PyObject* object);
double Double(PyObject* object);
// What has __index__; `overflow` is the exception for what is too large.
int64_t Integer(PyObject* object, PyObject* overflow = PyExc_OverflowError);
std::string Text(PyObject* string);

// An empty Ref where there is none.
Ref AttributeOrNull(PyObject* object, const char* name);
Ref EntryOrNull(PyObject* dict, const char* key);

// The items of any iterable as a tuple that nobody else can change.
inline Ref Items(PyObject* iterable) { return Check(PySequence_Tuple(iterable)); }
inline Py_ssize_t Count(const Ref& tuple) { return PyTuple_GET_SIZE(tuple.get()); }
// Borrowed from the tuple, which stays as it is.
inline PyObject* At(const Ref& tuple, Py_ssize_t i) { return PyTuple_GET_ITEM(tuple.get(), i); }

// For a handler of PythonError that has another way to go: forgets an AttributeError, TypeError or
// ValueError, by which objects say that they are not what was hoped for. Anything else, such as
// KeyboardInterrupt and MemoryError, is thrown again.
void ForgetRefusal();

}  // namespace spanflow::capi
