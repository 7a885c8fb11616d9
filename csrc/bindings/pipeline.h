// spanflow.Run and what starts one: the pipeline room in Python.
//
// A Pipeline in Python (pkg/spanflow/_pipeline.py) is a description of plain tuples. Starting it
// turns them into native sources and stages: operations of ours run natively and never attach;
// any other callable, and any other iterable, is called attached on the run's threads.
//
// Owns: a Run object owns the native run and every Python object that the run calls; native parts
// only borrow them, so that the garbage collector sees all references.
// Threads: Run is thread-safe.
// Attached: always; waits detached. Fails: as the stages do, with a note that names stage and item.
#pragma once

#include "bindings/state.h"

namespace spanflow::bindings {

void AddPipeline(PyObject* module, ModuleState* state);

extern PyType_Spec run_spec;

extern PyMethodDef pipeline_type_functions[];

}  // namespace spanflow::bindings
