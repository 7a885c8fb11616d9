// The smallest or largest item of a run. Compiled once per SIMD target.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed. Fails: never.
#if defined(SPANFLOW_SIMD_EXTREMES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SPANFLOW_SIMD_EXTREMES_INL_H_
#undef SPANFLOW_SIMD_EXTREMES_INL_H_
#else
#define SPANFLOW_SIMD_EXTREMES_INL_H_
#endif

#include <algorithm>

#include "simd/sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {

template <bool kMax, class V>
HWY_INLINE V Better(V a, V b) {
  if constexpr (kMax) return hn::Max(a, b);
  return hn::Min(a, b);
}

template <base::Kind kKind, class D>
HWY_INLINE hn::Vec<D> LoadValues(D d, const std::byte* from) {
  if constexpr (kKind == base::Kind::kBool) return LoadBools(d, from);
  return Load(d, from);
}

// NaN is looked for beside the comparison, which may drop it. Returns false when one was found.
template <base::Kind kKind, bool kMax>
bool ExtremeOfBlock(const std::byte* in, size_t n, [[maybe_unused]] size_t ahead,
                    Lane<kKind>* best) {
  using T = Lane<kKind>;
  const hn::ScalableTag<T> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  constexpr size_t kStep = kLanes * sizeof(T);
  const auto start = hn::Set(d, *best);
  auto b0 = start, b1 = start, b2 = start, b3 = start;
  auto nan0 = hn::Lt(start, start), nan1 = nan0;
  const auto add = [](auto v, auto* b, auto* nan) HWY_ATTR {
    *b = Better<kMax>(*b, v);
    if constexpr (hwy::IsFloat<T>()) *nan = hn::Or(*nan, hn::IsNaN(v));
  };
  size_t left = n;
  for (; left >= 4 * kLanes; left -= 4 * kLanes, in += 4 * kStep) {
#if HWY_TARGET != HWY_SCALAR
    PrefetchLines<4 * kStep>(in + ahead);
#endif
    add(LoadValues<kKind>(d, in), &b0, &nan0);
    add(LoadValues<kKind>(d, in + kStep), &b1, &nan1);
    add(LoadValues<kKind>(d, in + 2 * kStep), &b2, &nan0);
    add(LoadValues<kKind>(d, in + 3 * kStep), &b3, &nan1);
  }
  for (; left >= kLanes; left -= kLanes, in += kStep) {
    add(LoadValues<kKind>(d, in), &b0, &nan0);
  }
  if (left != 0) {
    auto last = LoadPadded(d, in, left, start);
    if constexpr (kKind == base::Kind::kBool) last = hn::Min(last, hn::Set(d, 1));
    add(last, &b1, &nan1);
  }
  if (!hn::AllFalse(d, hn::Or(nan0, nan1))) return false;
  HWY_ALIGN T lanes[kLanes];
  hn::Store(Better<kMax>(Better<kMax>(b0, b1), Better<kMax>(b2, b3)), d, lanes);
  for (const T lane : lanes) *best = kMax ? std::max(*best, lane) : std::min(*best, lane);
  return true;
}

template <base::Kind kKind, bool kMax>
void UpdateExtreme(Extreme<kKind, kMax>& state, const std::byte* in, size_t n) {
  using T = Lane<kKind>;
  constexpr size_t kBlock = size_t{1} << 14;
  constexpr size_t kAhead = 4096;  // bytes, less than a block
  for (size_t i = 0; i < n && !state.has_nan; i += kBlock) {
    const size_t items = std::min(kBlock, n - i);
    const size_t ahead = (n - i - items) * sizeof(T) >= kAhead ? kAhead : 0;
    state.has_nan = !ExtremeOfBlock<kKind, kMax>(in + i * sizeof(T), items, ahead, &state.best);
  }
  state.seen = state.seen || n != 0;
}

}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
