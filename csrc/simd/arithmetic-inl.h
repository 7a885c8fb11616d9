// The functors of the arithmetic operations, one per row of SPANFLOW_ARITHMETIC. Compiled once per
// SIMD target.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed. Fails: never.
#if defined(SPANFLOW_SIMD_ARITHMETIC_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SPANFLOW_SIMD_ARITHMETIC_INL_H_
#undef SPANFLOW_SIMD_ARITHMETIC_INL_H_
#else
#define SPANFLOW_SIMD_ARITHMETIC_INL_H_
#endif

#include <cmath>
#include <limits>
#include <type_traits>

#include "simd/elementwise-inl.h"
#include "simd/hypot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

// The low half of the product. Highway 1.0.3 has no product of 8-bit lanes, and its one-lane
// target multiplies signed numbers.
template <class D, class V>
HWY_INLINE V MultiplyWrapping(D d, V a, V b) {
  using T = LaneOf<D>;
  static_assert(std::is_unsigned_v<T>);
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(d, static_cast<T>(uint64_t{hn::GetLane(a)} * hn::GetLane(b)));
#else
  if constexpr (sizeof(T) == 1) {
    const hn::Repartition<uint16_t, D> d16;
    const auto a16 = hn::BitCast(d16, a);
    const auto b16 = hn::BitCast(d16, b);
    const auto even = hn::And(hn::Mul(a16, b16), hn::Set(d16, 0xFF));
    const auto odd = hn::Mul(hn::ShiftRight<8>(a16), hn::AndNot(hn::Set(d16, 0xFF), b16));
    return hn::BitCast(d, hn::Or(even, odd));
  } else if constexpr (sizeof(T) == 8 && (HWY_TARGET > HWY_AVX3 || !HWY_ARCH_X86)) {
    const hn::Repartition<uint32_t, D> d32;
    const auto a32 = hn::BitCast(d32, a);
    const auto b32 = hn::BitCast(d32, b);
    const auto a_high = hn::BitCast(d32, hn::ShiftRight<32>(a));
    const auto b_high = hn::BitCast(d32, hn::ShiftRight<32>(b));
    const auto cross = hn::Add(hn::MulEven(a_high, b32), hn::MulEven(a32, b_high));
    return hn::Add(hn::MulEven(a32, b32), hn::ShiftLeft<32>(cross));
  } else {
    (void)d;
    return hn::Mul(a, b);
  }
#endif
}

struct Add {
  static constexpr Share kShare = Share::kSignless;
  static constexpr bool kByComponent = true;
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Add(a, b);
  }
  template <class D, class V>
  HWY_INLINE V OnBool(D, V a, V b) const {
    return hn::Or(a, b);
  }
};

struct Subtract {
  static constexpr Share kShare = Share::kSignless;
  static constexpr bool kByComponent = true;
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Sub(a, b);
  }
};

struct Multiply {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) {
      (void)d;
      return hn::Mul(a, b);
    } else {
      return MultiplyWrapping(d, a, b);
    }
  }
  template <class D, class V>
  HWY_INLINE V OnBool(D, V a, V b) const {
    return hn::And(a, b);
  }
  template <class D, class V>
  HWY_INLINE Pair<V> operator()(D, Pair<V> a, Pair<V> b) const {
    return {hn::Sub(hn::Mul(a.re, b.re), hn::Mul(a.im, b.im)),
            hn::Add(hn::Mul(a.re, b.im), hn::Mul(a.im, b.re))};
  }
};

struct Divide {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Div(a, b);
  }
  // Smith 1962, Algorithm 116: dividing by the larger part first keeps clear of overflow.
  template <class D, class V>
  HWY_INLINE Pair<V> operator()(D d, Pair<V> a, Pair<V> b) const {
    const auto one = hn::Set(d, LaneOf<D>(1));
    const auto re_size = hn::Abs(b.re);
    const auto im_size = hn::Abs(b.im);
    const auto swap = hn::Lt(re_size, im_size);  // false with a NaN, which then spreads by itself
    const V large = hn::IfThenElse(swap, b.im, b.re);
    const V small = hn::IfThenElse(swap, b.re, b.im);
    const V ratio = hn::Div(small, large);
    const V scale = hn::Div(one, hn::Add(large, hn::Mul(small, ratio)));
    const V x = hn::IfThenElse(swap, a.im, a.re);
    const V y = hn::IfThenElse(swap, a.re, a.im);
    const V re = hn::Mul(hn::Add(x, hn::Mul(y, ratio)), scale);
    const V im = hn::Mul(hn::Sub(y, hn::Mul(x, ratio)), scale);
    // The two forms of the imaginary part differ in sign. Each is written so that zeros come out
    // with the sign that its own formula gives.
    const V im_swapped = hn::Mul(hn::Sub(hn::Mul(x, ratio), y), scale);
    const auto zero = hn::And(hn::Eq(re_size, hn::Zero(d)), hn::Eq(im_size, hn::Zero(d)));
    return {hn::IfThenElse(zero, hn::Div(a.re, re_size), re),
            hn::IfThenElse(zero, hn::Div(a.im, re_size), hn::IfThenElse(swap, im_swapped, im))};
  }
};

