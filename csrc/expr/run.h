// Runs a program: block by block through the registers, spread over the runtime.
//
// Owns: the registers, while it runs; the program's blocks are borrowed meanwhile.
// Threads: thread-safe; the reductions' grains depend on the number of elements only, so results
// are the same for any number of threads. Attached: not needed. Fails: ValueError (closed or
// read-only arrays), OSError (missing pages), MemoryError.
#pragma once

#include <cstdint>
#include <vector>

#include "array/run.h"
#include "base/status.h"
#include "expr/program.h"

namespace spanflow::expr {

// What a program gives beside its outputs.
struct Folded {
  std::vector<simd::Accumulator> accumulators;  // as the program numbers them
  std::vector<int64_t> counts;                  // elements of each domain
  // The bytes of each filtered output, in pieces that follow one another.
  std::vector<std::vector<std::vector<std::byte>>> pieces;
};

base::Status Run(const Program& program, const array::RunOptions& options, Folded* folded);

}  // namespace spanflow::expr
