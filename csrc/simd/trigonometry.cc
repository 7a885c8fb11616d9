// Trigonometric functions and their inverses, one functor per row of SPANFLOW_TRIGONOMETRY.
#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/trigonometry.cc"
#include <cmath>

#include "hwy/foreach_target.h"
#include "simd/elementwise-inl.h"
#include "simd/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

// x = n pi / 2 + r + tail, |r| at most about pi / 4. pi / 2 is taken off in parts of 33 bits, so
// that the products with the first three are exact (fdlibm; Cody and Waite 1980).
template <class V>
struct ReducedAngle {
  V n, r, tail;
};

// Where n has at most 20 bits.
inline constexpr double kLargestAngle = 0x1p20;

template <class D, class V>
HWY_INLINE ReducedAngle<V> ReduceAngle(D d, V x) {
  const V shifter = Const(d, kShifter<D>);
  const V n = hn::Sub(hn::MulAdd(x, Const(d, 6.36619772367581382433e-01), shifter), shifter);
  V r = hn::Sub(x, hn::Mul(n, Const(d, 1.57079632673412561417e+00)));
  V lost = hn::Zero(d);
  const auto take = [&](double part) HWY_ATTR {
    const V step = hn::Mul(n, Const(d, part));
    const V next = hn::Sub(r, step);
    lost = hn::Add(lost, hn::Sub(hn::Sub(r, next), step));
    r = next;
  };
  take(6.07710050630396597660e-11);
  take(2.02226624871116645580e-21);
  take(8.47842766036889956997e-32);
  const V sum = hn::Add(r, lost);
  return {n, sum, hn::Add(hn::Sub(r, sum), lost)};
}

// fdlibm's polynomials for |r| below pi / 4.
template <class D, class V>
HWY_INLINE V SinOfReduced(D d, V r, V tail) {
  const V z = hn::Mul(r, r);
  const V cube = hn::Mul(z, r);
  const V series = Polynomial(d, z, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
                              2.75573137070700676789e-06, -2.50507602534068634195e-08,
                              1.58969099521155010221e-10);
  const V upper = hn::Sub(hn::Mul(Const(d, 0.5), tail), hn::Mul(cube, series));
  const V rest =
      hn::Sub(hn::MulSub(z, upper, tail), hn::Mul(cube, Const(d, -1.66666666666666324348e-01)));
  return hn::Sub(r, rest);
}

template <class D, class V>
HWY_INLINE V CosOfReduced(D d, V r, V tail) {
  const V z = hn::Mul(r, r);
  const V series = Polynomial(d, z, 4.16666666666666019037e-02, -1.38888888888741095749e-03,
                              2.48015872894767294178e-05, -2.75573143513906633035e-07,
                              2.08757232129817482790e-09, -1.13596475577881948265e-11);
  const V half = hn::Mul(Const(d, 0.5), z);
  const V one = Const(d, 1);
  const V first = hn::Sub(one, half);
  const V lost = hn::Sub(hn::Sub(one, first), half);
  return hn::Add(first, hn::Add(lost, hn::NegMulAdd(r, tail, hn::Mul(hn::Mul(z, z), series))));
}

// The lowest bits of a whole n as the sign bit, and as a mask.
template <class D, class V>
HWY_INLINE auto BitsOfWhole(D d, V n) {
  const hn::RebindToUnsigned<D> du;
  return hn::BitCast(du, hn::Add(n, Const(d, kShifter<D>)));
}
template <class D, class V>
HWY_INLINE V SecondBitAsSign(D d, V n) {
  return hn::And(hn::BitCast(d, hn::ShiftLeft<62>(BitsOfWhole(d, n))), hn::SignBit(d));
}
template <class D, class V>
HWY_INLINE hn::Mask<D> IsOdd(D d, V n) {
  const V half = hn::Mul(n, Const(d, 0.5));
  return hn::Not(hn::Eq(half, hn::Floor(half)));
}

