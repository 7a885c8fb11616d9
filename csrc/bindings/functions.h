// Module functions that are not operations: what takes several elements to several results, files,
// and what the process and the machine can do.
//
// Owns: nothing. Threads: thread-compatible. Attached: always; waits detached.
// Fails: as the functions' docstrings say.
#pragma once

#include "capi/python.h"

namespace spanflow::bindings {

extern PyMethodDef cast_functions[];
extern PyMethodDef file_functions[];
extern PyMethodDef statistics_functions[];
extern PyMethodDef system_functions[];

}  // namespace spanflow::bindings
