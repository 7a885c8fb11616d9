// New arrays on the heap.
//
// Owns: the returned view holds the only reference to its new block.
// Threads: thread-safe. Attached: not needed.
// Fails: ValueError for a negative or too large shape, MemoryError when memory is refused.
#pragma once

#include "array/view.h"
#include "base/dtype.h"
#include "base/layout.h"
#include "base/status.h"

namespace spanflow::array {

// A writable array of its own block, 64-byte aligned, in C order or Fortran order.
base::Result<View> Empty(base::DType dtype, const base::Dims& shape, bool zeroed = false,
                         bool fortran = false);

}  // namespace spanflow::array
