#include "capi/error.h"

#include <cxxabi.h>
#include <cstdarg>
#include <exception>
#include <new>

namespace spanflow::capi {
namespace {

PyObject* TypeOf(base::Code code) {
  switch (code) {
    case base::Code::kValue:
      return PyExc_ValueError;
    case base::Code::kType:
      return PyExc_TypeError;
    case base::Code::kIndex:
      return PyExc_IndexError;
    case base::Code::kOverflow:
      return PyExc_OverflowError;
    case base::Code::kOs:
      return PyExc_OSError;
    case base::Code::kMemory:
      return PyExc_MemoryError;
    case base::Code::kBuffer:
      return PyExc_BufferError;
    case base::Code::kTimeout:
      return PyExc_TimeoutError;
    case base::Code::kOk:
    case base::Code::kCancelled:
    case base::Code::kRuntime:
    case base::Code::kPipeline:
      return PyExc_RuntimeError;
  }
  return PyExc_SystemError;
}

// OSError(errno, message, path) picks the subclass (FileNotFoundError, …) itself.
void SetOsError(const base::Status& status) {
  const char* path = status.path().c_str();
  PyObject* arguments = status.path().empty()
                            ? Py_BuildValue("(is)", status.os_error(), status.message().c_str())
                            : Py_BuildValue("(isN)", status.os_error(), status.message().c_str(),
                                            PyUnicode_DecodeFSDefault(path));
  if (arguments == nullptr) return;
  PyObject* error = PyObject_CallObject(PyExc_OSError, arguments);
  Py_DECREF(arguments);
  if (error == nullptr) return;
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error)), error);
  Py_DECREF(error);
}

}  // namespace

void Raise(PyObject* type, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  PyErr_FormatV(type, format, arguments);
  va_end(arguments);
  throw PythonError{};
}

void SetError(const base::Status& status) noexcept {
  if (status.code() == base::Code::kOs) {
    SetOsError(status);
  } else {
    PyErr_SetString(TypeOf(status.code()), status.message().c_str());
  }
}

void Raise(const base::Status& status) {
  SetError(status);
  throw PythonError{};
}

void SetErrorFromCurrentException() noexcept {
  try {
    throw;
  } catch (const PythonError&) {
    if (PyErr_Occurred() == nullptr) {
      PyErr_SetString(PyExc_SystemError, "a call failed without setting an exception");
    }
  } catch (const abi::__forced_unwind&) {
    StayForever();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_SystemError, error.what());
  }
}

Ref TakeRaised() {
#if PY_VERSION_HEX >= 0x030C0000
  return Ref::Steal(PyErr_GetRaisedException());
#else
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  if (type == nullptr) return {};
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) {
    PyException_SetTraceback(value, traceback);
    Py_DECREF(traceback);
  }
  Py_DECREF(type);
  return Ref::Steal(value);
#endif
}

void Restore(Ref exception) {
#if PY_VERSION_HEX >= 0x030C0000
  PyErr_SetRaisedException(exception.release());
#else
  PyObject* value = exception.release();
  PyErr_Restore(Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(value))), value,
                PyException_GetTraceback(value));
#endif
}

void AddNote(PyObject* exception, const char* text) noexcept {
  PyObject* result = PyObject_CallMethod(exception, "add_note", "s", text);
  if (result == nullptr) PyErr_Clear();
  Py_XDECREF(result);
}

}  // namespace spanflow::capi
