// Exponentials, logarithms, powers and what is made of them, one functor per row of
// SPANFLOW_EXPONENTIAL.
#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/exponential.cc"
#include <cmath>
#include <type_traits>

#include "hwy/foreach_target.h"
#include "simd/elementwise-inl.h"
#include "simd/hypot-inl.h"
#include "simd/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

struct Exp {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return ExpShifted(d, x, 0);
  }
};

struct Exp2 {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    constexpr bool kSingle = sizeof(LaneOf<D>) == 4;
    const V within = Clamp(d, x, kSingle ? -151 : -1076, kSingle ? 129 : 1025);
    const V n = hn::Round(within);
    const V r = hn::Mul(hn::Sub(within, n), Const(d, 0.693147180559945309417));
    const V power = hn::Add(Const(d, 1), ExpMinusOneOfReduced(d, r, hn::Zero(d)));
    return hn::IfThenElse(hn::IsNaN(x), x, TimesPowerOfTwo(d, power, n));
  }
};

struct Expm1 {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return ExpMinusOne(d, x);
  }
};

struct Log {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return LogOf(d, x);
  }
};

// log2 and log10 of 1 + f with some ten more bits (fdlibm): f - half + rest is cut into a short
// number, whose product with the upper half of the factor is exact, and what is left.
struct LongLog {
  double factor_high, factor_low;  // 1 / log(base)
  double two_high, two_low;        // log2 or log10 of two

  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const auto split = SplitExponent(d, x);
    const V f = hn::Sub(split.mantissa, Const(d, 1));
    const auto series = SeriesOfLog(d, f);
    const V high = UpperHalf(d, hn::Sub(f, series.half));
    const V low = hn::Add(hn::Sub(hn::Sub(f, high), series.half), series.rest);
    const V value = hn::Mul(high, Const(d, factor_high));
    const V rest =
        hn::MulAdd(hn::Add(low, high), Const(d, factor_low), hn::Mul(low, Const(d, factor_high)));
    const V whole = hn::Mul(split.exponent, Const(d, two_high));
    const V sum = hn::Add(whole, value);
    const V lost = hn::Add(hn::Sub(whole, sum), value);
    const V tail = hn::Add(hn::MulAdd(split.exponent, Const(d, two_low), rest), lost);
    return LogAtTheEdges(d, x, hn::Add(sum, tail));
  }
};

struct Log2 {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    constexpr LongLog kDouble = {1.44269504072144627571e+00, 1.67517131648865118353e-10, 1, 0};
    constexpr LongLog kSingle = {1.4428710938e+00, -1.7605285393e-04, 1, 0};
    return (sizeof(LaneOf<D>) == 4 ? kSingle : kDouble)(d, x);
  }
};

struct Log10 {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    constexpr LongLog kDouble = {4.34294481878168880939e-01, 2.50829467116452752298e-11,
                                 3.01029995663611771306e-01, 3.69423907715893078616e-13};
    constexpr LongLog kSingle = {4.3432617188e-01, -3.1689971365e-05, 3.0102920532e-01,
                                 7.9034151668e-07};
    return (sizeof(LaneOf<D>) == 4 ? kSingle : kDouble)(d, x);
  }
};

struct Log1p {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return LogOfOnePlus(d, x);
  }
};

// ---- powers ----

// A number as the sum of two, of which the second is below the last place of the first.
template <class V>
struct Long {
  V high, low;
};

// Where |a| is at least |b|, or a is zero (Dekker 1971).
template <class V>
HWY_INLINE Long<V> LongSum(V a, V b) {
  const V sum = hn::Add(a, b);
  return {sum, hn::Sub(b, hn::Sub(sum, a))};
}

template <class D, class V>
HWY_INLINE Long<V> LongProduct(D d, V a, V b) {
  const V product = hn::Mul(a, b);
#if HWY_NATIVE_FMA
  (void)d;
  return {product, hn::MulSub(a, b, product)};
#else
  // Veltkamp's splitting into halves whose products are exact.
  const auto upper = [d](V x) HWY_ATTR {
    const V scaled = hn::Mul(x, Const(d, 0x1p27 + 1));
    return hn::Sub(scaled, hn::Sub(scaled, x));
  };
  const V a1 = upper(a), b1 = upper(b);
  const V a2 = hn::Sub(a, a1), b2 = hn::Sub(b, b1);
  const V cross = hn::Add(hn::Sub(hn::Mul(a1, b1), product), hn::Mul(a1, b2));
  return {product, hn::Add(hn::Add(cross, hn::Mul(a2, b1)), hn::Mul(a2, b2))};
#endif
}

