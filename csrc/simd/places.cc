// The structs of argmin, argmax and ptp, one per row of SPANFLOW_PLACES: what needs more of the
// extremes than their values.
#include <limits>

#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/places.cc"
#include "hwy/foreach_target.h"
#include "simd/extremes-inl.h"
#include "simd/reduction-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

using base::Kind;

// Items that stay in L1 between two looks at them.
template <class T>
inline constexpr size_t kPlaceBlock = (16 << 10) / sizeof(T);

// The place of the first item that is kWanted: equal to `value`, or NaN. There is one.
template <Kind kKind, bool kWantNan>
size_t FindFirst(const std::byte* in, size_t n, [[maybe_unused]] Lane<kKind> value) {
  using T = Lane<kKind>;
  const hn::ScalableTag<T> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  const auto wanted = hn::Set(d, value);
  const auto found = [wanted](auto v) HWY_ATTR {
    if constexpr (kWantNan && hwy::IsFloat<T>()) return hn::IsNaN(v);
    return hn::Eq(v, wanted);
  };
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const intptr_t lane = hn::FindFirstTrue(d, found(LoadValues<kKind>(d, in + i * sizeof(T))));
    if (lane >= 0) return i + static_cast<size_t>(lane);
  }
  // What is left ends with the run: the lanes behind it are not looked at.
  T items[kLanes];
  std::memcpy(items, in + i * sizeof(T), (n - i) * sizeof(T));
  const auto is_wanted = [value](T item) {
    if constexpr (kKind == Kind::kBool) item = item != 0;
    return kWantNan ? item != item : item == value;
  };
  size_t k = 0;
  while (i + k + 1 < n && !is_wanted(items[k])) ++k;
  return i + k;
}

template <Kind kKind, bool kMax>
struct PlaceOfExtreme {
  using T = Lane<kKind>;
  using State = Place<kKind, kMax>;

  static void Update(State& state, const std::byte* in, size_t n) {
    for (size_t i = 0; i < n && !state.has_nan; i += kPlaceBlock<T>) {
      const size_t items = std::min(kPlaceBlock<T>, n - i);
      const size_t ahead = n - i >= 2 * kPlaceBlock<T> ? 4096 : 0;
      const int64_t before = state.count + static_cast<int64_t>(i);
      UpdateBlock(state, in + i * sizeof(T), items, ahead, before);
    }
    state.count += static_cast<int64_t>(n);
  }

  static void Finish(const State& state, double, void* out) {
    std::memcpy(out, &state.place, sizeof(state.place));
  }

 private:
  static void UpdateBlock(State& state, const std::byte* in, size_t n, size_t ahead,
                          int64_t before) {
    T best = Extreme<kKind, kMax>::Identity();
    if (!ExtremeOfBlock<kKind, kMax>(in, n, ahead, &best)) {
      state.has_nan = true;
      state.place = before + static_cast<int64_t>(FindFirst<kKind, true>(in, n, best));
    } else if (state.Beats(best)) {
      state.best = best;
      state.place = before + static_cast<int64_t>(FindFirst<kKind, false>(in, n, best));
    }
  }
};

template <Kind kKind>
struct ArgMin : PlaceOfExtreme<kKind, false> {};
template <Kind kKind>
struct ArgMax : PlaceOfExtreme<kKind, true> {};

template <Kind kKind>
struct Ptp {
  using T = Lane<kKind>;
  using State = LowHigh<kKind>;

  static void Update(State& state, const std::byte* in, size_t n) {
    for (size_t i = 0; i < n && !state.Done(); i += kPlaceBlock<T>) {
      const size_t items = std::min(kPlaceBlock<T>, n - i);
      UpdateExtreme<kKind, false>(state.low, in + i * sizeof(T), items);
      UpdateExtreme<kKind, true>(state.high, in + i * sizeof(T), items);
    }
  }

  static void Finish(const State& state, double, void* out) {
    using Bits = std::conditional_t<std::is_integral_v<T>, BitsOf<T>, T>;
    auto result =
        static_cast<T>(static_cast<Bits>(state.high.best) - static_cast<Bits>(state.low.best));
    if constexpr (std::is_floating_point_v<T>) {
      if (state.Done()) result = std::numeric_limits<T>::quiet_NaN();
    }
    std::memcpy(out, &result, sizeof(T));
  }
};

void Fill(Tables* tables) {
#define SPANFLOW_ROW(Name, ...) FillReduction<Name, Reduction::k##Name>(tables);
  SPANFLOW_PLACES(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Places)
#endif
