// Fold: the elements of a loaded run into accumulators, in grains of fixed size whose partial
// results are merged in order. The grains depend on nothing but the number of elements, which is
// what makes results the same for any number of threads.
//
// Owns: nothing. Threads: thread-safe functions over the caller's accumulators; FoldAll splits its
// work over the runtime. Attached: not needed.
// Fails: never; std::bad_alloc when there is no memory for the partial results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "array/loader.h"
#include "array/run.h"
#include "simd/kernels.h"
#include "simd/ops.h"

namespace spanflow::array {

inline constexpr int64_t kGrain = int64_t{1} << 16;  // elements

// At most simd::kNumReductions kernels, each with an accumulator of the same number.
struct Kernels {
  std::span<const simd::ReductionKernel> all;
  // Takes the place of the updates of the first `summarized` kernels: kernel i is the one that
  // roles[i] names.
  simd::SummaryFn summary = nullptr;
  size_t summarized = 0;
  simd::Accumulator* simd::Summary::*const* roles = nullptr;

  size_t size() const { return all.size(); }
};

// Elements [begin, end) of the plan's walk, every address moved by `offset`, into one accumulator
// for each kernel. With several kernels each L1-sized block is given to all of them while it is
// hot.
void FoldRange(const LoadPlan& plan, ptrdiff_t offset, int64_t begin, int64_t end, Kernels kernels,
               simd::Accumulator* into);

// All n elements of the plan's walk, after what `into` holds already.
void FoldAll(const LoadPlan& plan, int64_t n, Kernels kernels, simd::Accumulator* into,
             const RunOptions& options);

}  // namespace spanflow::array
