// Affine: numbers scaled and moved, in the floats that they become, in one pass.
//
// Owns: nothing beyond the call; blocks are borrowed while it runs.
// Threads: thread-safe; splits large work over the runtime. Attached: not needed.
// Fails: ValueError (shapes, closed or read-only arrays), TypeError (complex numbers, records, an
// output that holds no floats), MemoryError (an overlapping input needs a copy), OSError.
#pragma once

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::array {

// out[i] = in[i] * scale + offset, computed in the kind of `out` (f16 and bf16 in f32) from numbers
// that were cast to it. `out` has the shape of `in`; they may overlap in any way.
base::Status Affine(const View& in, double scale, double offset, const View& out,
                    const RunOptions& options = {});

}  // namespace spanflow::array
