// The process's worker pool, and ParallelFor over it.
//
// Owns: the worker threads, started when first needed and kept until the process ends; the pool is
// never destroyed, so that exit may happen while it works.
// Threads: thread-safe; any number of callers share the workers. A forked child starts with an
// empty pool that works like a new one. Attached: not needed; detach around calls that are worth
// more than that. Fails: ParallelFor rethrows the first exception of its body; indices not yet
// begun are skipped.
#pragma once

#include <cstdint>

#include "runtime/function_ref.h"

namespace spanflow::runtime {

// How many threads one call may use, the caller included. At first SPANFLOW_NUM_THREADS, or the
// number of cores that this process may run on.
int NumThreads();
void SetNumThreads(int n);  // from 1 to kMaxThreads; anything else is moved to the nearest

inline constexpr int kMaxThreads = 1024;

// body(begin, end) for consecutive runs of `grain` indices of [0, n), the last one shorter. The
// caller works too and returns when all is done. Runs are handed out one at a time, in order, to
// whichever thread is free, so that uneven work balances itself. With one run, or one thread, the
// pool is not touched. Calls from inside a body share the pool and cannot deadlock: a caller never
// waits for work that nobody has begun.
void ParallelFor(int64_t n, int64_t grain, FunctionRef<void(int64_t begin, int64_t end)> body,
                 int max_threads = 0);

}  // namespace spanflow::runtime
