// Signature: reads the arguments of a METH_FASTCALL | METH_KEYWORDS call (or a vectorcall) by a
// list of names, without building a tuple or a dict.
//
// Owns: nothing; names are literals and keywords are compared by text, so that a signature may be
// one constant for every interpreter. Threads: thread-safe.
// Attached: always.
// Fails: TypeError in CPython's words: missing, unexpected, given twice, too many.
#pragma once

#include <array>
#include <cstring>
#include <initializer_list>

#include "capi/error.h"

namespace spanflow::capi {

// Names are given in order; `positional` of them may come by position, the first `required` must be
// given. All are literals.
struct SignatureInfo {
  const char* function;
  const char* const* names;
  int count;
  int positional;
  int required;
};

// Fills values[0 … count) with borrowed references, null where nothing was given.
void ParseArguments(const SignatureInfo& info, PyObject* const* args, Py_ssize_t nargs,
                    PyObject* kwnames, PyObject** values);
// The same for tp_new and tp_init.
void ParseTuple(const SignatureInfo& info, PyObject* args, PyObject* kwargs, PyObject** values);

template <int kCount>
class Signature {
 public:
  constexpr Signature(const char* function, std::array<const char*, kCount> names, int positional,
                      int required)
      : names_(names), function_(function), positional_(positional), required_(required) {}

  std::array<PyObject*, kCount> Parse(PyObject* const* args, Py_ssize_t nargs,
                                      PyObject* kwnames) const {
    return ParseAs(function_, args, nargs, kwnames);
  }
  // For several functions that take the same: `function` is the one that errors name.
  std::array<PyObject*, kCount> ParseAs(const char* function, PyObject* const* args,
                                        Py_ssize_t nargs, PyObject* kwnames) const {
    std::array<PyObject*, kCount> values{};
    ParseArguments(InfoFor(function), args, nargs, kwnames, values.data());
    return values;
  }
  std::array<PyObject*, kCount> ParseTuple(PyObject* args, PyObject* kwargs) const {
    std::array<PyObject*, kCount> values{};
    capi::ParseTuple(InfoFor(function_), args, kwargs, values.data());
    return values;
  }

 private:
  SignatureInfo InfoFor(const char* function) const {
    return {function, names_.data(), kCount, positional_, required_};
  }

  std::array<const char*, kCount> names_;
  const char* function_;
  int positional_;
  int required_;
};

}  // namespace spanflow::capi
