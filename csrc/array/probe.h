// The ceilings of the machine: passes over arrays that only read, write or copy.
//
// Owns: nothing beyond the call; blocks are borrowed while it runs. Threads: thread-safe.
// Attached: not needed. Fails: ValueError (arrays that are not contiguous, not writable, not
// aligned or of different sizes, closed ones), OSError (missing pages).
#pragma once

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"
#include "simd/kernels.h"

namespace spanflow::array {

// Each thread passes `repeats` times over a part of its own, of `in`, `out` or both.
base::Status Pass(simd::Traffic traffic, const View& in, const View& out, int64_t repeats,
                  const RunOptions& options = {});

}  // namespace spanflow::array