template <class D, class V>
HWY_INLINE Long<V> LongProduct(D d, Long<V> a, Long<V> b) {
  const Long<V> product = LongProduct(d, a.high, b.high);
  const V cross = hn::MulAdd(a.high, b.low, hn::Mul(a.low, b.high));
  return LongSum(product.high, hn::Add(product.low, cross));
}

// 2 artanh((m - 1) / (m + 1)) = log(m) with some 65 bits, for m in [sqrt(1/2), sqrt(2)): the series
// 2s (1 + s²/3 + s⁴/5 + …) is long in its first two terms and short in the others.
template <class D, class V>
HWY_INLINE Long<V> LongLogOfMantissa(D d, V m) {
  const V one = Const(d, 1), two = Const(d, 2);
  const V top = hn::Sub(m, one);
  const Long<V> bottom = LongSum(hn::Max(one, m), hn::Min(one, m));
  const V quotient = hn::Div(top, bottom.high);
  const Long<V> back = LongProduct(d, quotient, bottom.high);
  const V rest = hn::NegMulAdd(quotient, bottom.low, hn::Sub(hn::Sub(top, back.high), back.low));
  const Long<V> s = LongSum(quotient, hn::Div(rest, bottom.high));
  const Long<V> z = LongProduct(d, s, s);
  const V far = Polynomial(d, z.high, 1. / 5, 1. / 7, 1. / 9, 1. / 11, 1. / 13, 1. / 15, 1. / 17,
                           1. / 19, 1. / 21, 1. / 23, 1. / 25);
  const Long<V> third = {Const(d, 1. / 3), Const(d, 1. / 3 * 0x1p-54)};
  const Long<V> second = LongProduct(d, z, third);
  const Long<V> near = LongSum(one, second.high);
  const V tail = hn::MulAdd(hn::Mul(z.high, z.high), far, hn::Add(near.low, second.low));
  const Long<V> twice = {hn::Mul(two, s.high), hn::Mul(two, s.low)};
  return LongProduct(d, twice, LongSum(near.high, tail));
}

// log(x) for x above 0 and finite.
template <class D, class V>
HWY_INLINE Long<V> LongLogOf(D d, V x) {
  const auto split = SplitExponent(d, x);
  const Long<V> log = LongLogOfMantissa(d, split.mantissa);
  // ln 2 in two parts, of which the product with the first is exact.
  const V whole = hn::Mul(split.exponent, Const(d, 6.93147180369123816490e-01));
  const Long<V> part = LongProduct(d, split.exponent, Const(d, 1.90821492927058770002e-10));
  const Long<V> first = LongSum(whole, log.high);
  const Long<V> sum = LongSum(first.high, part.high);
  const V low = hn::Add(sum.low, hn::Add(first.low, hn::Add(part.low, log.low)));
  return LongSum(sum.high, low);
}

// Integers wrap as in repeated multiplication; that no exponent is below zero is the caller's to
// see.
template <class T>
HWY_INLINE T IntegerPower(T base, T exponent) {
  using Wide = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  Wide result = 1, square = static_cast<Wide>(base);
  for (auto left = static_cast<Wide>(static_cast<BitsOf<T>>(exponent)); left != 0; left >>= 1) {
    if ((left & 1) != 0) result *= square;
    square *= square;
  }
  return static_cast<T>(result);
}

// exp(y log x) in float64 is exact enough for float32.
struct ShortPower {
  template <class D, class V>
  static HWY_INLINE V OfPositive(D d, V x, V y) {
    return ExpShifted(d, hn::Mul(Clamp(d, y, -0x1p65, 0x1p65), LogOf(d, x)), 0);
  }
};

