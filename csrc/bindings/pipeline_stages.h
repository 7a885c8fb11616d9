// Sources and stages that call Python: any iterable, any callable.
//
// Owns: nothing in Python: iterators, callables and arguments are borrowed from the Run object,
// which outlives the native run.
// Threads: as their mode says; callables are called on several threads at once.
// Attached: the factories need it; the run's threads attach for each call and are counted.
// Fails: the original exception goes to the consumer; KeyboardInterrupt and other exceptions that
// are no Exception do not wait for their turn.
#pragma once

#include <memory>
#include <string>

#include "bindings/pipeline_calling.h"
#include "pipeline/stage.h"

namespace spanflow::bindings {

std::shared_ptr<const pipeline::Source> IteratorSource(PythonSide side, std::string name,
                                                       PyObject* iterator, bool to_arrays);

// Items as arrays, as sf.asarray makes them.
std::shared_ptr<const pipeline::Stage> AsArrayStage(PythonSide side);
// The result of the call goes on.
std::shared_ptr<const pipeline::Stage> CallStage(PythonSide side, PythonCall call, bool to_arrays);
// The item goes on if the result is true; an array of bool selects rows.
std::shared_ptr<const pipeline::Stage> CallFilter(PythonSide side, PythonCall call);
// Each item of the result, which may be any iterable, goes on by itself; without a callable, of the
// item itself. An array gives its rows.
std::shared_ptr<const pipeline::Stage> CallFlatMap(PythonSide side, PythonCall call,
                                                   bool to_arrays);
// Called in order; the item goes on as it is.
std::shared_ptr<const pipeline::Stage> CallTap(PythonSide side, PythonCall call);
// The item as a tuple (number, item).
std::shared_ptr<const pipeline::Stage> EnumerateStage(PythonSide side, int64_t start,
                                                      bool to_arrays);
// An object with state: called with each item in order, it gives an iterable of items or None; its
// method finish(), where it has one, gives the last ones.
std::shared_ptr<const pipeline::Stage> CallTransform(PythonSide side, PythonCall call,
                                                     bool to_arrays);
// Groups (pipeline/stages.h) as one item: chunks side by side, anything else as collate(list) makes
// it.
std::shared_ptr<const pipeline::Stage> CollateStage(PythonSide side, std::string name,
                                                    PyObject* collate, bool to_arrays);

}  // namespace spanflow::bindings
