// Casts between all pairs of numeric kinds. A pair has a loop of its own, shares the loop of a pair
// that moves the same bits, or goes through a third kind block by block.

#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/cast.cc"
#include "hwy/foreach_target.h"
#include "simd/blocks-inl.h"
#include "simd/convert.h"
#include "simd/tables.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

using base::Kind;

// The compiler makes vectors of this: every item is read before one is written, so the loop has no
// dependences.
template <Kind kFrom, Kind kTo>
struct ConvertStep {
  static constexpr size_t kItems =
      256 / (kItemBytes<kFrom> > kItemBytes<kTo> ? kItemBytes<kFrom> : kItemBytes<kTo>);
  static constexpr std::array<size_t, 1> kIn = {kItemBytes<kFrom>};
  static constexpr size_t kOut = kItemBytes<kTo>;

  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    using From = Item<kFrom>;
    using To = Item<kTo>;
    HWY_ALIGN To results[kItems];
    for (size_t i = 0; i < kItems; ++i) {
      results[i] = Convert<kFrom, kTo>(LoadOne<From>(in[0] + i * sizeof(From)));
    }
    std::memcpy(out, results, sizeof(results));
  }
};

template <size_t kBytes>
struct CopyStep {
  static constexpr size_t kItems = 64 / kBytes;
  static constexpr std::array<size_t, 1> kIn = {kBytes};
  static constexpr size_t kOut = kBytes;
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    std::memmove(out, in[0], 64);
  }
};

#if HWY_TARGET != HWY_SCALAR

// Integers that fit an i32 to floats, one vector of floats at a time.
template <class From, class To>
struct IntegerToFloatStep {
  using D = hn::ScalableTag<To>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr std::array<size_t, 1> kIn = {sizeof(From)};
  static constexpr size_t kOut = sizeof(To);
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const D d;
    const hn::Rebind<int32_t, D> d32;
    const auto v = Load(hn::Rebind<From, D>(), in[0]);
    if constexpr (sizeof(From) == 4) {
      Store(FromInt32(d, v), d, out);
    } else {
      Store(FromInt32(d, hn::PromoteTo(d32, v)), d, out);
    }
  }
  template <class V>
  static HWY_INLINE hn::Vec<D> FromInt32(D d, V v) {
    if constexpr (sizeof(To) == 4) return hn::ConvertTo(d, v);
    if constexpr (sizeof(To) == 8) return hn::PromoteTo(d, v);
  }
};

struct FloatToDoubleStep {
  using D = hn::ScalableTag<double>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr std::array<size_t, 1> kIn = {sizeof(float)};
  static constexpr size_t kOut = sizeof(double);
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const D d;
    Store(hn::PromoteTo(d, Load(hn::Rebind<float, D>(), in[0])), d, out);
  }
};

struct DoubleToFloatStep {
  using D = hn::ScalableTag<double>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr std::array<size_t, 1> kIn = {sizeof(double)};
  static constexpr size_t kOut = sizeof(float);
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const hn::Rebind<float, D> d32;
    Store(hn::DemoteTo(d32, Load(D(), in[0])), d32, out);
  }
};

// See RoundToOdd in convert.h.
struct DoubleToOddFloatStep {
  using D = hn::ScalableTag<double>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr std::array<size_t, 1> kIn = {sizeof(double)};
  static constexpr size_t kOut = sizeof(float);
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const D d;
    const hn::Rebind<float, D> d32;
    const hn::RebindToUnsigned<D> du;
    const hn::RebindToUnsigned<decltype(d32)> du32;
    const auto v = Load(d, in[0]);
    const auto nearest = hn::DemoteTo(d32, v);
    const auto back = hn::PromoteTo(d, nearest);
    // What to add to the bits: -1 where the size was rounded up, 1 where down, 0 where exact.
    const auto step =
        hn::IfThenElse(hn::Gt(hn::Abs(back), hn::Abs(v)), hn::BitCast(d, hn::Set(du, ~uint64_t{0})),
                       hn::BitCast(d, hn::Set(du, 1)));
    const auto needed = hn::IfThenZeroElse(hn::Eq(back, v), step);
    const auto bits = hn::BitCast(du32, nearest);
    const auto even = hn::Sub(hn::And(bits, hn::Set(du32, 1)), hn::Set(du32, 1));
    const auto change = hn::And(even, hn::TruncateTo(du32, hn::BitCast(du, needed)));
    Store(hn::Add(bits, change), du32, out);
  }
};