// The product y log x needs more bits than float64 has, so that exp can be rounded well.
struct LongPower {
  // For x above 0 and finite. An exponent of 2^65 takes every x but 1 out of range.
  template <class D, class V>
  static HWY_INLINE V OfPositive(D d, V x, V y) {
    const V exponent = Clamp(d, y, -0x1p65, 0x1p65);
    const Long<V> log = LongLogOf(d, x);
    const Long<V> product = LongProduct(d, {exponent, hn::Zero(d)}, log);
    const V within = Clamp(d, product.high, kExpLowest<D>, kExpHighest<D>);
    const V tail = hn::IfThenElseZero(hn::Eq(within, product.high), product.low);
    const auto reduced = ReduceExponent(d, within);
    // The tail is too large here to be added to first order: it counts exp(r) times.
    const V times = Polynomial(d, reduced.r, 1, 1, 1. / 2, 1. / 6, 1. / 24);
    const V rest = hn::MulAdd(tail, times, reduced.tail);
    const V small = ExpMinusOneOfReduced(d, reduced.r, rest);
    return TimesPowerOfTwo(d, hn::Add(Const(d, 1), small), reduced.n);
  }
};

template <class Method>
struct PowerBy {
  // The cases of C's pow, to which NumPy keeps.
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    const V zero = hn::Zero(d), one = Const(d, 1), infinity = Infinity(d);
    const V size = hn::Abs(x);
    const auto at_end = hn::Or(hn::Eq(size, zero), hn::Eq(size, infinity));
    const auto outside = hn::Or(at_end, hn::IsNaN(x));
    const V inner = Method::OfPositive(d, hn::IfThenElse(outside, one, size), y);
    const auto grows = hn::Xor(hn::Eq(size, zero), hn::Gt(y, zero));
    const V power = hn::IfThenElse(at_end, hn::IfThenElseZero(grows, infinity), inner);

    const V half = hn::Mul(y, Const(d, 0.5));
    const auto whole = hn::Eq(y, hn::Floor(y));
    const auto odd = hn::AndNot(hn::Eq(half, hn::Floor(half)), whole);
    const auto minus = hn::Lt(hn::CopySign(one, x), zero);
    const V with_sign = hn::IfThenElse(hn::And(minus, odd), hn::Neg(power), power);
    const auto undefined = hn::And(hn::AndNot(at_end, minus), hn::Not(whole));
    const auto unknown = hn::Or(hn::Or(hn::IsNaN(x), hn::IsNaN(y)), undefined);
    const V result = hn::IfThenElse(unknown, NotANumber(d), with_sign);
    return hn::IfThenElse(hn::Or(hn::Eq(x, one), hn::Eq(y, zero)), one, result);
  }
};

struct Power {
  static constexpr bool kInDouble = true;
  using ForFloats = PowerBy<ShortPower>;

  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    using T = LaneOf<D>;
    if constexpr (hwy::IsFloat<T>()) {
      return PowerBy<LongPower>()(d, x, y);
    } else {
      return EachLane(
          d, [](T base, T exponent) { return IntegerPower(base, exponent); }, x, y);
    }
  }
};

struct Rsqrt {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Div(Const(d, 1), hn::Sqrt(x));
  }
};

// fdlibm's cube root.
struct Cbrt {
  static constexpr bool kInDouble = true;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const hn::RebindToSigned<D> di;
    const hn::RebindToUnsigned<D> du;
    const V size = hn::Abs(x);
    const auto tiny = hn::Lt(size, Const(d, std::numeric_limits<double>::min()));
    const V a = hn::IfThenElse(tiny, hn::Mul(size, Const(d, 0x1p54)), size);
    // A third of the exponent and of what follows it is a root to five bits.
    const V shifter = Const(d, kShifter<D>);
    const auto upper = hn::BitCast(di, hn::ShiftRight<32>(hn::BitCast(du, a)));
    const V bits = hn::Sub(hn::BitCast(d, hn::Add(upper, hn::BitCast(di, shifter))), shifter);
    const V third = hn::Floor(hn::MulAdd(bits, Const(d, 1. / 3), Const(d, 715094163)));
    V t = hn::BitCast(d, hn::ShiftLeft<32>(hn::BitCast(di, hn::Add(third, shifter))));
    // A polynomial in t³ / a gives 23 bits, one step of Newton's (Halley's) method the others.
    const V r = hn::Mul(hn::Mul(t, t), hn::Div(t, a));
    t = UpperHalf(d, hn::Mul(t, Polynomial(d, r, 1.87595182427177009643, -1.88497979543377169875,
                                           1.621429720105354466140, -0.758397934778766047437,
                                           0.145996192886612446982)));
    const V q = hn::Div(a, hn::Mul(t, t));
    const V root = hn::MulAdd(t, hn::Div(hn::Sub(q, t), hn::Add(hn::Add(t, t), q)), t);
    const V scaled = hn::IfThenElse(tiny, hn::Mul(root, Const(d, 0x1p-18)), root);
    const auto plain = hn::And(hn::IsFinite(x), hn::Gt(size, hn::Zero(d)));
    return hn::IfThenElse(plain, hn::CopySign(scaled, x), hn::Add(x, x));
  }
};

