// Copy: one array's elements into another, whatever the two layouts and dtypes.
//
// Owns: nothing beyond the call; blocks are borrowed while it runs.
// Threads: thread-safe; splits large copies over the runtime. Attached: not needed.
// Fails: ValueError (shapes, closed or read-only arrays), TypeError (dtypes that do not convert,
// naming both), MemoryError (overlapping arrays need a copy), OSError (missing pages).
#pragma once

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::array {

// How numbers become numbers of another dtype.
struct CastHow {
  bool saturate = false;  // what an integer cannot hold becomes the nearest it can, NaN becomes 0
};

// to[...] = from, broadcast to to's shape and cast to its dtype. Numeric kinds convert to each
// other; bytes are cut or padded with zeros; records convert when they have the same field names
// (in any order, at any offset, in either byte order), field by field. Overlap is allowed.
base::Status Copy(const View& from, const View& to, const RunOptions& options = {},
                  CastHow how = {});

// Every element of `to` becomes the one element of `item`.
base::Status Fill(const View& to, const View& item, const RunOptions& options = {});

// Whether Copy converts between the two: OK, or the TypeError that it would return.
base::Status CheckConvertible(const base::DType& from, const base::DType& to);

// A new array of `dtype` with the elements of `from`, in C order or Fortran order.
base::Result<View> CopyToNew(const View& from, const base::DType& dtype, bool fortran = false,
                             const RunOptions& options = {}, CastHow how = {});

}  // namespace spanflow::array
