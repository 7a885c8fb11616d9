// Descriptions of a pipeline in Python's plain values, made native.
//
// Owns: nothing; see Built. Threads: thread-compatible. Attached: always.
// Fails: TypeError and ValueError that name the stage.
#pragma once

#include <memory>
#include <variant>

#include "bindings/pipeline_value.h"
#include "pipeline/expression.h"
#include "pipeline/operation.h"
#include "pipeline/run.h"

namespace spanflow::bindings {

struct Built {
  pipeline::Pipeline pipeline;
  capi::Ref held;     // a list of what the native parts borrow; must outlive them
  capi::Ref letters;  // a list, which stages that skip items fill; they borrow it from `held`
  std::shared_ptr<OwnedObjects> owned;
};

// What a map or filter of the same description computes without Python; nothing for any other
// stage.
using NativeWork = std::variant<std::monostate, pipeline::Operation, pipeline::Expressions>;
NativeWork NativeWorkOf(ModuleState* state, PyObject* stage, Built* built);

// `source`: (arrays, rows, is_tuple, names, first), a tuple of Arrays cut together, for a dict with
// these names if they are not None, from chunk number `first` on; or any iterable; or (iterable,
// what it is called).
// `stages`: (kind, function, args, kwargs, aligned) each, kind one of "map", "filter", "reduce"
// (function: a tuple of reductions) and "collect"; bit i of aligned: args[i] is aligned(). With a
// sixth entry (see ServiceFrom) threads of the stage's own call the function.
Built BuildPipeline(ModuleState* state, PyObject* source, PyObject* stages, int prefetch);

}  // namespace spanflow::bindings
