// Transposed copies: from an array whose items follow one another along another axis than they do
// in the target, tile by tile, so that every cache line is read and written as a whole.
//
// Owns: nothing. Threads: thread-safe; splits over the runtime. Attached: not needed.
// Fails: returns false, with nothing done, for layouts that gain nothing from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "array/iterate.h"
#include "array/run.h"

namespace spanflow::array {

// One side of a copy: the address of element [0, …, 0] and the strides in the common shape.
struct Side {
  std::byte* data;
  std::span<const int64_t> strides;
};

// Items are copied as they are. `order` is that of the target's strides.
bool CopyTransposed(std::span<const int64_t> shape, const AxisOrder& order, const Side& from,
                    const Side& to, int64_t itemsize, const RunOptions& options);

}  // namespace spanflow::array
