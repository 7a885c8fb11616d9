// The size of a pair of numbers. Compiled once per SIMD target.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed. Fails: never.
#if defined(SPANFLOW_SIMD_HYPOT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SPANFLOW_SIMD_HYPOT_INL_H_
#undef SPANFLOW_SIMD_HYPOT_INL_H_
#else
#define SPANFLOW_SIMD_HYPOT_INL_H_
#endif

#include <limits>

#include "simd/blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {

// sqrt(x² + y²) for x >= y >= 0, scaled by a power of two so that no square overflows or vanishes.
template <class D, class V>
HWY_INLINE V ScaledHypot(D d, V x, V y) {
  using T = LaneOf<D>;
  const hn::RebindToUnsigned<D> du;
  using U = LaneOf<decltype(du)>;
  constexpr int kFraction = sizeof(T) == 4 ? 23 : 52;
  constexpr U kOne = U{1} << kFraction;
  constexpr U kMask = (sizeof(T) == 4 ? U{0xFF} : U{0x7FF}) << kFraction;
  // 2^e with e about the exponent of x, and 2^-e: as exponents they add up to kMask - kOne.
  const auto bits = hn::And(hn::BitCast(du, x), hn::Set(du, kMask));
  const auto up = hn::Min(hn::Max(bits, hn::Set(du, kOne)), hn::Set(du, kMask - 2 * kOne));
  const V scale = hn::BitCast(d, up);
  const V unscale = hn::BitCast(d, hn::Sub(hn::Set(du, kMask - kOne), up));
  const V xs = hn::Mul(x, unscale);
  const V ys = hn::Mul(y, unscale);
  return hn::Mul(hn::Sqrt(hn::MulAdd(xs, xs, hn::Mul(ys, ys))), scale);
}

// sqrt(a² + b²). An infinite part makes the size infinite, even beside a NaN.
template <class D, class V>
HWY_INLINE V Hypot(D d, V a, V b) {
  const V infinity = hn::Set(d, std::numeric_limits<LaneOf<D>>::infinity());
  const V x = hn::Abs(a);
  const V y = hn::Abs(b);
  const auto swap = hn::Lt(x, y);
  const V size = ScaledHypot(d, hn::IfThenElse(swap, y, x), hn::IfThenElse(swap, x, y));
  return hn::IfThenElse(hn::Or(hn::Eq(x, infinity), hn::Eq(y, infinity)), infinity, size);
}

}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
