#include "array/fold.h"

#include <algorithm>
#include <vector>

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

}  // namespace

void FoldRange(const LoadPlan& plan, ptrdiff_t offset, int64_t begin, int64_t end, Kernels kernels,
               Accumulator* into) {
  Scratch scratch;
  Loader loader;
  loader.Start(&plan, &scratch, begin, offset);
  const int64_t block = BlockFor(plan, kernels);
  simd::Summary summary;
  for (size_t k = 0; k < kernels.summarized; ++k) summary.*kernels.roles[k] = &into[k];
  while (begin < end) {
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
  const auto fold_grain = [&](int64_t grain, Accumulator* partial) {
    InitAll(kernels, partial);
    FoldRange(plan, 0, grain * kGrain, std::min(n, (grain + 1) * kGrain), kernels, partial);
  };
  if (options.threads == 1 || bytes <= kChunkBytes || runtime::NumThreads() == 1) {
    for (int64_t g = 0; g < grains; ++g) {
      Accumulator partial[simd::kNumReductions];
      fold_grain(g, partial);
      MergeAll(kernels, into, partial);
    }
    return;
  }
  std::vector<Accumulator> partials(static_cast<size_t>(grains) * kernels.size());
  const auto at = [&](int64_t g) { return &partials[static_cast<size_t>(g) * kernels.size()]; };
  const auto body = [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) fold_grain(g, at(g));
  };
  const int64_t per_chunk = kChunkBytes / (kGrain * plan.convert.memory_size);
  runtime::ParallelFor(grains, std::max<int64_t>(per_chunk, 1), body, options.threads);
  for (int64_t g = 0; g < grains; ++g) MergeAll(kernels, into, at(g));
}

}  // namespace spanflow::array
