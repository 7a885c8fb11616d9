// Powers of two, polynomials, and the exponential and the logarithm that other functions are made
// of, for float32 and float64 lanes. Compiled once per SIMD target.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed. Fails: never.
//
// Sources of the methods and constants: "fdlibm" is the Freely Distributable LIBM of Sun
// Microsystems (K. C. Ng, 1993), "Taylor" a Taylor series that is long enough. Products and sums
// are written with MulAdd where a single rounding does no harm: errors then depend on the target a
// little, the bounds in ops.h hold on all of them.
#if defined(SPANFLOW_SIMD_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SPANFLOW_SIMD_MATH_INL_H_
#undef SPANFLOW_SIMD_MATH_INL_H_
#else
#define SPANFLOW_SIMD_MATH_INL_H_
#endif

#include <limits>

#include "simd/blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {

template <class D>
HWY_INLINE hn::Vec<D> Const(D d, double value) {
  return hn::Set(d, static_cast<LaneOf<D>>(value));
}

template <class D>
HWY_INLINE hn::Vec<D> Infinity(D d) {
  return hn::Set(d, std::numeric_limits<LaneOf<D>>::infinity());
}

template <class D>
HWY_INLINE hn::Vec<D> NotANumber(D d) {
  return hn::Set(d, std::numeric_limits<LaneOf<D>>::quiet_NaN());
}

// c0 + x * (c1 + x * (…)).
template <class D, class V>
HWY_INLINE V Polynomial(D d, V, double last) {
  return Const(d, last);
}
template <class D, class V, class... C>
HWY_INLINE V Polynomial(D d, V x, double first, C... rest) {
  return hn::MulAdd(x, Polynomial(d, x, rest...), Const(d, first));
}

template <class D>
inline constexpr int kFractionBits = sizeof(LaneOf<D>) == 4 ? 23 : 52;
template <class D>
inline constexpr double kBias = sizeof(LaneOf<D>) == 4 ? 127 : 1023;
// Adding it to a small number rounds that to a whole one and puts it into the lowest bits.
template <class D>
inline constexpr double kShifter = sizeof(LaneOf<D>) == 4 ? 0x1.8p23 : 0x1.8p52;

// 2^n for a whole n whose power is a normal number.
template <class D, class V>
HWY_INLINE V PowerOfTwo(D d, V n) {
  const hn::RebindToUnsigned<D> du;
  const V shifted = hn::Add(n, Const(d, kShifter<D> + kBias<D>));
  return hn::BitCast(d, hn::ShiftLeft<kFractionBits<D>>(hn::BitCast(du, shifted)));
}

// x * 2^n for a whole n, rounded once, also where the result is no normal number: in two steps, of
// which the first is exact. AVX-512 has an instruction for it.
template <class D, class V>
HWY_INLINE V TimesPowerOfTwo(D d, V x, V n) {
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
  (void)d;
  if constexpr (sizeof(LaneOf<D>) == 4) return V{_mm512_scalef_ps(x.raw, n.raw)};
  if constexpr (sizeof(LaneOf<D>) == 8) return V{_mm512_scalef_pd(x.raw, n.raw)};
#else
  const V half = hn::Floor(hn::Mul(n, Const(d, 0.5)));
  return hn::Mul(hn::Mul(x, PowerOfTwo(d, half)), PowerOfTwo(d, hn::Sub(n, half)));
#endif
}

// x without the lower half of its fraction, so that products of two such numbers are exact.
template <class D, class V>
HWY_INLINE V UpperHalf(D d, V x) {
  using T = LaneOf<D>;
  const hn::RebindToUnsigned<D> du;
  using U = LaneOf<decltype(du)>;
  constexpr U kMask = sizeof(T) == 4 ? static_cast<U>(0xFFFFF000u) : static_cast<U>(~0xFFFFFFFFull);
  return hn::BitCast(d, hn::And(hn::BitCast(du, x), hn::Set(du, kMask)));
}

// ---- exponentials ----

