// Workers: threads that call Python, what spanflow.ThreadPool stands on.
//
// They are a scheduler of their own (runtime/scheduler.h), so that a function that waits, for the
// GIL or for anything else, never holds up native work, which is done by the process's pool.
//
// Owns: its threads, each with a thread state of the interpreter that made the object, and the
// calls that nobody has begun. Threads that are still at work outlive the object. Threads:
// thread-safe. Attached: always; waits detached. A worker attaches for each call. Fails: what a
// call raises is unraisable: callers catch it. In a forked child there are no threads; the object
// must not be used there, and is left as it is.
#pragma once

#include "bindings/state.h"

namespace spanflow::bindings {

extern PyType_Spec workers_spec;
extern PyMethodDef worker_functions[];

}  // namespace spanflow::bindings
