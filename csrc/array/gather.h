// Gathering and scattering along a walk: n elements from wherever they lie into one contiguous
// run, and back, across as many short runs as it takes.
//
// Owns: nothing. Threads: thread-compatible, a Cursor belongs to one thread. Attached: not needed.
// Fails: never; the walk must have n more elements.
#pragma once

#include <cstddef>
#include <cstdint>

#include "array/iterate.h"

namespace spanflow::array {

// Both move the cursor n elements on.
void GatherFrom(Cursor* cursor, int64_t itemsize, std::byte* out, int64_t n);
void ScatterTo(Cursor* cursor, int64_t itemsize, const std::byte* in, int64_t n);

}  // namespace spanflow::array