struct Hypot {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return HWY_NAMESPACE::Hypot(d, a, b);
  }
};

// Half of e + e / (e + 1) with e = exp(|x|) - 1.
struct Sinh {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V size = hn::Abs(x);
    const V small = ExpMinusOne(d, size);
    const V inverse = hn::Div(small, hn::Add(small, Const(d, 1)));
    const V sum = hn::Mul(Const(d, 0.5), hn::Add(small, inverse));
    const V result = hn::IfThenElse(hn::Gt(size, Const(d, 22)), ExpShifted(d, size, -1), sum);
    return hn::CopySign(result, x);
  }
};

struct Cosh {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V half = ExpShifted(d, hn::Abs(x), -1);
    return hn::Add(half, hn::Div(Const(d, 0.25), half));
  }
};

struct Tanh {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V small = ExpMinusOne(d, hn::Mul(hn::Abs(x), Const(d, -2)));
    const V size = hn::Div(small, hn::Add(small, Const(d, 2)));
    return hn::CopySign(size, x);
  }
};

// log(2 a) of the sum that the inverse hyperbolic functions take the logarithm of, where a square
// would be out of range.
template <class D, class V>
HWY_INLINE V LogOfSum(D d, V size, V rest) {
  const auto large = hn::Gt(size, Const(d, 0x1p60));
  const V log = LogOfOnePlus(d, hn::IfThenElse(large, size, rest));
  return hn::Add(log, hn::IfThenElseZero(large, Const(d, 0.693147180559945309417)));
}

struct Arcsinh {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V size = hn::Abs(x);
    const V square = hn::Mul(x, x);
    const V root = hn::Sqrt(hn::Add(square, Const(d, 1)));
    const V rest = hn::Add(size, hn::Div(square, hn::Add(root, Const(d, 1))));
    return hn::CopySign(LogOfSum(d, size, rest), x);
  }
};

struct Arccosh {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V above = hn::Sub(x, Const(d, 1));
    const V root = hn::Sqrt(hn::MulAdd(above, above, hn::Add(above, above)));
    const V result = LogOfSum(d, x, hn::Add(above, root));
    return hn::IfThenElse(hn::Lt(x, Const(d, 1)), NotANumber(d), result);
  }
};

struct Arctanh {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V size = hn::Abs(x);
    const V ratio = hn::Div(hn::Add(size, size), hn::Sub(Const(d, 1), size));
    return hn::CopySign(hn::Mul(Const(d, 0.5), LogOfOnePlus(d, ratio)), x);
  }
};

// The power never overflows: it is that of -|x|.
struct Sigmoid {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V power = ExpShifted(d, hn::Neg(hn::Abs(x)), 0);
    const V numerator = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), power, Const(d, 1));
    return hn::Div(numerator, hn::Add(Const(d, 1), power));
  }
};

// fdlibm's error function: four intervals, a quotient of polynomials in each.
struct Erf {
  static constexpr bool kInDouble = true;

