// Numbers of one kind as numbers of another, with more care than a cast: kept within the range of
// an integer, or scaled and moved on the way. Other pairs than these come from casts.

#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/numbers.cc"
#include "hwy/foreach_target.h"
#include "simd/blocks-inl.h"
#include "simd/convert.h"
#include "simd/tables.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

using base::Kind;

template <class From, class To>
inline constexpr size_t kStepItems = kMaxStepBytes / std::max(sizeof(From), sizeof(To));

// The compiler makes vectors of these loops: every item is read before one is written. In one loop
// it would make branches of the limits.
template <class From, class To>
struct SaturateStep {
  static constexpr size_t kItems = kStepItems<From, To>;
  static constexpr std::array<size_t, 1> kIn = {sizeof(From)};
  static constexpr size_t kOut = sizeof(To);
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    HWY_ALIGN From limited[kItems];
    HWY_ALIGN To results[kItems];
    for (size_t i = 0; i < kItems; ++i) {
      limited[i] = Limited<To>(LoadOne<From>(in[0] + i * sizeof(From)));
    }
    for (size_t i = 0; i < kItems; ++i) results[i] = FromLimited<To>(limited[i]);
    std::memcpy(out, results, sizeof(results));
  }
};

template <class From, class To>
struct AffineStep {
  static constexpr size_t kItems = kStepItems<From, To>;
  static constexpr std::array<size_t, 3> kIn = {sizeof(From), 0, 0};
  static constexpr size_t kOut = sizeof(To);
  static HWY_INLINE void Do(const std::byte* const* in, std::byte* out) {
    const To scale = LoadOne<To>(in[1]), offset = LoadOne<To>(in[2]);
    HWY_ALIGN To results[kItems];
    for (size_t i = 0; i < kItems; ++i) {
      results[i] = static_cast<To>(LoadOne<From>(in[0] + i * sizeof(From))) * scale + offset;
    }
    std::memcpy(out, results, sizeof(results));
  }
};

template <class Step>
void RunSaturated(const void* in, void* out, size_t n) {
  const void* const inputs[1] = {in};
  Run<Step>(inputs, out, n);
}

// Whether every number of one type is one of the other.
template <class From, class To>
constexpr bool FitsInto() {
  if constexpr (std::is_integral_v<From>) {
    return std::in_range<To>(std::numeric_limits<From>::min()) &&
           std::in_range<To>(std::numeric_limits<From>::max());
  }
  return false;
}

constexpr bool IsFloatLane(Kind kind) { return kind == Kind::kF32 || kind == Kind::kF64; }

template <Kind kFrom, Kind kTo>
constexpr CastFn SaturatingCastOf() {
  if constexpr ((base::IsInteger(kFrom) || IsFloatLane(kFrom)) && base::IsInteger(kTo)) {
    using From = Lane<kFrom>;
    using To = Lane<kTo>;
    if constexpr (!FitsInto<From, To>()) return &RunSaturated<SaturateStep<From, To>>;
  }
  return nullptr;
}

// Integers that a vector converts as it loads them, and floats that hold no more than `kTo`.
constexpr bool IsAffine(Kind from, Kind to) {
  if (base::IsInteger(from)) return base::IsSigned(from) ? from <= Kind::kI32 : from <= Kind::kU16;
  return from == Kind::kF32 || (from == Kind::kF64 && to == Kind::kF64);
}

template <Kind kFrom, Kind kTo>
constexpr ElementwiseKernel AffineOf() {
  if constexpr (IsAffine(kFrom, kTo)) {
    using Step = AffineStep<Lane<kFrom>, Lane<kTo>>;
    return {&Run<Step>, &RunStreamed<Step>};
  }
  return {};
}

void Fill(Tables* tables) {
  ForEachKind([tables]<Kind kFrom>() {
    constexpr auto kRow = static_cast<size_t>(kFrom);
    ForEachKind([tables]<Kind kTo>() {
      tables->saturating_casts[kRow][static_cast<size_t>(kTo)] = SaturatingCastOf<kFrom, kTo>();
    });
    tables->affine[kRow][0] = AffineOf<kFrom, Kind::kF32>();
    tables->affine[kRow][1] = AffineOf<kFrom, Kind::kF64>();
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Numbers)
#endif
