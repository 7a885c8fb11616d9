// The functors of division with a whole quotient and of shifts, one per row of SPANFLOW_INTEGER.
#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/integer.cc"
#include <cmath>
#include <type_traits>

#include "hwy/foreach_target.h"
#include "simd/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

// Instruction sets have no division of integers, so these go lane by lane. A divisor of 0 or -1,
// which would trap, is replaced by 1; what it gives is known.
template <class T>
struct Quotient {
  T quotient, rest;  // as in C: cut towards zero, the rest has the sign of the dividend
};

template <class T>
HWY_INLINE Quotient<T> Divide(T a, T b) {
  const bool by_minus_one = std::is_signed_v<T> && b == static_cast<T>(-1);
  if (b == 0) return {0, 0};
  if (by_minus_one) return {static_cast<T>(0 - static_cast<BitsOf<T>>(a)), 0};
  return {static_cast<T>(a / b), static_cast<T>(a % b)};
}

// Whether cutting towards zero was not cutting downwards.
template <class T>
HWY_INLINE bool CutUpwards(T rest, T b) {
  return rest != 0 && (rest < 0) != (b < 0);
}

// The rest has no rounding error: it is found exactly by the library where a fused product cannot
// find it. Quotients below 2^(mantissa bits - 1) are at most one too large, which shows in the
// sign of the rest.
template <class D, class V>
HWY_INLINE V FloatRest(D d, V a, V b) {
  using T = LaneOf<D>;
#if HWY_NATIVE_FMA
  constexpr double kExact = sizeof(T) == 4 ? 0x1p22 : 0x1p51;
  const V size_a = hn::Abs(a), size_b = hn::Abs(b);
  const V quotient = hn::Trunc(hn::Div(size_a, size_b));
  const auto large = hn::Ge(quotient, hn::Set(d, static_cast<T>(kExact)));
  const auto has_rest = hn::And(hn::IsFinite(a), hn::Gt(size_b, hn::Zero(d)));
  if (hn::AllFalse(d, hn::And(large, has_rest))) {
    const V rest = hn::NegMulAdd(quotient, size_b, size_a);
    const V fixed = hn::IfThenElse(hn::Lt(rest, hn::Zero(d)), hn::Add(rest, size_b), rest);
    return hn::CopySign(hn::IfThenElse(hn::Lt(size_a, size_b), size_a, fixed), a);
  }
#endif
  return EachLane(
      d, [](T x, T y) { return std::fmod(x, y); }, a, b);
}

struct Fmod {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    using T = LaneOf<D>;
    if constexpr (hwy::IsFloat<T>()) {
      return FloatRest(d, a, b);
    } else {
      return EachLane(
          d, [](T x, T y) { return Divide(x, y).rest; }, a, b);
    }
  }
};

// Where the sign of a rest differs from the divisor's, the divisor is added. A rest of zero takes
// the sign of the divisor.
template <class D, class V>
HWY_INLINE V WithSignOf(D d, V rest, V b) {
  const V zero = hn::Zero(d);
  const auto differs = hn::Xor(hn::Lt(rest, zero), hn::Lt(b, zero));
  const V moved = hn::IfThenElse(differs, hn::Add(rest, b), rest);
  return hn::IfThenElse(hn::Eq(rest, zero), hn::CopySign(zero, b), moved);
}

struct Remainder {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    using T = LaneOf<D>;
    if constexpr (hwy::IsFloat<T>()) {
      return WithSignOf(d, FloatRest(d, a, b), b);
    } else {
      const auto lane = [](T x, T y) {
        const T rest = Divide(x, y).rest;
        return CutUpwards(rest, y) ? static_cast<T>(rest + y) : rest;
      };
      return EachLane(d, lane, a, b);
    }
  }
};

struct FloorDivide {
  // As CPython's and NumPy's: the quotient of what remains without the rest is nearly whole.
  template <class D, class V>
  HWY_INLINE V Floats(D d, V a, V b) const {
    using T = LaneOf<D>;
    const V zero = hn::Zero(d), one = hn::Set(d, T(1)), half = hn::Set(d, T(0.5));
    const V rest = FloatRest(d, a, b);
    const V whole = hn::Div(hn::Sub(a, rest), b);
    const auto upwards =
        hn::And(hn::Not(hn::Eq(rest, zero)), hn::Xor(hn::Lt(rest, zero), hn::Lt(b, zero)));
    const V below = hn::IfThenElse(upwards, hn::Sub(whole, one), whole);
    const V floor = hn::Floor(below);
    const V nearest =
        hn::IfThenElse(hn::Gt(hn::Sub(below, floor), half), hn::Add(floor, one), floor);
    const V ratio = hn::Div(a, b);
    const V result = hn::IfThenElse(hn::Eq(below, zero), hn::CopySign(zero, ratio), nearest);
    return hn::IfThenElse(hn::Eq(b, zero), ratio, result);
  }

  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    using T = LaneOf<D>;
    if constexpr (hwy::IsFloat<T>()) {
      return Floats(d, a, b);
    } else {
      const auto lane = [](T x, T y) {
        const Quotient<T> cut = Divide(x, y);
        return CutUpwards(cut.rest, y) ? static_cast<T>(cut.quotient - 1) : cut.quotient;
      };
      return EachLane(d, lane, a, b);
    }
  }
};

// A count outside of [0, width), which the instructions do not agree about, shifts everything out.
template <class T>
HWY_INLINE bool ShiftsWithin(T count) {
  return static_cast<BitsOf<T>>(count) < sizeof(T) * 8;
}

struct LeftShift {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    using T = LaneOf<D>;
    const auto lane = [](T x, T count) {
      const auto wide = static_cast<std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>>(x);
      return ShiftsWithin(count) ? static_cast<T>(wide << count) : T{0};
    };
    return EachLane(d, lane, a, b);
  }
};

struct RightShift {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    using T = LaneOf<D>;
    const auto lane = [](T x, T count) {
      const T out = std::is_signed_v<T> && x < 0 ? static_cast<T>(-1) : T{0};
      return ShiftsWithin(count) ? static_cast<T>(x >> count) : out;
    };
    return EachLane(d, lane, a, b);
  }
};

void Fill(Tables* tables) {
#define SPANFLOW_ROW(Name, ...) FillRow<Name, Op::k##Name>(tables);
  SPANFLOW_INTEGER(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Integer)
#endif