// Angles beyond the reduction, and infinities, go lane by lane through the library, which reduces
// by all bits of pi that it takes.
template <class D, class V, class F>
HWY_INLINE V LargeAngles(D d, V x, V result, F library) {
  const auto large = hn::Not(hn::Lt(hn::Abs(x), Const(d, kLargestAngle)));
  if (hn::AllFalse(d, large)) return result;
  return hn::IfThenElse(large, EachLane(d, library, x), result);
}

// The sines and cosines of an angle, before its n says which of them is meant, and with which sign.
template <class V>
struct SinAndCos {
  V n, sin, cos;
};

template <class D, class V>
HWY_INLINE SinAndCos<V> LongSinAndCos(D d, V x) {
  const auto angle = ReduceAngle(d, x);
  return {angle.n, SinOfReduced(d, angle.r, angle.tail), CosOfReduced(d, angle.r, angle.tail)};
}

// The same with the digits that float32 needs: the product with the first part of pi / 2 is exact.
// Taylor.
template <class D, class V>
HWY_INLINE SinAndCos<V> ShortSinAndCos(D d, V x) {
  const V shifter = Const(d, kShifter<D>);
  const V n = hn::Sub(hn::MulAdd(x, Const(d, 6.36619772367581382433e-01), shifter), shifter);
  const V first = hn::NegMulAdd(n, Const(d, 1.57079632673412561417e+00), x);
  const V r = hn::NegMulAdd(n, Const(d, 6.07710050650619224932e-11), first);
  const V z = hn::Mul(r, r);
  const V sin = Polynomial(d, z, -1. / 6, 1. / 120, -1. / 5040, 1. / 362880, -1. / 39916800);
  const V cos = Polynomial(d, z, -1. / 2, 1. / 24, -1. / 720, 1. / 40320, -1. / 3628800);
  return {n, hn::MulAdd(hn::Mul(r, z), sin, r), hn::MulAdd(z, cos, Const(d, 1))};
}

template <bool kShort, class D, class V>
HWY_INLINE SinAndCos<V> SinAndCosOf(D d, V x) {
  if constexpr (kShort) return ShortSinAndCos(d, x);
  if constexpr (!kShort) return LongSinAndCos(d, x);
}

template <bool kShort>
struct SinBy {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const auto angle = SinAndCosOf<kShort>(d, x);
    const V size = hn::IfThenElse(IsOdd(d, angle.n), angle.cos, angle.sin);
    const V signed_size = hn::Xor(size, SecondBitAsSign(d, angle.n));
    const V result = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, signed_size);
    return LargeAngles(d, x, result, [](double lane) { return std::sin(lane); });
  }
};

template <bool kShort>
struct CosBy {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const auto angle = SinAndCosOf<kShort>(d, x);
    const V size = hn::IfThenElse(IsOdd(d, angle.n), angle.sin, angle.cos);
    const V sign = SecondBitAsSign(d, hn::Add(angle.n, Const(d, 1)));
    return LargeAngles(d, x, hn::Xor(size, sign), [](double lane) { return std::cos(lane); });
  }
};

template <bool kShort>
struct TanBy {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const auto angle = SinAndCosOf<kShort>(d, x);
    const auto odd = IsOdd(d, angle.n);
    const V top = hn::IfThenElse(odd, hn::Neg(angle.cos), angle.sin);
    const V ratio = hn::Div(top, hn::IfThenElse(odd, angle.sin, angle.cos));
    const V result = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), x, ratio);
    return LargeAngles(d, x, result, [](double lane) { return std::tan(lane); });
  }
};

struct Sin : SinBy<false> {
  static constexpr bool kInDouble = true;
  using ForFloats = SinBy<true>;
};

struct Cos : CosBy<false> {
  static constexpr bool kInDouble = true;
  using ForFloats = CosBy<true>;
};

struct Tan : TanBy<false> {
  static constexpr bool kInDouble = true;
  using ForFloats = TanBy<true>;
};

