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
  if (!plan.in_place || readers == 1 || kernels.sift != nullptr) return plan.capacity;
  return kSharedBlockBytes / plan.convert.value_size;
}

void UpdatePlain(const Kernels& kernels, Accumulator* acc, const void* values, size_t n) {
  if (kernels.summarized != 0) {
    simd::Summary summary;
    for (size_t k = 0; k < kernels.summarized; ++k) summary.*kernels.roles[k] = &acc[k];
    kernels.summary(summary, values, n);
  }
  for (size_t k = kernels.summarized; k < kernels.size(); ++k) {
    kernels.all[k].update(&acc[k], values, n);
  }
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
  const bool sifted = std::ranges::none_of(
      reductions, [](Reduction given) { return simd::PlainOf(given) == given; });
  for (const bool together : {true, false}) {
    for (const Reduction given : reductions) {
      const Reduction reduction = sifted ? simd::PlainOf(given) : given;
      const Role role = RoleOf(reduction);
      if (together != (summary != nullptr && role != nullptr)) continue;
      place_[static_cast<size_t>(given)] = Add(simd::FindReduction(reduction, compute), role);
    }
    if (together && count_ > 1) together_ = {{}, summary, count_, roles_};
  }
  if (sifted) together_.sift = simd::FindSift(compute);
  together_.item_bytes = static_cast<size_t>(base::InfoOf(compute).itemsize);
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
  if (kernels.sift == nullptr) return UpdatePlain(kernels, acc, values, n);
  const auto* in = static_cast<const std::byte*>(values);
  const size_t block = simd::kSiftBytes / kernels.item_bytes;
  alignas(64) std::byte sifted[simd::kSiftBytes];
  for (size_t left = n; left != 0;) {
    const size_t items = std::min(left, block);
    size_t count = items;
    // The next block is asked for while this one is worked on.
    const size_t ahead = left >= 2 * block ? simd::kSiftBytes : 0;
    const std::byte* const numbers = kernels.sift(in, &count, ahead, sifted);
    UpdatePlain(kernels, acc, numbers, count);
    in += items * kernels.item_bytes;
    left -= items;
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

namespace {

// A loader of which only the elements come through that a sieve lets pass.
class SievedLoader {
 public:
  SievedLoader(const LoadPlan& plan, ptrdiff_t offset, int64_t begin, Sieve sieve)
      : item_bytes_(static_cast<size_t>(plan.convert.value_size)), sifts_(sieve.plan != nullptr) {
    loader_.Start(&plan, &scratch_, begin, offset);
    if (!sifts_) return;
    mask_.Start(sieve.plan, &mask_scratch_, begin, sieve.offset);
    capacity_ = std::min(kRegisterBytes / plan.convert.value_size, sieve.plan->capacity);
  }

  int64_t Prefer(int64_t n) const {
    return sifts_ ? mask_.Prefer(loader_.Prefer(std::min(n, capacity_))) : loader_.Prefer(n);
  }
  // What is left of the next n elements.
  const void* Next(int64_t n, size_t* count) {
    const void* values = loader_.Next(n);
    *count = static_cast<size_t>(n);
    if (!sifts_) return values;
    const auto* mask = static_cast<const uint8_t*>(mask_.Next(n));
    *count =
        simd::Compress(static_cast<const std::byte*>(values), item_bytes_, mask, *count, sifted_);
    return sifted_;
  }

 private:
  size_t item_bytes_;
  bool sifts_;
  int64_t capacity_ = kNoLimit;
  Loader loader_, mask_;
  Scratch scratch_, mask_scratch_;
  alignas(64) std::byte sifted_[kRegisterBytes];
};

}  // namespace

void FoldRange(const LoadPlan& plan, ptrdiff_t offset, int64_t begin, int64_t end, Kernels kernels,
               Accumulator* into, Sieve sieve) {
  SievedLoader loader(plan, offset, begin, sieve);
  const int64_t block = BlockFor(plan, kernels);
  while (begin < end && !AllDone(kernels, into)) {
    const int64_t n = loader.Prefer(std::min(block, end - begin));
    size_t count;
    const void* values = loader.Next(n, &count);
    UpdateAll(kernels, into, values, count);
    begin += n;
  }
}

void FoldAll(const LoadPlan& plan, int64_t n, Kernels kernels, Accumulator* into,
             const RunOptions& options, Sieve sieve) {
  if (n <= kGrain) return FoldRange(plan, 0, 0, n, kernels, into, sieve);
  const int64_t grains = (n + kGrain - 1) / kGrain;
  const int64_t bytes = n * plan.convert.memory_size;
  std::atomic<bool> done = AllDone(kernels, into);
  const auto fold = [&](int64_t grain, Accumulator* partial) {
    InitAll(kernels, partial);
    if (done.load(std::memory_order_relaxed)) return;
    const int64_t end = std::min(n, (grain + 1) * kGrain);
    FoldRange(plan, 0, grain * kGrain, end, kernels, partial, sieve);
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
