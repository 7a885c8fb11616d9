// Sums of floats and complex numbers that are rounded once: the exact sum's nearest float.
//
// Owns: nothing beyond the call; the caller holds the borrows. Threads: thread-safe; splits large
// work over the runtime. An exact sum does not depend on the order. Attached: not needed.
// Fails: never; std::bad_alloc when there is no memory for the results.
#pragma once

#include "array/reduce.h"
#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::array {

// As Reduce of kSum; `in` holds floats or complex numbers.
base::Status PreciseSum(const View& in, const AxisSet& reduced, const View& out,
                        const RunOptions& options);

}  // namespace spanflow::array
