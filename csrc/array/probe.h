// The ceilings of the machine: passes over arrays that only read and write.
//
// Owns: nothing beyond the call; blocks are borrowed while it runs. Threads: thread-safe.
// Attached: not needed. Fails: ValueError (arrays that are not contiguous, not writable, not
// aligned, closed ones, none at all), OSError (missing pages).
#pragma once

#include <cstdint>
#include <span>

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::array {

// What is read, and what is written at the same time: null for nothing.
struct Traffic {
  std::span<const View> in;
  const View* out = nullptr;
  bool past_caches = false;  // writes
};

// Each thread passes `repeats` times over a part of its own of every array, which go side by side
// whatever their sizes. Returns the bytes that one pass over all moves.
base::Result<int64_t> Pass(const Traffic& traffic, int64_t repeats, const RunOptions& options = {});

}  // namespace spanflow::array
