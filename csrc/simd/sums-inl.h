// Sums over blocks of floats, and what all reductions use to read the end of a run. Compiled once
// per SIMD target.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed. Fails: never.
#if defined(SPANFLOW_SIMD_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SPANFLOW_SIMD_SUMS_INL_H_
#undef SPANFLOW_SIMD_SUMS_INL_H_
#else
#define SPANFLOW_SIMD_SUMS_INL_H_
#endif

#include <cmath>

#include "simd/blocks-inl.h"
#include "simd/states.h"
#include "simd/tables.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {

// The last `count` lanes of a run, fewer than a vector has, filled up with `pad`.
template <class D>
HWY_INLINE hn::Vec<D> LoadPadded(D d, const std::byte* from, size_t count, hn::Vec<D> pad) {
  HWY_ALIGN std::byte lanes[hn::MaxLanes(d) * sizeof(LaneOf<D>)];
  Store(pad, d, lanes);
  std::memcpy(lanes, from, count * sizeof(LaneOf<D>));
  return Load(d, lanes);
}

// The sums of lanes with even and with odd numbers, which are the parts of complex numbers. For
// real ones (kComplex false) all of it is in `re`.
template <class T>
struct PartSums {
  T re, im;
};

// How many floats are summed as floats: sixteen for each of the lanes that add at the same time, so
// that the rounding errors of a block stay below those of pairwise summation.
template <class T>
inline constexpr size_t kSumBlock = 16 * 8 * hn::MaxLanes(hn::ScalableTag<T>());

// How far ahead of a block of `lanes` floats the next one lies, of which `left` are there with this
// one: what kernels prefetch while they read this one. 0 at the end, where that touches nothing
// new.
template <class T>
constexpr size_t Ahead(size_t left) {
  return left >= 2 * kSumBlock<T> ? kSumBlock<T> * sizeof(T) : 0;
}

#if HWY_TARGET == HWY_SCALAR

template <bool kComplex, class D, class V = hn::Vec<D>>
HWY_INLINE PartSums<LaneOf<D>> FinishSums(D, const std::byte* rest, size_t lanes, V s0, V s1, V s2,
                                          V s3, V s4, V s5, V s6, V s7) {
  using T = LaneOf<D>;
  T sums[8] = {hn::GetLane(s0), hn::GetLane(s1), hn::GetLane(s2), hn::GetLane(s3),
               hn::GetLane(s4), hn::GetLane(s5), hn::GetLane(s6), hn::GetLane(s7)};
  for (size_t k = 0; k < lanes; ++k) sums[k] += LoadOne<T>(rest + k * sizeof(T));
  const T even = (sums[0] + sums[4]) + (sums[2] + sums[6]);
  const T odd = (sums[1] + sums[5]) + (sums[3] + sums[7]);
  if constexpr (kComplex) return {even, odd};
  return {even + odd, 0};
}

#else

template <bool kComplex, class D>
HWY_INLINE PartSums<LaneOf<D>> SumParts(D d, hn::Vec<D> v) {
  if constexpr (!kComplex) return {hn::GetLane(hn::SumOfLanes(d, v)), 0};
  const auto none = hn::Set(d, LaneOf<D>(-0.0));
  return {hn::GetLane(hn::SumOfLanes(d, hn::OddEven(none, v))),
          hn::GetLane(hn::SumOfLanes(d, hn::OddEven(v, none)))};
}

// Of eight sums and of the rest, fewer lanes than eight vectors have.
template <bool kComplex, class D, class V = hn::Vec<D>>
HWY_INLINE PartSums<LaneOf<D>> FinishSums(D d, const std::byte* rest, size_t lanes, V s0, V s1,
                                          V s2, V s3, V s4, V s5, V s6, V s7) {
  constexpr size_t kLanes = hn::MaxLanes(D());
  for (; lanes >= kLanes; lanes -= kLanes, rest += kLanes * sizeof(LaneOf<D>)) {
    s0 = hn::Add(s0, Load(d, rest));
  }
  if (lanes != 0) s1 = hn::Add(s1, LoadPadded(d, rest, lanes, hn::Set(d, LaneOf<D>(-0.0))));
  const auto low = hn::Add(hn::Add(s0, s1), hn::Add(s2, s3));
  const auto high = hn::Add(hn::Add(s4, s5), hn::Add(s6, s7));
  return SumParts<kComplex>(d, hn::Add(low, high));
}

