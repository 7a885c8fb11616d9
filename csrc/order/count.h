// Counting: how often each number occurs, and how many numbers lie between given edges.
//
// Owns: results are new arrays; blocks are borrowed while a function runs. Threads: thread-safe;
// counts are split over the runtime, sums of weights are made in order by one thread, so that
// results are the same for any number of threads. Attached: not needed.
// Fails: ValueError (shapes, negative numbers, closed arrays), TypeError (dtypes), MemoryError,
// OSError.
#pragma once

#include <cstdint>
#include <span>

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::order {

using array::RunOptions;
using array::View;

// result[i] = how often i occurs in x, which has one dimension, as int64; or, as float64, the sum
// of the weights where it does. At least `at_least` long. `weights` is null or as long as x.
base::Result<View> BinCount(const View& x, const View* weights, int64_t at_least,
                            const RunOptions& options = {});

// How many elements of `view`, taken as float64, lie between neighbouring edges, of which there are
// at least two and which lie regularly but for rounding: from each edge up to, but not, the next,
// the last one included. As int64; or, as float64, the sum of their weights. `weights` is null or
// of the shape of `view`. Elements outside, and NaN, count nowhere.
base::Result<View> Histogram(const View& view, std::span<const double> edges, const View* weights,
                             const RunOptions& options = {});

}  // namespace spanflow::order
