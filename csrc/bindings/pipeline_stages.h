// Sources and stages that call Python: any iterable, any callable.
//
// Owns: nothing in Python: iterators, callables and arguments are borrowed from the Run object,
// which outlives the native run.
// Threads: as their mode says; callables are called on several threads at once.
// Attached: the factories need it; the run's threads attach for each call and are counted.
// Fails: the original exception goes to the consumer; KeyboardInterrupt and other exceptions that
// are no Exception do not wait for their turn.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "bindings/pipeline_value.h"
#include "pipeline/stage.h"

namespace spanflow::bindings {

std::shared_ptr<const pipeline::Source> IteratorSource(PythonSide side, std::string name,
                                                       PyObject* iterator, bool to_arrays);

struct PythonCall {
  std::string name;      // "map(f)"
  PyObject* callable;    // called with the item, then:
  PyObject* args;        // a tuple
  PyObject* kwargs;      // a dict or null
  uint64_t aligned = 0;  // bit i: args[i] is an array of which the chunk's rows are passed
};

// The result of the call goes on.
std::shared_ptr<const pipeline::Stage> CallStage(PythonSide side, PythonCall call, bool to_arrays);
// The item goes on if the result is true; an array of bool selects rows.
std::shared_ptr<const pipeline::Stage> CallFilter(PythonSide side, PythonCall call);

}  // namespace spanflow::bindings
