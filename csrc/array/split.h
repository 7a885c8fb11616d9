// Split: an index space cut into chunks of about 1 MiB of memory traffic for the runtime.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed.
// Fails: passes on what the body throws.
#pragma once

#include <algorithm>
#include <cstdint>

#include "array/run.h"
#include "runtime/pool.h"

namespace spanflow::array {

// What one thread takes at a time, and what a call must move before it is worth a second thread.
inline constexpr int64_t kChunkBytes = int64_t{1} << 20;
// Chunks of small elements begin at multiples of this, so that no two threads write one cache line
// of a contiguous output.
inline constexpr int64_t kChunkAlign = 4096;

// body(begin, end) over [0, n), where an element costs about `bytes` (> 0) of traffic. Without a
// second thread the body is called once, for all.
template <class Body>
void Split(int64_t n, int64_t bytes, const RunOptions& options, const Body& body) {
  if (n * bytes <= kChunkBytes || options.threads == 1 || runtime::NumThreads() == 1) {
    return body(0, n);
  }
  int64_t grain = std::max<int64_t>(kChunkBytes / bytes, 1);
  if (grain > kChunkAlign) grain -= grain % kChunkAlign;
  runtime::ParallelFor(n, grain, body, options.threads);
}

}  // namespace spanflow::array
