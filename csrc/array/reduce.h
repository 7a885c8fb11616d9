// Reductions over arrays of any layout, over all axes or some of them.
//
// Owns: nothing beyond the call; blocks are borrowed while it runs. Accumulators are the caller's.
// Threads: thread-safe; splits large work over the runtime in a way that depends on the layout
// only, so that results are the same for any number of threads. Attached: not needed.
// Fails: ValueError (min and max of nothing, shapes, closed or read-only arrays), TypeError (no
// such reduction for the dtype), MemoryError, OSError (missing pages).
#pragma once

#include <bitset>
#include <span>

#include "array/run.h"
#include "array/view.h"
#include "base/layout.h"
#include "base/status.h"
#include "simd/kernels.h"
#include "simd/ops.h"

namespace spanflow::array {

using AxisSet = std::bitset<base::kMaxDims>;

// Every axis of an array of `ndim` dimensions.
AxisSet AllAxes(int ndim);

// The shape of a result: `shape` without the reduced axes, or with 1 in their place.
base::Dims ReducedShape(const base::Dims& shape, const AxisSet& reduced, bool keepdims);

struct ReduceHow {
  double ddof = 0;                // see simd::TakesDdof
  const View* where = nullptr;    // bool, broadcasts to the operand: which elements count
  bool precise = false;           // sums only: the exact sum, rounded once
  const View* initial = nullptr;  // one element, of the result's kind, that counts beside them
};

// Whether an initial value can join the results; elsewhere it is a TypeError.
bool TakesInitial(simd::Reduction reduction);

// Reduces the axes in `reduced`. `out` has the kept axes in their order (further axes of size 1
// do not matter, so keepdims is the caller's choice), any numeric dtype and any layout; it may
// overlap the input.
base::Status Reduce(simd::Reduction reduction, const View& in, const AxisSet& reduced,
                    const ReduceHow& how, const View& out, const RunOptions& options = {});

// Several reductions of all elements in one pass over memory. `outs` are arrays of one element.
base::Status ReduceMany(std::span<const simd::Reduction> reductions, const View& in, double ddof,
                        std::span<const View> outs, const RunOptions& options = {});

// The same in steps, for data that comes in pieces (chunks of a pipeline). All pieces must have
// the same kind. `into` has one accumulator for each reduction.
base::Status InitAccumulators(std::span<const simd::Reduction> reductions, base::Kind kind,
                              std::span<simd::Accumulator> into);
// Adds the elements of `in` after everything that `into` has seen.
base::Status Accumulate(std::span<const simd::Reduction> reductions, const View& in,
                        std::span<simd::Accumulator> into, const RunOptions& options = {});
// `more` came after `into`.
base::Status MergeAccumulators(std::span<const simd::Reduction> reductions, base::Kind kind,
                               std::span<simd::Accumulator> into,
                               std::span<const simd::Accumulator> more);
// `count` is how many elements were seen: min and max of none are a ValueError.
base::Status FinishAccumulators(std::span<const simd::Reduction> reductions, base::Kind kind,
                                std::span<const simd::Accumulator> from, int64_t count, double ddof,
                                std::span<const View> outs);

}  // namespace spanflow::array
