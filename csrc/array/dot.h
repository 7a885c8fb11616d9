// The inner product of two vectors of any layout.
//
// Owns: nothing beyond the call; blocks are borrowed while it runs. Threads: thread-safe; splits
// large work over the runtime so that results are the same for any number of threads.
// Attached: not needed.
// Fails: ValueError (shapes, closed arrays), TypeError (no numbers), MemoryError, OSError.
#pragma once

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::array {

// a and b have one axis of the same length. `out` has one element, of the kind that both promote
// to. `conjugate`: of the first operand.
base::Status Dot(const View& a, const View& b, bool conjugate, const View& out,
                 const RunOptions& options = {});

}  // namespace spanflow::array
