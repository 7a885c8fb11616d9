// Fold: the elements of a loaded run into accumulators, in grains of fixed size whose partial
// results are merged in order. The grains depend on nothing but the number of elements, which is
// what makes results the same for any number of threads.
//
// Owns: nothing. Threads: thread-safe functions over the caller's accumulators; FoldAll splits its
// work over the runtime. Attached: not needed.
// Fails: never; std::bad_alloc when there is no memory for the partial results.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "array/loader.h"
#include "array/run.h"
#include "runtime/pool.h"
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
  // Takes NaN out of a block before any kernel sees it; null where it stays.
  simd::SiftFn sift = nullptr;
  size_t item_bytes = 0;

  size_t size() const { return all.size(); }
};

// The kernels for several reductions of one kind. Those that share their accumulator (sum and mean,
// var and std) fold it only once; those that are parts of a summary come first, to be folded
// together. Where all of them leave NaN out, that is done once for all.
class SharedKernels {
 public:
  using Role = simd::Accumulator* simd::Summary::*;

  SharedKernels(std::span<const simd::Reduction> reductions, base::Kind compute);

  size_t size() const { return count_; }
  size_t PlaceOf(simd::Reduction reduction) const { return place_[static_cast<size_t>(reduction)]; }
  const simd::ReductionKernel& operator[](size_t place) const { return kernels_[place]; }
  Kernels All() const;  // valid as long as this lives

 private:
  size_t Add(const simd::ReductionKernel& kernel, Role role);

  simd::ReductionKernel kernels_[simd::kNumReductions];
  Role roles_[simd::kNumReductions] = {};
  size_t place_[simd::kNumReductions] = {};
  size_t count_ = 0;
  Kernels together_;
};

// Each takes one accumulator for each kernel.
void InitAll(Kernels kernels, simd::Accumulator* acc);
void UpdateAll(Kernels kernels, simd::Accumulator* acc, const void* values, size_t n);
void MergeAll(Kernels kernels, simd::Accumulator* into, const simd::Accumulator* more);
bool AllDone(Kernels kernels, const simd::Accumulator* acc);  // nothing can change any result

// Which of the elements count: those where a bool mask, walked in the same order, is true.
struct Sieve {
  const LoadPlan* plan = nullptr;  // null: all of them
  ptrdiff_t offset = 0;            // by which the addresses of the mask are moved
};

// Elements [begin, end) of the plan's walk, every address moved by `offset`, into one accumulator
// for each kernel. With several kernels each L1-sized block is given to all of them while it is
// hot.
void FoldRange(const LoadPlan& plan, ptrdiff_t offset, int64_t begin, int64_t end, Kernels kernels,
               simd::Accumulator* into, Sieve sieve = {});

// Calls fold(t, partial) for every task in [0, tasks), spread over the runtime by `chunk` of them
// at a time, and then, in the order of the tasks, merge(t, partial). A partial has `width`
// accumulators. There are never more than kPartials of them, however many tasks there are.
template <class FoldOne, class MergeOne>
void FoldInOrder(int64_t tasks, int64_t chunk, size_t width, const FoldOne& fold,
                 const MergeOne& merge, const RunOptions& options) {
  constexpr int64_t kPartials = 4096;
  std::vector<simd::Accumulator> partials(static_cast<size_t>(std::min(tasks, kPartials)) * width);
  for (int64_t first = 0; first < tasks; first += kPartials) {
    const int64_t count = std::min(kPartials, tasks - first);
    const auto at = [&](int64_t i) { return partials.data() + static_cast<size_t>(i) * width; };
    const auto body = [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) fold(first + i, at(i));
    };
    runtime::ParallelFor(count, chunk, body, options.threads);
    for (int64_t i = 0; i < count; ++i) merge(first + i, at(i));
  }
}

// All n elements of the plan's walk, after what `into` holds already. Stops early where nothing can
// change the results any more (any, all, extremes with a NaN).
void FoldAll(const LoadPlan& plan, int64_t n, Kernels kernels, simd::Accumulator* into,
             const RunOptions& options, Sieve sieve = {});

}  // namespace spanflow::array
