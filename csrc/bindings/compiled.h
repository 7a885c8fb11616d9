// spanflow.Compiled: expressions as a function of their columns, which is what compile() returns.
//
// Owns: the expressions, and what computed them last. Threads: immutable but for that, which is
// thread-safe. Attached: always; large work detaches inside.
// Fails: TypeError for arguments that are no columns, else what compute() fails with.
#pragma once

#include "bindings/state.h"

namespace spanflow::bindings {

extern PyType_Spec compiled_spec;
extern PyMethodDef compiled_functions[];

}  // namespace spanflow::bindings
