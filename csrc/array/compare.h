// Exact comparison of a signed with an unsigned 64-bit integer, whose common kind (float64) would
// lose bits.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed. Fails: never.
#pragma once

#include "base/dtype.h"
#include "simd/kernels.h"

namespace spanflow::array {

// How two integer operands are compared exactly: the kinds to load them as, and the kernel.
struct MixedCompare {
  simd::ElementwiseFn run = nullptr;  // null: the ordinary kernel does
  base::Kind first = base::Kind::kI64;
  base::Kind second = base::Kind::kU64;
};

// Not null only for comparisons of a signed kind with uint64, in either order.
MixedCompare FindMixedCompare(simd::Op op, base::Kind first, base::Kind second);

}  // namespace spanflow::array
