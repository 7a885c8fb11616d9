// Descriptions of a pipeline in Python's plain values, made native.
//
// Owns: nothing; see Built. Threads: thread-compatible. Attached: always.
// Fails: TypeError and ValueError that name the stage.
#pragma once

#include <memory>

#include "bindings/pipeline_value.h"
#include "pipeline/run.h"

namespace spanflow::bindings {

struct Built {
  pipeline::Pipeline pipeline;
  capi::Ref held;  // a list of what the native parts borrow; must outlive them
  std::shared_ptr<OwnedObjects> owned;
};

// `source`: (arrays, rows, is_tuple), a tuple of Arrays cut together; or any iterable.
// `stages`: (kind, function, args, kwargs, aligned) each, kind one of "map", "filter", "reduce"
// (function: a tuple of reductions) and "collect"; bit i of aligned: args[i] is aligned().
Built BuildPipeline(ModuleState* state, PyObject* source, PyObject* stages, int prefetch);

}  // namespace spanflow::bindings