#endif

template <size_t kBytes>
HWY_INLINE void PrefetchLines(const std::byte* from) {
  for (size_t line = 0; line < kBytes; line += 64) hwy::Prefetch(from + line);
}

// Starts from -0 because that changes no number, not even the sign of a zero.
template <bool kComplex, class T>
HWY_NOINLINE PartSums<T> SumBlock(const std::byte* in, size_t lanes, size_t ahead) {
  const hn::ScalableTag<T> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  constexpr size_t kStep = kLanes * sizeof(T);
  const auto none = hn::Set(d, T(-0.0));
  auto s0 = none, s1 = none, s2 = none, s3 = none, s4 = none, s5 = none, s6 = none, s7 = none;
  for (; lanes >= 8 * kLanes; lanes -= 8 * kLanes, in += 8 * kStep) {
    PrefetchLines<8 * kStep>(in + ahead);
    s0 = hn::Add(s0, Load(d, in));
    s1 = hn::Add(s1, Load(d, in + kStep));
    s2 = hn::Add(s2, Load(d, in + 2 * kStep));
    s3 = hn::Add(s3, Load(d, in + 3 * kStep));
    s4 = hn::Add(s4, Load(d, in + 4 * kStep));
    s5 = hn::Add(s5, Load(d, in + 5 * kStep));
    s6 = hn::Add(s6, Load(d, in + 6 * kStep));
    s7 = hn::Add(s7, Load(d, in + 7 * kStep));
  }
  return FinishSums<kComplex>(d, in, lanes, s0, s1, s2, s3, s4, s5, s6, s7);
}

// Calls use(doubles, count) for one piece of a run of T after the other.
template <class T, class Use>
HWY_INLINE void ForEachWidened(const std::byte* in, size_t lanes, base::Kind kind, Use use) {
  constexpr size_t kPiece = kSumBlock<double>;
  HWY_ALIGN std::byte piece[kPiece * sizeof(double)];
  const CastFn widen =
      CurrentTables().casts[static_cast<size_t>(kind)][static_cast<size_t>(base::Kind::kF64)];
  while (lanes != 0) {
    const size_t count = std::min(lanes, kPiece);
    widen(in, piece, count);
    use(piece, count);
    in += count * sizeof(T);
    lanes -= count;
  }
}

template <bool kComplex>
HWY_NOINLINE PartSums<double> SumWidened(const std::byte* in, size_t lanes) {
  PartSums<double> sums = {-0.0, -0.0};
  ForEachWidened<float>(in, lanes, base::Kind::kF32, [&](const std::byte* piece, size_t count) {
    const PartSums<double> more = SumBlock<kComplex, double>(piece, count, 0);
    sums.re += more.re;
    sums.im += more.im;
  });
  return sums;
}

// Adds the sums of a block of T. Where they left the range of f32 they are taken again in f64: what
// the result is must not depend on which elements came into one block. A sum that is NaN already
// stays so.
template <bool kComplex, class T>
HWY_INLINE void AddBlock(PartSums<T> sums, const std::byte* in, size_t lanes, FloatSum* to) {
  PartSums<double> wide = {double{sums.re}, double{sums.im}};
  if constexpr (sizeof(T) == 4) {
    const bool finite = std::isfinite(sums.re) && (!kComplex || std::isfinite(sums.im));
    const bool is_nan = std::isnan(to->re.total) && (!kComplex || std::isnan(to->im.total));
    if (HWY_UNLIKELY(!finite) && !is_nan) wide = SumWidened<kComplex>(in, lanes);
  }
  to->re.Add(wide.re);
  if constexpr (kComplex) to->im.Add(wide.im);
}

}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
