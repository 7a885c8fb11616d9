#include "array/fold.h"

#include <algorithm>
#include <atomic>

#include "array/split.h"

namespace spanflow::array {
namespace {

using simd::Accumulator;

// What several kernels read one after the other: half of a usual L1 cache.
constexpr int64_t kSharedBlockBytes = 16 << 10;

int64_t BlockFor(const LoadPlan& plan, const Kernels& kernels) {
  const size_t readers = kernels.size() - kernels.summarized + (kernels.summarized != 0 ? 1 : 0);
  if (!plan.in_place || readers == 1) return plan.capacity;
  return kSharedBlockBytes / plan.convert.value_size;
}

void InitAll(Kernels kernels, Accumulator* acc) {
  for (size_t k = 0; k < kernels.size(); ++k) kernels.all[k].init(&acc[k]);
}

void MergeAll(Kernels kernels, Accumulator* into, const Accumulator* more) {
  for (size_t k = 0; k < kernels.size(); ++k) kernels.all[k].merge(&into[k], &more[k]);
}

bool AllDone(Kernels kernels, const Accumulator* acc) {
  for (size_t k = 0; k < kernels.size(); ++k) {
    if (kernels.all[k].done == nullptr || !kernels.all[k].done(&acc[k])) return false;
  }
  return true;
}

}  // namespace

void FoldRange(const LoadPlan& plan, ptrdiff_t offset, int64_t begin, int64_t end, Kernels kernels,
               Accumulator* into) {
  Scratch scratch;
  Loader loader;
  loader.Start(&plan, &scratch, begin, offset);
  const int64_t block = BlockFor(plan, kernels);
  simd::Summary summary;
  for (size_t k = 0; k < kernels.summarized; ++k) summary.*kernels.roles[k] = &into[k];
  while (begin < end && !AllDone(kernels, into)) {
    const int64_t n = loader.Prefer(std::min(block, end - begin));
    const void* values = loader.Next(n);
    if (kernels.summarized != 0) kernels.summary(summary, values, static_cast<size_t>(n));
    for (size_t k = kernels.summarized; k < kernels.size(); ++k) {
      kernels.all[k].update(&into[k], values, static_cast<size_t>(n));
    }
    begin += n;
  }
}

void FoldAll(const LoadPlan& plan, int64_t n, Kernels kernels, Accumulator* into,
             const RunOptions& options) {
  if (n <= kGrain) return FoldRange(plan, 0, 0, n, kernels, into);
  const int64_t grains = (n + kGrain - 1) / kGrain;
  const int64_t bytes = n * plan.convert.memory_size;
  std::atomic<bool> done = AllDone(kernels, into);
  const auto fold = [&](int64_t grain, Accumulator* partial) {
    InitAll(kernels, partial);
    if (done.load(std::memory_order_relaxed)) return;
    FoldRange(plan, 0, grain * kGrain, std::min(n, (grain + 1) * kGrain), kernels, partial);
    if (AllDone(kernels, partial)) done.store(true, std::memory_order_relaxed);
  };
  const auto merge = [&](int64_t, const Accumulator* partial) { MergeAll(kernels, into, partial); };
  if (options.threads == 1 || bytes <= kChunkBytes || runtime::NumThreads() == 1) {
    for (int64_t g = 0; g < grains && !done.load(std::memory_order_relaxed); ++g) {
      Accumulator partial[simd::kNumReductions];
      fold(g, partial);
      merge(g, partial);
    }
    return;
  }
  const int64_t chunk = kChunkBytes / (kGrain * plan.convert.memory_size);
  FoldInOrder(grains, std::max<int64_t>(chunk, 1), kernels.size(), fold, merge, options);
}

}  // namespace spanflow::array
