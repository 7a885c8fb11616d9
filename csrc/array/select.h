// Selection by boolean masks and integer arrays: copies out of an array and assignments into it.
//
// Owns: results are new C-order arrays; blocks are borrowed while a function runs.
// Threads: thread-safe; large selections are split over the runtime. Attached: not needed.
// Fails: IndexError (mask shape, index out of bounds, index dtype), ValueError (shapes of values,
// closed or read-only arrays), TypeError (dtypes), MemoryError, OSError (missing pages).
#pragma once

#include <span>
#include <vector>

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::array {

// view[mask]: the mask covers the leading axes; the result has shape (how many are true, rest…).
base::Result<View> Compress(const View& view, const View& mask, const RunOptions& options = {});

// view[mask] = values, which are broadcast to the shape that Compress returns.
base::Status PutMask(const View& view, const View& mask, const View& values,
                     const RunOptions& options = {});

// view[:, …, i0, i1, …]: integer arrays (any integer dtype, negative from the end) index the
// adjacent axes that begin at `axis`. They are broadcast together, and their common shape stands
// in the place of these axes: one array gives NumPy's take.
base::Result<View> Take(const View& view, std::span<const View> indices, int axis,
                        const RunOptions& options = {});
inline base::Result<View> Take(const View& view, const View& indices, int axis,
                               const RunOptions& options = {}) {
  return Take(view, std::span(&indices, 1), axis, options);
}

// The counterpart: view[…] = values, broadcast to the shape that Take returns. Where an index
// occurs twice, the last value stays.
base::Status Put(const View& view, std::span<const View> indices, int axis, const View& values,
                 const RunOptions& options = {});
inline base::Status Put(const View& view, const View& indices, int axis, const View& values,
                        const RunOptions& options = {}) {
  return Put(view, std::span(&indices, 1), axis, values, options);
}

// One int64 array for each axis: where the array is not zero, in C order. A 0-d array is refused.
base::Result<std::vector<View>> Nonzero(const View& view, const RunOptions& options = {});

}  // namespace spanflow::array
