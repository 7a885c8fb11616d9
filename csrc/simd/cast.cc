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

// Integers of up to 32 bits to f32, one vector of floats at a time.
template <class From>
struct ToFloatStep {
  using D = hn::ScalableTag<float>;
  static constexpr size_t kItems = hn::MaxLanes(D());
  static constexpr std::array<size_t, 1> kIn = {sizeof(From)};
  static constexpr size_t kOut = sizeof(float);
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const D d;
    const hn::Rebind<int32_t, D> d32;
    const auto v = Load(hn::Rebind<From, D>(), in[0]);
    if constexpr (sizeof(From) == 4) {
      Store(hn::ConvertTo(d, v), d, out);
    } else {
      Store(hn::ConvertTo(d, hn::PromoteTo(d32, v)), d, out);
    }
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
template <Kind kFrom, Kind kMid, Kind kTo>
void RunChain(const void* in, void* out, size_t n) {
  constexpr size_t kBlockItems = 4096 / kItemBytes<kMid>;
  alignas(64) std::byte block[kBlockItems * kItemBytes<kMid>];
  const std::byte* from = static_cast<const std::byte*>(in);
  std::byte* to = static_cast<std::byte*>(out);
  for (size_t i = 0; i < n; i += kBlockItems) {
    const size_t items = std::min(kBlockItems, n - i);
    CastOf<kFrom, kMid>()(from + i * kItemBytes<kFrom>, block, items);
    CastOf<kMid, kTo>()(block, to + i * kItemBytes<kTo>, items);
  }
}

template <Kind kFrom, Kind kTo>
constexpr auto StepOf() {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (kTo == Kind::kF32 && base::IsInteger(kFrom) && kItemBytes<kFrom> <= 4 &&
                kFrom != Kind::kU32) {
    return ToFloatStep<Lane<kFrom>>();
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
namespace spanflow::simd {
namespace {
HWY_EXPORT(Fill);
}  // namespace
void FillCasts(size_t target, Tables* tables) { HWY_DISPATCH_TABLE(Fill)[target](tables); }
}  // namespace spanflow::simd
#endif  // HWY_ONCE