// x = n ln 2 + r + tail, |r| at most about ln 2 / 2; n ln 2 is taken off in two parts, of which the
// product with the first is exact.
template <class V>
struct ReducedExponent {
  V n, r, tail;
};

template <class D, class V>
HWY_INLINE ReducedExponent<V> ReduceExponent(D d, V x) {
  constexpr bool kSingle = sizeof(LaneOf<D>) == 4;
  const V shifter = Const(d, kShifter<D>);
  const V n = hn::Sub(hn::MulAdd(x, Const(d, 1.44269504088896338700), shifter), shifter);
  const V high = hn::NegMulAdd(n, Const(d, kSingle ? 0.693359375 : 6.93147180369123816490e-01), x);
  const V low =
      hn::Mul(n, Const(d, kSingle ? -2.12194440054690583e-4 : 1.90821492927058770002e-10));
  const V r = hn::Sub(high, low);
  return {n, r, hn::Sub(hn::Sub(high, r), low)};
}

// exp(r + tail) - 1 for |r| below 0.36. Taylor.
template <class D, class V>
HWY_INLINE V ExpMinusOneOfReduced(D d, V r, V tail) {
  V sum;
  if constexpr (sizeof(LaneOf<D>) == 4) {
    sum = Polynomial(d, r, 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040);
  } else {
    sum = Polynomial(d, r, 1. / 2, 1. / 6, 1. / 24, 1. / 120, 1. / 720, 1. / 5040, 1. / 40320,
                     1. / 362880, 1. / 3628800, 1. / 39916800, 1. / 479001600, 1. / 6227020800);
  }
  return hn::Add(r, hn::MulAdd(hn::Mul(r, r), sum, tail));
}

// The range outside of which exp is 0 or infinite. Within it, n stays in the reach of
// TimesPowerOfTwo.
template <class D>
inline constexpr double kExpLowest = sizeof(LaneOf<D>) == 4 ? -104 : -746;
template <class D>
inline constexpr double kExpHighest = sizeof(LaneOf<D>) == 4 ? 90 : 711;

template <class D, class V>
HWY_INLINE V Clamp(D d, V x, double lowest, double highest) {
  return hn::Min(hn::Max(x, Const(d, lowest)), Const(d, highest));
}

// exp(x) * 2^shift for a small whole number `shift`.
template <class D, class V>
HWY_INLINE V ExpShifted(D d, V x, double shift) {
  const auto reduced = ReduceExponent(d, Clamp(d, x, kExpLowest<D>, kExpHighest<D>));
  const V power = hn::Add(Const(d, 1), ExpMinusOneOfReduced(d, reduced.r, reduced.tail));
  const V result = TimesPowerOfTwo(d, power, hn::Add(reduced.n, Const(d, shift)));
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

// exp(x) - 1. From -45 (f64) or -20 (f32) downwards it is -1.
template <class D, class V>
HWY_INLINE V ExpMinusOne(D d, V x) {
  const auto reduced = ReduceExponent(d, Clamp(d, x, -45, kExpHighest<D>));
  const V small = ExpMinusOneOfReduced(d, reduced.r, reduced.tail);
  // (1 + small) 2^n - 1 = (small + (1 - 2^-n)) 2^n; for large n the power does not matter.
  const V inverse = PowerOfTwo(d, hn::Neg(hn::Min(reduced.n, Const(d, 100))));
  const V sum = hn::Add(small, hn::Sub(Const(d, 1), inverse));
  const V result = TimesPowerOfTwo(d, sum, reduced.n);
  return hn::IfThenElse(hn::IsNaN(x), x, hn::CopySign(result, x));
}

// ---- logarithms ----

// x = 2^exponent * mantissa with the mantissa in [sqrt(1/2), sqrt(2)); for x above 0 and finite.
template <class V>
struct Split {
  V exponent, mantissa;
};

template <class D, class V>
HWY_INLINE Split<V> SplitExponent(D d, V x) {
  using T = LaneOf<D>;
  const hn::RebindToSigned<D> di;
  using I = LaneOf<decltype(di)>;
  constexpr int kFraction = kFractionBits<D>;
  constexpr I kRootOfHalf = static_cast<I>(sizeof(T) == 4 ? 0x3F3504F3 : 0x3FE6A09E667F3BCD);
  const auto tiny = hn::Lt(x, hn::Set(d, std::numeric_limits<T>::min()));
  const V normal = hn::IfThenElse(tiny, hn::Mul(x, Const(d, 0x1p60)), x);
  const auto bits = hn::BitCast(di, normal);
  const auto above = hn::Sub(bits, hn::Set(di, kRootOfHalf));
  const auto exponent = hn::ShiftRight<kFraction>(above);
  const V shifter = Const(d, kShifter<D>);
  const V whole = hn::Sub(hn::BitCast(d, hn::Add(exponent, hn::BitCast(di, shifter))), shifter);
  return {hn::IfThenElse(tiny, hn::Sub(whole, Const(d, 60)), whole),
          hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<kFraction>(exponent)))};
}