// One rounding on every target: where the instruction is missing, lane by lane in the library.
struct Fma {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b, V c) const {
#if HWY_NATIVE_FMA
    (void)d;
    return hn::MulAdd(a, b, c);
#else
    using T = LaneOf<D>;
    return EachLane(
        d, [](T x, T y, T z) { return std::fma(x, y, z); }, a, b, c);
#endif
  }
};

// The smaller or larger of two, a where they are equal, of which b is no NaN; NaN where a is NaN.
// The instruction takes its second operand where the two are equal or one of them is NaN.
#define SPANFLOW_MIN_TAKES_SECOND (HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR)

struct MinimumBounded {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    if constexpr (SPANFLOW_MIN_TAKES_SECOND) return hn::Min(b, a);
    return hn::IfThenElse(hn::Lt(b, a), b, a);
  }
};

struct MaximumBounded {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    if constexpr (SPANFLOW_MIN_TAKES_SECOND) return hn::Max(b, a);
    return hn::IfThenElse(hn::Gt(b, a), b, a);
  }
};

#undef SPANFLOW_MIN_TAKES_SECOND

// A functor with a member type Bounded has that as its shorter form for floats where all operands
// but the first are no NaN.
struct Minimum {
  using Bounded = MinimumBounded;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) {
      return hn::IfThenElse(hn::IsNaN(b), b, Bounded()(d, a, b));
    } else {
      return hn::Min(a, b);
    }
  }
};

struct Maximum {
  using Bounded = MaximumBounded;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) {
      return hn::IfThenElse(hn::IsNaN(b), b, Bounded()(d, a, b));
    } else {
      return hn::Max(a, b);
    }
  }
};

// As Minimum and Maximum, but a NaN is taken only where both are NaN.
struct Fmin {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) {
      return hn::IfThenElse(hn::Or(hn::Le(a, b), hn::IsNaN(b)), a, b);
    } else {
      return Minimum()(d, a, b);
    }
  }
};

struct Fmax {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) {
      return hn::IfThenElse(hn::Or(hn::Ge(a, b), hn::IsNaN(b)), a, b);
    } else {
      return Maximum()(d, a, b);
    }
  }
};

struct ClipBounded {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V lower, V upper) const {
    return MinimumBounded()(d, MaximumBounded()(d, x, lower), upper);
  }
};

struct Clip {
  using Bounded = ClipBounded;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V lower, V upper) const {
    return Minimum()(d, Maximum()(d, x, lower), upper);
  }
};

struct Negative {
  static constexpr Share kShare = Share::kSignless;
  static constexpr bool kByComponent = true;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) {
      return hn::Xor(a, hn::SignBit(d));
    } else {
      return hn::Sub(hn::Zero(d), a);
    }
  }
};

struct Absolute {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a) const {
    if constexpr (std::is_unsigned_v<LaneOf<D>>) {
      return a;
    } else {
      return hn::Abs(a);
    }
  }
  template <class D, class V>
  HWY_INLINE V operator()(D d, Pair<V> a) const {
    return Hypot(d, a.re, a.im);
  }
};

struct Relu {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) {
      return MaximumBounded()(d, a, hn::Zero(d));
    } else {
      return Maximum()(d, a, hn::Zero(d));
    }
  }
};

struct Square {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class Operand>
  HWY_INLINE Operand operator()(D d, Operand a) const {
    return Multiply()(d, a, a);
  }
};

// An integer has a whole inverse only if it is 1 or -1; that of 0 is 0, as in every division.
struct Reciprocal {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a) const {
    using T = LaneOf<D>;
    const V one = hn::Set(d, T(1));
    if constexpr (hwy::IsFloat<T>()) {
      return hn::Div(one, a);
    } else if constexpr (std::is_unsigned_v<T>) {
      return hn::IfThenElseZero(hn::Eq(a, one), a);
    } else {
      return hn::IfThenElseZero(hn::Or(hn::Eq(a, one), hn::Eq(a, hn::Set(d, T(-1)))), a);
    }
  }
  // Smith 1962, as in Divide.
  template <class D, class V>
  HWY_INLINE Pair<V> operator()(D d, Pair<V> a) const {
    const V one = hn::Set(d, LaneOf<D>(1));
    const auto swap = hn::Not(hn::Le(hn::Abs(a.im), hn::Abs(a.re)));
    const V large = hn::IfThenElse(swap, a.im, a.re);
    const V ratio = hn::Div(hn::IfThenElse(swap, a.re, a.im), large);
    const V scale = hn::Add(large, hn::Mul(hn::IfThenElse(swap, a.re, a.im), ratio));
    const V part = hn::Div(one, scale);
    const V other = hn::Div(ratio, scale);
    return {hn::IfThenElse(swap, other, part),
            hn::Xor(hn::IfThenElse(swap, part, other), hn::SignBit(d))};
  }
};

struct Sqrt {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a) const {
    return hn::Sqrt(a);
  }
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
