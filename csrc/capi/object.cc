#include "capi/object.h"

namespace spanflow::capi {

bool Truth(PyObject* object) {
  const int truth = PyObject_IsTrue(object);
  CheckStatus(truth);
  return truth != 0;
}

double Double(PyObject* object) {
  const double value = PyFloat_AsDouble(object);
  if (value == -1.0 && PyErr_Occurred() != nullptr) throw PythonError{};
  return value;
}

int64_t Integer(PyObject* object, PyObject* overflow) {
  const Py_ssize_t value = PyNumber_AsSsize_t(object, overflow);
  if (value == -1 && PyErr_Occurred() != nullptr) throw PythonError{};
  return value;
}

std::string Text(PyObject* string) {
  Py_ssize_t size;
  const char* text = PyUnicode_AsUTF8AndSize(string, &size);
  if (text == nullptr) throw PythonError{};
  return {text, static_cast<size_t>(size)};
}

Ref AttributeOrNull(PyObject* object, const char* name) {
#if PY_VERSION_HEX >= 0x030D0000
  PyObject* value;
  CheckStatus(PyObject_GetOptionalAttrString(object, name, &value));
#else
  PyObject* value = PyObject_GetAttrString(object, name);
  if (value == nullptr) {
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw PythonError{};
    PyErr_Clear();
  }
#endif
  return Ref::Steal(value);
}

Ref EntryOrNull(PyObject* dict, const char* key) {
#if PY_VERSION_HEX >= 0x030D0000
  PyObject* value;
  CheckStatus(PyDict_GetItemStringRef(dict, key, &value));
  return Ref::Steal(value);
#else
  const Ref name = Check(PyUnicode_FromString(key));
  PyObject* value = PyDict_GetItemWithError(dict, name.get());
  if (value == nullptr && PyErr_Occurred() != nullptr) throw PythonError{};
  return Ref::Borrow(value);
#endif
}

void ForgetRefusal() {
  for (PyObject* type : {PyExc_AttributeError, PyExc_TypeError, PyExc_ValueError}) {
    if (PyErr_ExceptionMatches(type)) return PyErr_Clear();
  }
  throw PythonError{};
}

}  // namespace spanflow::capi
