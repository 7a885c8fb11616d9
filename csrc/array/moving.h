// Moving folds: the sum, mean, minimum or maximum of every window of so many elements along an
// axis.
//
// Owns: nothing beyond the call; blocks are borrowed while it runs.
// Threads: thread-safe; splits large work over the runtime, with the same bits for any number of
// threads. Attached: not needed.
// Fails: ValueError (windows that do not fit, shapes, closed or read-only arrays), TypeError (no
// such fold for the dtype), MemoryError, OSError.
#pragma once

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"
#include "simd/ops.h"

namespace spanflow::array {

// `fold` is kSum, kMean, kMin or kMax. `out` has the shape of `in` with window - 1 elements less
// along `axis`: out[i] is the fold of in[i … i + window - 1], and of nothing else. It may overlap
// `in`.
base::Status MovingFold(simd::Reduction fold, const View& in, int axis, int64_t window,
                        const View& out, const RunOptions& options = {});

// The shape of the result; the window must fit.
base::Result<base::Dims> MovingShape(simd::Reduction fold, const base::Dims& shape, int axis,
                                     int64_t window);

}  // namespace spanflow::array
