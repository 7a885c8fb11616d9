// The functors of comparisons, bit operations and selection, one per row of SPANFLOW_LOGIC.
#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/logic.cc"
#include "hwy/foreach_target.h"
#include "simd/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

struct Equal {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D, V a, V b) const {
    return hn::Eq(a, b);
  }
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D, Pair<V> a, Pair<V> b) const {
    return hn::And(hn::Eq(a.re, b.re), hn::Eq(a.im, b.im));
  }
};

// Not by Ne: for NaN that is false on some targets of Highway 1.0.3.
struct NotEqual {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class Operand>
  HWY_INLINE hn::Mask<D> operator()(D d, Operand a, Operand b) const {
    return hn::Not(Equal()(d, a, b));
  }
};

struct Less {
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D, V a, V b) const {
    return hn::Lt(a, b);
  }
};

// Highway 1.0.3 has Le for floats only; without NaN it is the opposite of Gt.
struct LessEqual {
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D, V a, V b) const {
    if constexpr (hwy::IsFloat<LaneOf<D>>()) {
      return hn::Le(a, b);
    } else {
      return hn::Not(hn::Lt(b, a));
    }
  }
};

struct Greater {
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D d, V a, V b) const {
    return Less()(d, b, a);
  }
};

struct GreaterEqual {
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D d, V a, V b) const {
    return LessEqual()(d, b, a);
  }
};

template <class D, class V>
HWY_INLINE hn::Mask<D> NonZero(D d, V a) {
  return hn::Not(hn::Eq(a, hn::Zero(d)));
}
template <class D, class V>
HWY_INLINE hn::Mask<D> NonZero(D d, Pair<V> a) {
  return hn::Or(NonZero(d, a.re), NonZero(d, a.im));
}

struct LogicalAnd {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class Operand>
  HWY_INLINE hn::Mask<D> operator()(D d, Operand a, Operand b) const {
    return hn::And(NonZero(d, a), NonZero(d, b));
  }
};

struct LogicalOr {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class Operand>
  HWY_INLINE hn::Mask<D> operator()(D d, Operand a, Operand b) const {
    return hn::Or(NonZero(d, a), NonZero(d, b));
  }
};

struct LogicalXor {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class Operand>
  HWY_INLINE hn::Mask<D> operator()(D d, Operand a, Operand b) const {
    return hn::Xor(NonZero(d, a), NonZero(d, b));
  }
};

struct LogicalNot {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class Operand>
  HWY_INLINE hn::Mask<D> operator()(D d, Operand a) const {
    return hn::Not(NonZero(d, a));
  }
};

struct BitwiseAnd {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::And(a, b);
  }
};

struct BitwiseOr {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Or(a, b);
  }
};

struct BitwiseXor {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Xor(a, b);
  }
};

struct Invert {
  static constexpr Share kShare = Share::kSignless;
  template <class D, class V>
  HWY_INLINE V operator()(D, V a) const {
    return hn::Not(a);
  }
  template <class D, class V>
  HWY_INLINE V OnBool(D d, V a) const {
    return hn::Xor(a, hn::Set(d, 1));
  }
};

struct Where {
  static constexpr Share kShare = Share::kBits;
  template <class D, class M, class V>
  HWY_INLINE V operator()(D, M condition, V x, V y) const {
    return hn::IfThenElse(condition, x, y);
  }
  template <class D, class M, class V>
  HWY_INLINE Pair<V> operator()(D, M condition, Pair<V> x, Pair<V> y) const {
    return {hn::IfThenElse(condition, x.re, y.re), hn::IfThenElse(condition, x.im, y.im)};
  }
};

// The comparison of an int64 with a uint64 or, with kUnsignedFirst, the other way round. Below 2^63
// both are signed numbers; above, the order is known.
template <class F, bool kUnsignedFirst>
struct Mixed {
  template <class D, class V>
  HWY_INLINE hn::Mask<D> operator()(D d, V a, V b) const {
    const auto above = hn::Lt(kUnsignedFirst ? a : b, hn::Zero(d));
    const auto compared = F()(d, a, b);
    const bool answer =
        std::is_same_v<F, NotEqual> ||
        (kUnsignedFirst ? std::is_same_v<F, Greater> || std::is_same_v<F, GreaterEqual>
                        : std::is_same_v<F, Less> || std::is_same_v<F, LessEqual>);
    return answer ? hn::Or(compared, above) : hn::AndNot(above, compared);
  }
};

template <class F, Op kOp>
void FillMixed(Tables* tables) {
  if constexpr (InfoOf(kOp).rule == TypeRule::kCompare) {
    constexpr auto fill = []<bool kUnsignedFirst>(ElementwiseFn* cell) {
      *cell = &Run<MapStep<Mixed<F, kUnsignedFirst>, int64_t, Shape::kSingle, 2>>;
    };
    ElementwiseFn* const cells = tables->mixed_compares[static_cast<size_t>(kOp)];
    fill.template operator()<false>(&cells[0]);
    fill.template operator()<true>(&cells[1]);
  }
}

void Fill(Tables* tables) {
#define SPANFLOW_ROW(Name, ...)       \
  FillRow<Name, Op::k##Name>(tables); \
  FillMixed<Name, Op::k##Name>(tables);
  SPANFLOW_LOGIC(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Logic)
#endif