// log(1 + f) = f - half + rest, half being f² / 2; fdlibm's series in f / (2 + f).
template <class V>
struct LogSeries {
  V half, rest;
};

template <class D, class V>
HWY_INLINE LogSeries<V> SeriesOfLog(D d, V f) {
  const V s = hn::Div(f, hn::Add(Const(d, 2), f));
  const V z = hn::Mul(s, s);
  const V half = hn::Mul(hn::Mul(Const(d, 0.5), f), f);
  V series;
  if constexpr (sizeof(LaneOf<D>) == 4) {
    series = Polynomial(d, z, 0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841);
  } else {
    series =
        Polynomial(d, z, 6.666666666666735130e-01, 3.999999999940941908e-01,
                   2.857142874366239149e-01, 2.222219843214978396e-01, 1.818357216161805012e-01,
                   1.531383769920937332e-01, 1.479819860511658591e-01);
  }
  return {half, hn::Mul(s, hn::MulAdd(z, series, half))};
}

// The answers of every logarithm where x is not a positive number.
template <class D, class V>
HWY_INLINE V LogAtTheEdges(D d, V x, V result) {
  const V zero = hn::Zero(d);
  const V edge = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(Infinity(d)), NotANumber(d));
  const V large = hn::IfThenElse(hn::Eq(x, Infinity(d)), x, result);
  return hn::IfThenElse(hn::Gt(x, zero), large, edge);
}

// log(2^exponent * (1 + f)) + tail; ln 2 in two parts, of which the product with the first is
// exact.
template <class D, class V>
HWY_INLINE V LogFromParts(D d, V exponent, V f, V tail) {
  constexpr bool kSingle = sizeof(LaneOf<D>) == 4;
  const auto series = SeriesOfLog(d, f);
  const V high =
      hn::Mul(exponent, Const(d, kSingle ? 6.9313812256e-01 : 6.93147180369123816490e-01));
  const V low =
      hn::MulAdd(exponent, Const(d, kSingle ? 9.0580006145e-06 : 1.90821492927058770002e-10), tail);
  return hn::Sub(high, hn::Sub(hn::Sub(series.half, hn::Add(series.rest, low)), f));
}

template <class D, class V>
HWY_INLINE V LogOf(D d, V x) {
  const auto split = SplitExponent(d, x);
  const V f = hn::Sub(split.mantissa, Const(d, 1));
  return LogAtTheEdges(d, x, LogFromParts(d, split.exponent, f, hn::Zero(d)));
}

// log(1 + x): what 1 + x loses when it is rounded is added to first order (fdlibm).
template <class D, class V>
HWY_INLINE V LogOfOnePlus(D d, V x) {
  const V one = Const(d, 1);
  const V sum = hn::Add(one, x);
  const V lost =
      hn::IfThenElse(hn::Gt(x, one), hn::Sub(one, hn::Sub(sum, x)), hn::Sub(x, hn::Sub(sum, one)));
  const auto split = SplitExponent(d, sum);
  const V f = hn::Sub(split.mantissa, one);
  const V result = LogFromParts(d, split.exponent, f, hn::Div(lost, sum));
  return LogAtTheEdges(d, sum, hn::CopySign(hn::Abs(result), x));
}

}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
