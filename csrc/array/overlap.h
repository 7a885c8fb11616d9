// How the memory of two operands of one run meets: what decides whether an input must be copied
// before the output is written.
//
// Owns: nothing. Threads: thread-safe, pure functions of addresses; no memory is read.
// Attached: not needed. Fails: never; where the answer is not cheap it is kPartial.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "array/view.h"

namespace spanflow::array {

enum class Overlap : uint8_t {
  kNone,     // no byte in common
  kSame,     // element by element the same bytes: in place
  kPartial,  // anything else
};

// An operand as a run sees it: strides of the run's shape, 0 where it is broadcast.
struct Footprint {
  const std::byte* data;
  std::span<const int64_t> strides;
  int64_t itemsize;
};

Overlap FindOverlap(std::span<const int64_t> shape, const Footprint& a, const Footprint& b);

// The same for whole views of any two shapes: whether a byte of one may be a byte of the other.
bool MayShareMemory(const View& a, const View& b);

}  // namespace spanflow::array
