// Places among sorted elements, the distinct elements of an array, and membership.
//
// Owns: results are new arrays in C order; blocks are borrowed while a function runs.
// Threads: thread-safe; split over the runtime. Attached: not needed.
// Fails: ValueError (shapes, closed arrays), TypeError (no order for the dtypes), MemoryError,
// OSError.
#pragma once

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::order {

using array::RunOptions;
using array::View;

// int64, in the shape of `wanted`: how many elements of `sorted`, which has one dimension and
// ascends, come before each of them; and those equal to it, with behind_equal. Compared in their
// common dtype, NaN equal to NaN and behind all numbers.
base::Result<View> SearchSorted(const View& sorted, const View& wanted, bool behind_equal,
                                const RunOptions& options = {});

// bool, in the shape of `view`: whether each element equals one of `values`, in their common dtype.
// NaN equals nothing.
base::Result<View> IsIn(const View& view, const View& values, bool invert,
                        const RunOptions& options = {});

// The distinct elements, ascending, and int64 arrays for those that are asked for, else no block.
// NaN counts as one element.
struct Distinct {
  View values;
  View first;    // where each occurs first
  View inverse;  // which of them each element is
  View counts;   // how often each occurs
};
struct DistinctHow {
  bool first = false, inverse = false, counts = false;
};
// Of all elements, in C order.
base::Result<Distinct> Unique(const View& view, DistinctHow how, const RunOptions& options = {});

}  // namespace spanflow::order