// fdlibm's (arcsin(x) - x) / x³ times x², as a function of x².
template <class D, class V>
HWY_INLINE V ArcsinSeries(D d, V z) {
  const V p = Polynomial(d, z, 1.66666666666666657415e-01, -3.25565818622400915405e-01,
                         2.01212532134862925881e-01, -4.00555345006794114027e-02,
                         7.91534994289814532176e-04, 3.47933107596021167570e-05);
  const V q = Polynomial(d, z, 1, -2.40339491173441421878e+00, 2.02094576023350569471e+00,
                         -6.88283971605453293030e-01, 7.70381505559019352791e-02);
  return hn::Div(hn::Mul(z, p), q);
}

inline constexpr double kHalfPi = 1.57079632679489655800e+00;
inline constexpr double kHalfPiTail = 6.12323399573676603587e-17;

// What Const(d, x) leaves of x + tail.
template <class D>
HWY_INLINE hn::Vec<D> TailOf(D d, double x, double tail) {
  return Const(d, (x - static_cast<double>(static_cast<LaneOf<D>>(x))) + tail);
}

// For |x| of at least 1/2 with z = (1 - |x|) / 2: arcsin of the root of z is root + rest.
template <class V>
struct ArcsinOfRoot {
  V root, rest;
};

template <class D, class V>
HWY_INLINE ArcsinOfRoot<V> LongArcsinOfRoot(D d, V z) {
  const V root = hn::Sqrt(z);
  const V upper = UpperHalf(d, root);
  const V tail = hn::Div(hn::NegMulAdd(upper, upper, z), hn::Add(root, upper));
  const V safe = hn::IfThenElseZero(hn::Gt(z, hn::Zero(d)), tail);
  return {upper, hn::MulAdd(root, ArcsinSeries(d, z), safe)};
}

struct Arcsin {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V size = hn::Abs(x);
    const auto small = hn::Lt(size, Const(d, 0.5));
    const V z = hn::Mul(hn::Sub(Const(d, 1), size), Const(d, 0.5));
    const auto arc = LongArcsinOfRoot(d, z);
    const V quarter = Const(d, kHalfPi / 2);
    const V p = hn::NegMulAdd(Const(d, 2), arc.rest, TailOf(d, kHalfPi, kHalfPiTail));
    const V q = hn::NegMulAdd(Const(d, 2), arc.root, quarter);
    const V large = hn::Add(quarter, hn::Add(p, q));
    const V near = hn::MulAdd(size, ArcsinSeries(d, hn::Mul(size, size)), size);
    return hn::CopySign(hn::IfThenElse(small, near, large), x);
  }
};

struct Arccos {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V size = hn::Abs(x);
    const V two = Const(d, 2);
    const auto negative = hn::Lt(x, hn::Zero(d));
    const V z = hn::Mul(hn::Sub(Const(d, 1), size), Const(d, 0.5));
    const auto arc = LongArcsinOfRoot(d, z);
    const V half = hn::Add(arc.root, arc.rest);
    const V far =
        hn::NegMulAdd(two, hn::Sub(half, TailOf(d, kHalfPi, kHalfPiTail)), Const(d, 2 * kHalfPi));
    const V large = hn::IfThenElse(negative, far, hn::Mul(two, half));
    const V series = ArcsinSeries(d, hn::Mul(x, x));
    const V rest = hn::NegMulAdd(x, series, TailOf(d, kHalfPi, kHalfPiTail));
    const V near = hn::Sub(Const(d, kHalfPi), hn::Sub(x, rest));
    return hn::IfThenElse(hn::Lt(size, Const(d, 0.5)), near, large);
  }
};

