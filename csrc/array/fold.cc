#include "array/fold.h"

#include <algorithm>
#include <atomic>

#include "array/split.h"

namespace spanflow::array {
namespace {

using base::Kind;
using simd::Accumulator;
using simd::Reduction;
using Role = SharedKernels::Role;

// What several kernels read one after the other: half of a usual L1 cache.
constexpr int64_t kSharedBlockBytes = 16 << 10;

int64_t BlockFor(const LoadPlan& plan, const Kernels& kernels) {
  const size_t readers = kernels.size() - kernels.summarized + (kernels.summarized != 0 ? 1 : 0);
  if (!plan.in_place || readers == 1) return plan.capacity;
  return kSharedBlockBytes / plan.convert.value_size;
}

// Which part of a summary a reduction is; null if none.
Role RoleOf(Reduction reduction) {
  switch (reduction) {
    case Reduction::kSum:
    case Reduction::kMean:
      return &simd::Summary::sum;
    case Reduction::kMin:
      return &simd::Summary::min;
    case Reduction::kMax:
      return &simd::Summary::max;
    case Reduction::kVar:
    case Reduction::kStd:
      return &simd::Summary::moments;
    default:
      return nullptr;
  }
}

}  // namespace

SharedKernels::SharedKernels(std::span<const Reduction> reductions, Kind compute) {
  const simd::SummaryFn summary = simd::FindSummary(compute);
  for (const bool together : {true, false}) {
    for (Reduction reduction : reductions) {
      const Role role = RoleOf(reduction);
      if (together != (summary != nullptr && role != nullptr)) continue;
      place_[static_cast<size_t>(reduction)] = Add(simd::FindReduction(reduction, compute), role);
    }
    if (together && count_ > 1) together_ = {{}, summary, count_, roles_};
  }
}

Kernels SharedKernels::All() const {
  Kernels kernels = together_;
  kernels.roles = roles_;  // of this copy
  kernels.all = {kernels_, count_};
  return kernels;
}

size_t SharedKernels::Add(const simd::ReductionKernel& kernel, Role role) {
  for (size_t k = 0; k < count_; ++k) {
    if (kernels_[k].update == kernel.update && kernels_[k].merge == kernel.merge) return k;
  }
  kernels_[count_] = kernel;
  roles_[count_] = role;
  return count_++;
}

void InitAll(Kernels kernels, Accumulator* acc) {
  for (size_t k = 0; k < kernels.size(); ++k) kernels.all[k].init(&acc[k]);
}

void UpdateAll(Kernels kernels, Accumulator* acc, const void* values, size_t n) {
  if (kernels.summarized != 0) {
    simd::Summary summary;
    for (size_t k = 0; k < kernels.summarized; ++k) summary.*kernels.roles[k] = &acc[k];
    kernels.summary(summary, values, n);
  }
  for (size_t k = kernels.summarized; k < kernels.size(); ++k) {
    kernels.all[k].update(&acc[k], values, n);
  }
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

void FoldRange(const LoadPlan& plan, ptrdiff_t offset, int64_t begin, int64_t end, Kernels kernels,
               Accumulator* into) {
  Scratch scratch;
  Loader loader;
  loader.Start(&plan, &scratch, begin, offset);
  const int64_t block = BlockFor(plan, kernels);
  while (begin < end && !AllDone(kernels, into)) {
    const int64_t n = loader.Prefer(std::min(block, end - begin));
    UpdateAll(kernels, into, loader.Next(n), static_cast<size_t>(n));
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
