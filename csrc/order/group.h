// Reductions of the elements that have the same key.
//
// Owns: nothing beyond the call; blocks are borrowed while it runs. Threads: thread-safe; splits
// large work over the runtime in a way that depends on the sizes only, so that results are the same
// for any number of threads. Attached: not needed.
// Fails: ValueError (shapes, closed arrays), TypeError (no such reduction for the dtype),
// MemoryError, OSError.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"
#include "simd/ops.h"

namespace spanflow::order {

using array::RunOptions;
using array::View;

inline constexpr int64_t kMostGroups = 1 << 16;

// Values, and what is made of those of each group.
struct GroupColumn {
  const View* values;
  std::vector<simd::Reduction> reductions;  // not those that name a place
  std::vector<View> results;                // filled in: an element for each group
};

// Group g has the elements whose key is low + g; a key outside of [low, low + groups), which are at
// least one and at most kMostGroups, is a ValueError. All arrays
// have the shape of `keys`, which holds bool or integers. Returns how many elements each group has.
base::Result<View> GroupReduce(const View& keys, int64_t low, int64_t groups,
                               std::span<GroupColumn> columns, double ddof,
                               const RunOptions& options = {});

}  // namespace spanflow::order
