#include "capi/args.h"

namespace spanflow::capi {
namespace {

void TakeKeyword(const SignatureInfo& info, PyObject* name, PyObject* value, PyObject** values) {
  if (!PyUnicode_Check(name)) {  // possible in the dict of tp_new
    Raise(PyExc_TypeError, "%s(): keywords must be strings, got %R", info.function, name);
  }
  for (int i = 0; i < info.count; ++i) {
    if (PyUnicode_CompareWithASCIIString(name, info.names[i]) != 0) continue;
    if (values[i] != nullptr) {
      Raise(PyExc_TypeError, "%s() got multiple values for argument '%U'", info.function, name);
    }
    values[i] = value;
    return;
  }
  Raise(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", info.function, name);
}

void CheckCounts(const SignatureInfo& info, Py_ssize_t nargs) {
  if (nargs > info.positional) {
    Raise(PyExc_TypeError, "%s() takes at most %d positional argument%s but %zd were given",
          info.function, info.positional, info.positional == 1 ? "" : "s", nargs);
  }
}

void CheckRequired(const SignatureInfo& info, PyObject* const* values) {
  for (int i = 0; i < info.required; ++i) {
    if (values[i] == nullptr) {
      Raise(PyExc_TypeError, "%s() missing required argument: '%s'", info.function, info.names[i]);
    }
  }
}

}  // namespace

void ParseArguments(const SignatureInfo& info, PyObject* const* args, Py_ssize_t nargs,
                    PyObject* kwnames, PyObject** values) {
  CheckCounts(info, nargs);
  for (Py_ssize_t i = 0; i < nargs; ++i) values[i] = args[i];
  if (kwnames != nullptr) {
    const Py_ssize_t given = PyTuple_GET_SIZE(kwnames);
    for (Py_ssize_t k = 0; k < given; ++k) {
      TakeKeyword(info, PyTuple_GET_ITEM(kwnames, k), args[nargs + k], values);
    }
  }
  CheckRequired(info, values);
}

void ParseTuple(const SignatureInfo& info, PyObject* args, PyObject* kwargs, PyObject** values) {
  const Py_ssize_t nargs = PyTuple_GET_SIZE(args);
  CheckCounts(info, nargs);
  for (Py_ssize_t i = 0; i < nargs; ++i) values[i] = PyTuple_GET_ITEM(args, i);
  if (kwargs != nullptr) {
    PyObject *name, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(kwargs, &position, &name, &value)) TakeKeyword(info, name, value, values);
  }
  CheckRequired(info, values);
}

}  // namespace spanflow::capi
