// The reductions that leave NaN out, one per row of SPANFLOW_NANS: the plain ones behind a sieve,
// which hands them each block as it is or without its NaNs, while it is in L1.
#include <cmath>
#include <limits>

#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/nans.cc"
#include "hwy/foreach_target.h"
#include "simd/reduction-inl.h"
#include "simd/sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

using base::Kind;

// Whether some of the lanes is NaN; asks for what lies `ahead` bytes further meanwhile.
template <class T>
bool ContainsNan(const std::byte* in, size_t lanes, [[maybe_unused]] size_t ahead) {
  const hn::ScalableTag<T> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  constexpr size_t kStep = kLanes * sizeof(T);
  const auto zero = hn::Zero(d);
  auto nan0 = hn::IsNaN(zero), nan1 = nan0;
  size_t left = lanes;
  for (; left >= 4 * kLanes; left -= 4 * kLanes, in += 4 * kStep) {
#if HWY_TARGET != HWY_SCALAR
    PrefetchLines<4 * kStep>(in + ahead);
#endif
    nan0 = hn::Or(nan0, hn::IsNaN(Load(d, in)));
    nan1 = hn::Or(nan1, hn::IsNaN(Load(d, in + kStep)));
    nan0 = hn::Or(nan0, hn::IsNaN(Load(d, in + 2 * kStep)));
    nan1 = hn::Or(nan1, hn::IsNaN(Load(d, in + 3 * kStep)));
  }
  for (; left >= kLanes; left -= kLanes, in += kStep) nan0 = hn::Or(nan0, hn::IsNaN(Load(d, in)));
  if (left != 0) nan1 = hn::Or(nan1, hn::IsNaN(LoadPadded(d, in, left, zero)));
  return !hn::AllFalse(d, hn::Or(nan0, nan1));
}

// The items that are not NaN, in no part; returns how many there are. `out` has room for as many
// whole vectors as n items touch.
template <Kind kKind>
size_t TakeNumbers(const std::byte* in, size_t n, std::byte* out) {
  using T = Lane<kKind>;
  constexpr size_t kParts = KindLane<kKind>::kLanes;
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  // One instruction there; elsewhere the selection by mask bytes is faster.
  if constexpr (kParts == 1) {
    const hn::ScalableTag<T> d;
    constexpr size_t kLanes = hn::MaxLanes(d);
    const auto nan = hn::Set(d, std::numeric_limits<T>::quiet_NaN());
    size_t count = 0;
    for (size_t i = 0; i < n; i += kLanes) {
      const std::byte* const from = in + i * sizeof(T);
      const auto v = n - i >= kLanes ? Load(d, from) : LoadPadded(d, from, n - i, nan);
      const auto number = hn::Not(hn::IsNaN(v));
      Store(hn::Compress(v, number), d, out + count * sizeof(T));
      count += hn::CountTrue(d, number);
    }
    return count;
  }
#endif
  uint8_t numbers[kSiftBytes / kItemBytes<kKind>];
  for (size_t i = 0; i < n; ++i) {
    T item = LoadOne<T>(in + i * kParts * sizeof(T));
    bool number = item == item;
    if constexpr (kParts == 2) {
      item = LoadOne<T>(in + (i * kParts + 1) * sizeof(T));
      number &= item == item;
    }
    numbers[i] = number;
  }
  return CurrentTables().compress(in, kItemBytes<kKind>, numbers, n, out);
}

template <Kind kKind>
const std::byte* Sift(const std::byte* in, size_t* n, size_t ahead, std::byte* out) {
  if (HWY_LIKELY(!ContainsNan<Lane<kKind>>(in, *n * KindLane<kKind>::kLanes, ahead))) return in;
  *n = TakeNumbers<kKind>(in, *n, out);
  return out;
}

template <Kind kKind, Reduction kPlain>
void UpdateSifted(Accumulator* acc, const void* input, size_t n) {
  constexpr size_t kBlock = kSiftBytes / kItemBytes<kKind>;
  const auto update =
      CurrentTables().reductions[static_cast<size_t>(kPlain)][static_cast<size_t>(kKind)].update;
  const std::byte* in = static_cast<const std::byte*>(input);
  alignas(64) std::byte sifted[kSiftBytes];
  for (size_t left = n; left != 0;) {
    const size_t items = std::min(left, kBlock);
    size_t count = items;
    const std::byte* numbers = Sift<kKind>(in, &count, left >= 2 * kBlock ? kSiftBytes : 0, sifted);
    update(acc, numbers, count);
    in += items * kItemBytes<kKind>;
    left -= items;
  }
}

// Of nothing but NaNs the extreme is NaN.
template <Kind kKind, bool kMax>
void FinishExtreme(const Accumulator* acc, double, void* out) {
  const auto& state = StateOf<Extreme<kKind, kMax>>(acc);
  const Lane<kKind> result =
      state.seen ? state.best : std::numeric_limits<Lane<kKind>>::quiet_NaN();
  std::memcpy(out, &result, sizeof(result));
}

// Those that differ in their ends only share an accumulator, as the plain ones do.
constexpr Reduction FoldOf(Reduction plain) {
  if (plain == Reduction::kMean) return Reduction::kSum;
  if (plain == Reduction::kKurtosis) return Reduction::kSkew;
  return plain == Reduction::kStd ? Reduction::kVar : plain;
}

template <Reduction kPlain, Reduction kNan>
void FillSifted(Tables* tables) {
  ForEachKind([tables]<Kind kKind>() {
    constexpr bool kFloating = base::IsFloat(kKind) || base::IsComplex(kKind);
    if constexpr (Contains(InfoOf(kNan).kinds, kKind)) {
      const auto kind = static_cast<size_t>(kKind);
      ReductionKernel kernel = tables->reductions[static_cast<size_t>(kPlain)][kind];
      if constexpr (kFloating) kernel.update = &UpdateSifted<kKind, FoldOf(kPlain)>;
      if constexpr (kFloating && kPlain == Reduction::kMin) {
        kernel.finish = &FinishExtreme<kKind, false>;
      }
      if constexpr (kFloating && kPlain == Reduction::kMax) {
        kernel.finish = &FinishExtreme<kKind, true>;
      }
      tables->reductions[static_cast<size_t>(kNan)][kind] = kernel;
    }
  });
}

void Fill(Tables* tables) {
  ForEachKind([tables]<Kind kKind>() {
    if constexpr (Contains(kFloatKinds | kComplexKinds, kKind)) {
      tables->sifts[static_cast<size_t>(kKind)] = &Sift<kKind>;
    }
  });
#define SPANFLOW_ROW(Name, ...) FillSifted<Reduction::k##Name, Reduction::kNan##Name>(tables);
  SPANFLOW_NANS(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Nans)  // after the families of the plain ones
#endif
