// Order along an axis: sorted elements, the places they come from, and the first few of them.
//
// Owns: nothing beyond the call; blocks are borrowed while it runs. Threads: thread-safe; long
// lines, or many short ones, are split over the runtime. Results do not depend on the threads.
// Attached: not needed.
// Fails: ValueError (closed or read-only arrays, k out of range), TypeError (no order for the
// dtype), MemoryError, OSError.
#pragma once

#include <cstdint>
#include <span>

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::order {

using array::RunOptions;
using array::View;

// NaN comes last in both orders. Elements that compare equal but have other bits (-0 and 0, NaN of
// several kinds) keep their order where `stable` is set; else -0 comes before 0, or behind it when
// descending, and NaN loses its sign.
struct SortHow {
  bool descending = false;
  bool stable = false;
};

// `out` has the shape and kind of `in`; it is `in` itself or does not overlap it.
base::Status Sort(const View& in, int axis, SortHow how, const View& out,
                  const RunOptions& options = {});

// Puts the elements that sorting puts at each place `kth` along the axis there, no larger ones
// before them and no smaller ones behind. The places ascend and are in bounds. `out` is as for
// Sort.
base::Status Partition(const View& in, int axis, std::span<const int64_t> kth, const View& out,
                       const RunOptions& options = {});

// The places of the elements in sorted order; those of equal elements ascend. `out` is an int64
// array of the same shape.
base::Status ArgSort(const View& in, int axis, bool descending, const View& out,
                     const RunOptions& options = {});

// The first elements in sorted order, as many as `values` and `indices` have along the axis, with
// their places; of equal elements those with the lowest.
base::Status TopK(const View& in, int axis, bool descending, const View& values,
                  const View& indices, const RunOptions& options = {});

// TypeError unless items of the kind have an order.
base::Status CheckOrdered(const char* name, base::Kind kind);

}  // namespace spanflow::order
