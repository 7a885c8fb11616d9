// Elementwise: one operation over arrays of any layout.
//
// Owns: nothing beyond the call; blocks are borrowed while it runs.
// Threads: thread-safe; splits large work over the runtime. Attached: not needed; detach around it
// when the work is worth more than that.
// Fails: ValueError (shapes, closed or read-only arrays, integer powers below zero), TypeError (no
// such kernel, records), MemoryError (an overlapping input needs a copy), OSError (missing pages).
#pragma once

#include <span>

#include "array/run.h"
#include "array/view.h"
#include "base/dtype.h"
#include "base/status.h"
#include "simd/ops.h"

namespace spanflow::array {

// out[i] = op((*in[0])[i], …). Inputs are broadcast to out's shape, cast to `compute` when loaded
// (the condition of `where` to bool), and the result is cast to out's dtype when stored. Any
// strides, byte orders and numeric dtypes. The output may overlap the inputs in any way: the
// result is as if every input had been read first.
base::Status Elementwise(simd::Op op, std::span<const View* const> in, base::Kind compute,
                         const View& out, const RunOptions& options = {});

}  // namespace spanflow::array