// Real numbers to complex ones.
template <class T>
struct ToComplexStep {
  using D = hn::ScalableTag<T>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr std::array<size_t, 1> kIn = {sizeof(T)};
  static constexpr size_t kOut = 2 * sizeof(T);
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const D d;
    StorePair<D>({Load(d, in[0]), hn::Zero(d)}, d, out);
  }
};

template <class T>
struct RealPartStep {
  using D = hn::ScalableTag<T>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr std::array<size_t, 1> kIn = {2 * sizeof(T)};
  static constexpr size_t kOut = sizeof(T);
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const D d;
    Store(LoadPair(d, in[0]).re, d, out);
  }
};

struct ComplexToBoolStep {
  using D = hn::ScalableTag<uint64_t>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr std::array<size_t, 1> kIn = {8};
  static constexpr size_t kOut = 1;
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const D d;
    const auto sizes = hn::And(Load(d, in[0]), hn::Set(d, TruthBits<Kind::kC64>::kMask));
    StoreMask(hn::Ne(sizes, hn::Zero(d)), d, out);
  }
};

struct BFloatToFloatStep {
  using D = hn::ScalableTag<uint32_t>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr std::array<size_t, 1> kIn = {2};
  static constexpr size_t kOut = 4;
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const D d;
    const auto bits = hn::PromoteTo(d, Load(hn::Rebind<uint16_t, D>(), in[0]));
    Store(hn::ShiftLeft<16>(bits), d, out);
  }
};

// Rounds to nearest even; Highway leaves its own rounding open. A NaN stays one.
struct FloatToBFloatStep {
  using D = hn::ScalableTag<uint32_t>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr std::array<size_t, 1> kIn = {4};
  static constexpr size_t kOut = 2;
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const D d;
    const hn::Rebind<uint16_t, D> d16;
    const auto bits = Load(d, in[0]);
    const auto high = hn::ShiftRight<16>(bits);
    const auto odd = hn::And(high, hn::Set(d, 1));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7FFF))));
    const auto size = hn::And(bits, hn::Set(d, 0x7FFFFFFF));
    const auto is_nan = hn::Gt(size, hn::Set(d, 0x7F800000));
    const auto quiet = hn::Or(high, hn::Set(d, 0x40));
    Store(hn::TruncateTo(d16, hn::IfThenElse(is_nan, quiet, rounded)), d16, out);
  }
};

#endif  // HWY_TARGET != HWY_SCALAR

// Where the instruction set converts f16; elsewhere Convert's integer form is compiled to vectors.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2 && !defined(HWY_DISABLE_F16C)
#undef SPANFLOW_HAS_F16
#define SPANFLOW_HAS_F16 1

struct HalfToFloatStep {
  using D = hn::ScalableTag<float>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr std::array<size_t, 1> kIn = {2};
  static constexpr size_t kOut = 4;
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const D d;
    const hn::Rebind<hwy::float16_t, D> d16;
    const auto v = hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(in[0]));
    Store(hn::PromoteTo(d, v), d, out);
  }
};

struct FloatToHalfStep {
  using D = hn::ScalableTag<float>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr std::array<size_t, 1> kIn = {4};
  static constexpr size_t kOut = 2;
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const D d;
    const hn::Rebind<hwy::float16_t, D> d16;
    hn::StoreU(hn::DemoteTo(d16, Load(d, in[0])), d16, reinterpret_cast<hwy::float16_t*>(out));
  }
};
#else
#undef SPANFLOW_HAS_F16
#define SPANFLOW_HAS_F16 0
#endif

template <class Step>
void RunCast(const void* in, void* out, size_t n) {
  const void* const inputs[1] = {in};
  Run<Step>(inputs, out, n);
}

// Complex to complex: the parts one by one.
template <class Step>
void RunCastOfPairs(const void* in, void* out, size_t n) {
  RunCast<Step>(in, out, 2 * n);
}

template <Kind kFrom, Kind kTo>
constexpr CastFn CastOf();