// arctan(numerator / denominator) + turn for a quotient from 0 up. fdlibm's: from 7/16, 11/16,
// 19/16 and 39/16 on, the arctangent of 1/2, 1, 3/2 or infinity is taken off, which leaves less
// than 7/16. `turn` comes in two parts.
template <class D, class V>
HWY_INLINE V ArctanOfSize(D d, V t) {
  V high = hn::Zero(d), low = hn::Zero(d), top = t, bottom = Const(d, 1);
  const auto from = [&](double begin, V new_top, V new_bottom, double angle, double tail) HWY_ATTR {
    const auto beyond = hn::Ge(t, Const(d, begin));
    top = hn::IfThenElse(beyond, new_top, top);
    bottom = hn::IfThenElse(beyond, new_bottom, bottom);
    high = hn::IfThenElse(beyond, Const(d, angle), high);
    low = hn::IfThenElse(beyond, TailOf(d, angle, tail), low);
  };
  const V one = Const(d, 1), two = Const(d, 2), middle = Const(d, 1.5);
  from(0.4375, hn::MulSub(two, t, one), hn::Add(two, t), 4.63647609000806093515e-01,
       2.26987774529616870924e-17);
  from(0.6875, hn::Sub(t, one), hn::Add(t, one), 7.85398163397448278999e-01,
       3.06161699786838301793e-17);
  from(1.1875, hn::Sub(t, middle), hn::MulAdd(middle, t, one), 9.82793723247329054082e-01,
       1.39033110312309984516e-17);
  from(2.4375, hn::Neg(one), t, kHalfPi, kHalfPiTail);
  const V x = hn::Div(top, bottom);
  const V z = hn::Mul(x, x);
  const V series = hn::Mul(z, Polynomial(d, z, 3.33333333333329318027e-01,
                                         -1.99999999998764832476e-01, 1.42857142725034663711e-01,
                                         -1.11111104054623557880e-01, 9.09088713343650656196e-02,
                                         -7.69187620504482999495e-02, 6.66107313738753120669e-02,
                                         -5.83357013379057348645e-02, 4.97687799461593236017e-02,
                                         -3.65315727442169155270e-02, 1.62858201153657823623e-02));
  return hn::Sub(high, hn::Sub(hn::MulSub(x, series, low), x));
}

struct Arctan {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::CopySign(ArctanOfSize(d, hn::Abs(x)), x);
  }
};

struct Arctan2 {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V y, V x) const {
    const V zero = hn::Zero(d), infinity = Infinity(d);
    const V height = hn::Abs(y), width = hn::Abs(x);
    const V quotient = hn::Div(height, width);
    const auto both_infinite = hn::And(hn::Eq(height, infinity), hn::Eq(width, infinity));
    const V known = hn::IfThenElse(both_infinite, Const(d, 1), quotient);
    const auto on_zero = hn::Eq(height, zero);  // also where x is zero
    const V t = hn::IfThenZeroElse(on_zero, known);
    const V first = ArctanOfSize(d, t);
    const V left =
        hn::Sub(Const(d, 2 * kHalfPi), hn::Sub(first, TailOf(d, 2 * kHalfPi, 2 * kHalfPiTail)));
    const auto is_left = Signbit(d, x);
    const V result = hn::CopySign(hn::IfThenElse(is_left, left, first), y);
    return hn::IfThenElse(hn::Or(hn::IsNaN(x), hn::IsNaN(y)), hn::Add(x, y), result);
  }

  template <class D, class V>
  static HWY_INLINE hn::Mask<D> Signbit(D d, V x) {
    return hn::Lt(hn::CopySign(Const(d, 1), x), hn::Zero(d));
  }
};

struct Angle {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V turned = hn::IfThenElseZero(Arctan2::Signbit(d, x), Const(d, 2 * kHalfPi));
    return hn::IfThenElse(hn::IsNaN(x), x, turned);
  }
  template <class D, class V>
  HWY_INLINE V operator()(D d, Pair<V> x) const {
    return Arctan2()(d, x.im, x.re);
  }
};

void Fill(Tables* tables) {
#define SPANFLOW_ROW(Name, ...) FillRow<Name, Op::k##Name>(tables);
  SPANFLOW_TRIGONOMETRY(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Trigonometry)
#endif
