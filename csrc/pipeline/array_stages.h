// The native stages: map and filter by an operation, reduce to one result, collect into one array.
//
// Owns: their operations; one run's state lives in what Open returns.
// Threads: immutable descriptions. Attached: not needed.
// Fails: TypeError for items that are no arrays, and what the operations return.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pipeline/operation.h"
#include "pipeline/stage.h"

namespace spanflow::pipeline {

// Each chunk becomes the operation's result.
std::shared_ptr<const Stage> MapStage(Operation operation);

// A 0-d result keeps or drops the whole chunk; an array is a mask over its leading axes.
std::shared_ptr<const Stage> FilterStage(Operation predicate);

// Keeps what `mask` is true for in every array of the chunk; the mask covers the leading axes.
base::Status SelectRows(Chunk* chunk, const array::View& mask, Context& context);

// All elements of all chunks to one value for each reduction: a chunk of 0-d arrays, after the end.
// The parts of each chunk are reduced in parallel and merged in the order of the source, so that
// the result does not depend on the number of threads. Returns the two stages that do it.
std::vector<std::shared_ptr<const Stage>> ReduceStages(std::vector<simd::Reduction> reductions,
                                                       double ddof);

// All chunks behind one another along their first axis (0-d ones as the elements of a new axis), as
// one chunk, after the end. The result is the consumer's: it does not count against the run's
// memory.
std::shared_ptr<const Stage> CollectStage();

}  // namespace spanflow::pipeline