  template <class D, class V>
  static HWY_INLINE V NearZero(D d, V x) {
    const V z = hn::Mul(x, x);
    const V p = Polynomial(d, z, 1.28379167095512558561e-01, -3.25042107247001499370e-01,
                           -2.84817495755985104766e-02, -5.77027029648944159157e-03,
                           -2.37630166566501626084e-05);
    const V q = Polynomial(d, z, 1, 3.97917223959155352819e-01, 6.50222499887672944485e-02,
                           5.08130628187576562776e-03, 1.32494738004321644526e-04,
                           -3.96022827877536812320e-06);
    return hn::MulAdd(x, hn::Div(p, q), x);
  }

  template <class D, class V>
  static HWY_INLINE V NearOne(D d, V x) {
    const V s = hn::Sub(x, Const(d, 1));
    const V p = Polynomial(d, s, -2.36211856075265944077e-03, 4.14856118683748331666e-01,
                           -3.72207876035701323847e-01, 3.18346619901161753674e-01,
                           -1.10894694282396677476e-01, 3.54783043256182359371e-02,
                           -2.16637559486879084300e-03);
    const V q = Polynomial(d, s, 1, 1.06420880400844228286e-01, 5.40397917702171048937e-01,
                           7.18286544141962662868e-02, 1.26171219808761642112e-01,
                           1.36370839120290507362e-02, 1.19844998467991074170e-02);
    return hn::Add(Const(d, 8.45062911510467529297e-01), hn::Div(p, q));
  }

  // 1 - exp(-x² - 0.5625 + R) / x. The square of the upper half of x is exact.
  template <class D, class V>
  static HWY_INLINE V FromTail(D d, V x, V quotient) {
    const V z = UpperHalf(d, x);
    const V first = ExpShifted(d, hn::NegMulSub(z, z, Const(d, 0.5625)), 0);
    const V second = ExpShifted(d, hn::MulAdd(hn::Sub(z, x), hn::Add(z, x), quotient), 0);
    return hn::Sub(Const(d, 1), hn::Div(hn::Mul(first, second), x));
  }

  template <class D, class V>
  static HWY_INLINE V Far(D d, V x) {
    const V s = hn::Div(Const(d, 1), hn::Mul(x, x));
    const V r_near = Polynomial(d, s, -9.86494403484714822705e-03, -6.93858572707181764372e-01,
                                -1.05586262253232909814e+01, -6.23753324503260060396e+01,
                                -1.62396669462573470355e+02, -1.84605092906711035994e+02,
                                -8.12874355063065934246e+01, -9.81432934416914548592e+00);
    const V s_near = Polynomial(d, s, 1, 1.96512716674392571292e+01, 1.37657754143519042600e+02,
                                4.34565877475229228821e+02, 6.45387271733267880336e+02,
                                4.29008140027567833386e+02, 1.08635005541779435134e+02,
                                6.57024977031928170135e+00, -6.04244152148580987438e-02);
    const V r_far = Polynomial(d, s, -9.86494292470009928597e-03, -7.99283237680523006574e-01,
                               -1.77579549177547519889e+01, -1.60636384855821916062e+02,
                               -6.37566443368389627722e+02, -1.02509513161107724954e+03,
                               -4.83519191608651397019e+02);
    const V s_far = Polynomial(d, s, 1, 3.03380607434824582924e+01, 3.25792512996573918826e+02,
                               1.53672958608443695994e+03, 3.19985821950859553908e+03,
                               2.55305040643316442583e+03, 4.74528541206955367215e+02,
                               -2.24409524465858183362e+01);
    const auto near = hn::Lt(x, Const(d, 1 / 0.35));
    return FromTail(
        d, x, hn::Div(hn::IfThenElse(near, r_near, r_far), hn::IfThenElse(near, s_near, s_far)));
  }

  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    const V size = hn::Min(hn::Abs(x), Const(d, 6));  // from there on it is 1
    const V middle =
        hn::IfThenElse(hn::Lt(size, Const(d, 0.84375)), NearZero(d, size), NearOne(d, size));
    const V result = hn::IfThenElse(hn::Lt(size, Const(d, 1.25)), middle, Far(d, size));
    return hn::IfThenElse(hn::IsNaN(x), x, hn::CopySign(result, x));
  }
};

void Fill(Tables* tables) {
#define SPANFLOW_ROW(Name, ...) FillRow<Name, Op::k##Name>(tables);
  SPANFLOW_EXPONENTIAL(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Exponential)
#endif
