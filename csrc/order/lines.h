// Lines: an array seen as rows along one of its axes, for operations that take a whole row at once.
//
// Owns: a Plain view that had to be copied is new; everything else shares its block.
// Threads: thread-safe. Attached: not needed. Fails: MemoryError of a copy.
#pragma once

#include <cstdint>

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::order {

using array::RunOptions;
using array::View;

// The same elements with `axis` as the last one.
View AxisLast(const View& view, int axis);

// Whether the elements lie one behind the other in C order and in this machine's byte order.
bool IsPlain(const View& view);
// The view itself where it is plain, else a copy.
base::Result<View> Plain(const View& view, const RunOptions& options);
// The same for items of another kind.
base::Result<View> PlainOf(const View& view, base::Kind kind, const RunOptions& options);

// Rows of at least so many elements are split over the threads; of shorter ones each is one
// thread's work.
inline constexpr int64_t kLongLine = int64_t{1} << 17;

}  // namespace spanflow::order
