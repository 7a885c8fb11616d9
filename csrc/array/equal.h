// Equal: where two arrays of any dtypes are equal, bytes and records included.
//
// Owns: the result is a new array; blocks are borrowed while it runs.
// Threads: thread-safe; splits large work over the runtime. Attached: not needed.
// Fails: TypeError for dtypes that do not compare (naming both), ValueError (shapes, closed
// arrays), MemoryError, OSError (missing pages).
#pragma once

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::array {

// A bool array of the common shape. Bytes are equal up to the zeros at their end; records when they
// have the same field names and all fields are equal, sub-arrays in every element.
base::Result<View> Equal(const View& a, const View& b, const RunOptions& options = {});

}  // namespace spanflow::array
