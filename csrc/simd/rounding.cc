// The functors of rounding, signs and parts of numbers, one per row of SPANFLOW_ROUNDING.
#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/rounding.cc"
#include <limits>

#include "hwy/foreach_target.h"
#include "simd/elementwise-inl.h"
#include "simd/hypot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

// What is rounded keeps its sign, also where it becomes zero; the one-lane target of Highway 1.0.3
// forgets that.
struct Floor {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE V operator()(D, V a) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) return hn::CopySign(hn::Floor(a), a);
    if constexpr (!hwy::IsFloat<LaneOf<D>>()) return a;
  }
};

struct Ceil {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE V operator()(D, V a) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) return hn::CopySign(hn::Ceil(a), a);
    if constexpr (!hwy::IsFloat<LaneOf<D>>()) return a;
  }
};

struct Trunc {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE V operator()(D, V a) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) return hn::CopySign(hn::Trunc(a), a);
    if constexpr (!hwy::IsFloat<LaneOf<D>>()) return a;
  }
};

struct Rint {
  static constexpr bool kByComponent = true;
  template <class D, class V>
  HWY_INLINE V operator()(D, V a) const {
    return hn::CopySign(hn::Round(a), a);
  }
};

struct Sign {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a) const {
    using T = LaneOf<D>;
    const V positive = hn::IfThenElseZero(hn::Gt(a, hn::Zero(d)), hn::Set(d, T(1)));
    if constexpr (std::is_unsigned_v<T>) {
      return positive;
    } else {
      const V sign = hn::IfThenElse(hn::Lt(a, hn::Zero(d)), hn::Set(d, T(-1)), positive);
      if constexpr (hwy::IsFloat<T>()) return hn::IfThenElse(hn::IsNaN(a), a, sign);
      if constexpr (!hwy::IsFloat<T>()) return sign;
    }
  }
  // An infinite size leaves the direction of the real axis or, if that part is finite, of the
  // imaginary one; two infinite parts leave none.
  template <class D, class V>
  HWY_INLINE Pair<V> operator()(D d, Pair<V> a) const {
    using T = LaneOf<D>;
    const V zero = hn::Zero(d), one = hn::Set(d, T(1));
    const V nan = hn::Set(d, std::numeric_limits<T>::quiet_NaN());
    const V size = Hypot(d, a.re, a.im);
    const auto infinite = hn::IsInf(size), along_re = hn::IsInf(a.re);
    const V divisor = hn::IfThenElse(hn::Eq(size, zero), one, size);
    const V re_unit = hn::IfThenElseZero(along_re, hn::CopySign(one, a.re));
    const V im_unit = hn::IfThenZeroElse(along_re, hn::CopySign(one, a.im));
    const auto none = hn::Or(hn::IsNaN(size), hn::And(along_re, hn::IsInf(a.im)));
    const auto pick = [&](V part, V unit) HWY_ATTR {
      const V finite = hn::IfThenZeroElse(hn::Eq(size, zero), hn::Div(part, divisor));
      return hn::IfThenElse(none, nan, hn::IfThenElse(infinite, unit, finite));
    };
    return {pick(a.re, re_unit), pick(a.im, im_unit)};
  }
};

struct Copysign {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::CopySign(a, b);
  }
};

struct Signbit {
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D d, V a) const {
    using T = LaneOf<D>;
    if constexpr (hwy::IsFloat<T>()) {
      const hn::RebindToSigned<D> di;
      return hn::RebindMask(d, hn::Lt(hn::BitCast(di, a), hn::Zero(di)));
    } else {
      return hn::Lt(a, hn::Zero(d));
    }
  }
};

struct Isnan {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D, V a) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) {
      return hn::IsNaN(a);
    } else {
      return hn::Ne(a, a);
    }
  }
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D d, Pair<V> a) const {
    return hn::Or((*this)(d, a.re), (*this)(d, a.im));
  }
};

struct Isinf {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D, V a) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) {
      return hn::IsInf(a);
    } else {
      return hn::Ne(a, a);
    }
  }
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D d, Pair<V> a) const {
    return hn::Or((*this)(d, a.re), (*this)(d, a.im));
  }
};

struct Isfinite {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D, V a) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) {
      return hn::IsFinite(a);
    } else {
      return hn::Eq(a, a);
    }
  }
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D d, Pair<V> a) const {
    return hn::And((*this)(d, a.re), (*this)(d, a.im));
  }
};

struct Positive {
  static constexpr Share kShare = Share::kBits;
  template <class D, class Operand>
  HWY_INLINE Operand operator()(D, Operand a) const {
    return a;
  }
};

struct Conjugate {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE V operator()(D, V a) const {
    return a;
  }
  template <class D, class V>
  HWY_INLINE Pair<V> operator()(D d, Pair<V> a) const {
    return {a.re, hn::Xor(a.im, hn::SignBit(d))};
  }
};

struct Real {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE V operator()(D, V a) const {
    return a;
  }
  template <class D, class V>
  HWY_INLINE V operator()(D, Pair<V> a) const {
    return a.re;
  }
};

struct Imag {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V) const {
    return hn::Zero(d);
  }
  template <class D, class V>
  HWY_INLINE V operator()(D, Pair<V> a) const {
    return a.im;
  }
};

void Fill(Tables* tables) {
#define SPANFLOW_ROW(Name, ...) FillRow<Name, Op::k##Name>(tables);
  SPANFLOW_ROUNDING(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Rounding)
#endif
