// Running folds along an axis: cumsum and its relatives, of any layout into any layout.
//
// Owns: nothing beyond the call; blocks are borrowed while it runs. Threads: thread-safe; lines are
// split over the runtime, one line is one thread's work. Attached: not needed.
// Fails: ValueError (shapes, closed or read-only arrays), TypeError (no such fold for the dtype),
// MemoryError, OSError.
#pragma once

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"
#include "simd/ops.h"

namespace spanflow::array {

// `out` has the shape of `in` and any numeric dtype; it may overlap it.
base::Status RunScan(simd::Scan scan, const View& in, int axis, const View& out,
                     const RunOptions& options = {});

}  // namespace spanflow::array
