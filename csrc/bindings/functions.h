// Module functions that are not operations: what takes several elements to several results, files,
// and what the process and the machine can do.
//
// Owns: nothing. Threads: thread-compatible. Attached: always; waits detached.
// Fails: as the functions' docstrings say.
#pragma once

#include <string>

#include "capi/error.h"

namespace spanflow::bindings {

// str or os.PathLike, as the file system's bytes.
std::string PathFrom(PyObject* object);

// The method sort() of arrays.
capi::Ref SortInPlace(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames);

// The method __reduce_ex__() of arrays.
capi::Ref ReduceArray(PyObject* self, PyObject* protocol);

extern PyMethodDef cast_functions[];
extern PyMethodDef file_functions[];
extern PyMethodDef group_functions[];
extern PyMethodDef order_functions[];
extern PyMethodDef pickle_functions[];
extern PyMethodDef shared_functions[];
extern PyMethodDef statistics_functions[];
extern PyMethodDef system_functions[];

}  // namespace spanflow::bindings