// In two steps, over a block that stays in L1.
template <size_t kFromBytes, size_t kMidBytes, size_t kToBytes>
void RunTwo(CastFn first, CastFn second, const void* in, void* out, size_t n) {
  constexpr size_t kBlockItems = 4096 / kMidBytes;
  alignas(64) std::byte block[kBlockItems * kMidBytes];
  const std::byte* from = static_cast<const std::byte*>(in);
  std::byte* to = static_cast<std::byte*>(out);
  for (size_t i = 0; i < n; i += kBlockItems) {
    const size_t items = std::min(kBlockItems, n - i);
    first(from + i * kFromBytes, block, items);
    second(block, to + i * kToBytes, items);
  }
}

template <Kind kFrom, Kind kMid, Kind kTo>
void RunChain(const void* in, void* out, size_t n) {
  RunTwo<kItemBytes<kFrom>, kItemBytes<kMid>, kItemBytes<kTo>>(CastOf<kFrom, kMid>(),
                                                               CastOf<kMid, kTo>(), in, out, n);
}

#if HWY_TARGET != HWY_SCALAR
// f64 to a small float, rounded once.
template <Kind kTo>
void RunOddChain(const void* in, void* out, size_t n) {
  RunTwo<8, 4, 2>(&RunCast<DoubleToOddFloatStep>, CastOf<Kind::kF32, kTo>(), in, out, n);
}
#endif

template <Kind kFrom, Kind kTo>
constexpr auto StepOf() {
#if HWY_TARGET != HWY_SCALAR
  constexpr bool kFitsInt32 =
      base::IsInteger(kFrom) && kItemBytes<kFrom> <= 4 && kFrom != Kind::kU32;
  if constexpr (kFitsInt32 && (kTo == Kind::kF32 || kTo == Kind::kF64)) {
    return IntegerToFloatStep<Lane<kFrom>, Lane<kTo>>();
  } else if constexpr (base::IsComplex(kTo)) {
    return ToComplexStep<Lane<kFrom>>();
  } else if constexpr (kFrom == Kind::kC64 && kTo == Kind::kBool) {
    return ComplexToBoolStep();
  } else if constexpr (base::IsComplex(kFrom) && kTo != Kind::kBool) {
    return RealPartStep<Lane<kTo>>();
  } else if constexpr (kFrom == Kind::kF32 && kTo == Kind::kF64) {
    return FloatToDoubleStep();
  } else if constexpr (kFrom == Kind::kF64 && kTo == Kind::kF32) {
    return DoubleToFloatStep();
  } else if constexpr (kFrom == Kind::kBF16 && kTo == Kind::kF32) {
    return BFloatToFloatStep();
  } else if constexpr (kFrom == Kind::kF32 && kTo == Kind::kBF16) {
    return FloatToBFloatStep();
#if SPANFLOW_HAS_F16
  } else if constexpr (kFrom == Kind::kF16 && kTo == Kind::kF32) {
    return HalfToFloatStep();
  } else if constexpr (kFrom == Kind::kF32 && kTo == Kind::kF16) {
    return FloatToHalfStep();
#endif
  } else  // NOLINT(readability/braces)
#endif
    return ConvertStep<kFrom, kTo>();
}

template <Kind kFrom, Kind kTo>
constexpr CastFn CastOf() {
  constexpr Route kRoute = RouteOf(kFrom, kTo);
  if constexpr (kRoute.way == Route::kCopy) {
    return &RunCast<CopyStep<kItemBytes<kFrom>>>;
  } else if constexpr (kRoute.way == Route::kVia) {
    return &RunChain<kFrom, kRoute.via, kTo>;
  } else if constexpr (kRoute.way == Route::kAlike) {
    return CastOf<kRoute.from, kRoute.to>();
  } else if constexpr (kRoute.way == Route::kParts) {
    return &RunCastOfPairs<decltype(StepOf<kRoute.from, kRoute.to>())>;
#if HWY_TARGET != HWY_SCALAR
  } else if constexpr (kFrom == Kind::kF64 && (kTo == Kind::kF16 || kTo == Kind::kBF16)) {
    return &RunOddChain<kTo>;
#endif
  } else {
    return &RunCast<decltype(StepOf<kFrom, kTo>())>;
  }
}

void Fill(Tables* tables) {
  ForEachKind([tables]<Kind kFrom>() {
    ForEachKind([tables]<Kind kTo>() {
      tables->casts[static_cast<size_t>(kFrom)][static_cast<size_t>(kTo)] = CastOf<kFrom, kTo>();
    });
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Casts)
#endif
