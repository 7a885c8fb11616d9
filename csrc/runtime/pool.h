// The process's worker pool, and ParallelFor over it.
//
// Owns: the worker threads, started when first needed; the pool is never destroyed, so that exit
// may happen while it works. SPANFLOW_PIN_THREADS=1 keeps each worker on a core of its own.
// Threads: thread-safe; any number of callers share the workers. A forked child starts with an
// empty pool that works like a new one. Attached: not needed; detach around calls that are worth
// more than that. Fails: the loops rethrow the first exception of their body; indices not yet begun
// are skipped.
#pragma once

#include <cstdint>

#include "runtime/cancel.h"
#include "runtime/function_ref.h"

namespace spanflow::runtime {

class Scheduler;

inline constexpr int kMaxThreads = 1024;

// How many threads one call may use, the caller included. At first SPANFLOW_NUM_THREADS, or the
// number of cores that this process may run on.
int NumThreads();
void SetNumThreads(int n);  // from 1 to kMaxThreads; anything else is moved to the nearest

// The workers that all share: NumThreads() - 1, and one more for each that waits.
Scheduler& Pool();

// body(begin, end) for every run of `grain` indices of [0, n), the last one shorter: exactly one
// run for each call of the body. The caller works too and returns when all is done. Each thread
// goes through neighbouring runs in order, and when one has nothing left, another gives it half of
// what it has not begun. With one run, or one thread, the pool is not touched. A caller never waits
// for work that nobody has begun, so calls from inside a body cannot deadlock. Runs not begun when
// the token is cancelled are skipped.
void ParallelFor(int64_t n, int64_t grain, FunctionRef<void(int64_t begin, int64_t end)> body,
                 int max_threads = 0, const CancelToken* cancel = nullptr);

// The same for a body that takes any number of runs at once, in some hundred calls a thread: for
// work so small that a call for each grain would cost more than it.
void ParallelForRanges(int64_t n, int64_t grain, FunctionRef<void(int64_t begin, int64_t end)> body,
                       int max_threads = 0, const CancelToken* cancel = nullptr);

}  // namespace spanflow::runtime
