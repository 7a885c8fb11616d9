// Computes expressions: as few passes over the data as they need, everything that several of them
// share only once.
//
// Owns: the results are new arrays unless a place for them is given.
// Threads: thread-safe; large work is spread over the runtime. Attached: not needed.
// Fails: TypeError, ValueError, OverflowError (see graph.h); ValueError for outputs of another
// shape or that overlap each other, closed or read-only arrays; MemoryError before any work;
// OSError (missing pages).
#pragma once

#include <span>
#include <vector>

#include "array/run.h"
#include "array/view.h"
#include "base/status.h"
#include "expr/graph.h"

namespace spanflow::expr {

// One view for each root of the graph, in their order. `outs` is empty or has one entry for each
// root: where its result goes, or null for a new array. The dtype of a place may be any numeric
// one.
base::Result<std::vector<array::View>> Compute(const Graph& graph,
                                               std::span<const array::View* const> outs,
                                               const array::RunOptions& options = {});

// What a computation reads, at least.
int64_t InputBytes(const Graph& graph);

}  // namespace spanflow::expr
