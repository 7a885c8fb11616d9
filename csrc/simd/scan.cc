// Running folds, one struct per row of SPANFLOW_SCANS. Each element waits for the one before: plain
// loops, whose additions of floats are made in f64 so that they lose nothing by being in order.
#include <cmath>

#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/scan.cc"
#include "hwy/foreach_target.h"
#include "simd/blocks-inl.h"
#include "simd/states.h"
#include "simd/tables.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

using base::Kind;

// What a running total is kept in: integers wrap, floats are f64.
template <class T>
using Total = std::conditional_t<std::is_floating_point_v<T>, double, BitsOf<T>>;

template <Kind kKind>
struct CumSum {
  using T = Lane<kKind>;
  struct State {
    Total<T> total[KindLane<kKind>::kLanes] = {};
  };
  HWY_INLINE static void Step(State& state, const T* item, T* out) {
    for (size_t k = 0; k < KindLane<kKind>::kLanes; ++k) {
      state.total[k] += static_cast<Total<T>>(item[k]);
      out[k] = static_cast<T>(state.total[k]);
    }
  }
};

template <Kind kKind>
struct CumProd {
  using T = Lane<kKind>;
  using State = std::conditional_t<std::is_integral_v<T>, IntegerProduct, FloatProduct>;
  HWY_INLINE static void Step(State& state, const T* item, T* out) {
    if constexpr (std::is_integral_v<T>) {
      state.total *= static_cast<uint64_t>(*item);
      *out = static_cast<T>(state.total);
    } else if constexpr (base::IsComplex(kKind)) {
      state.Merge({item[0], item[1]});
      out[0] = static_cast<T>(state.re);
      out[1] = static_cast<T>(state.im);
    } else {
      state.re *= static_cast<double>(*item);
      *out = static_cast<T>(state.re);
    }
  }
};

template <Kind kKind, bool kMax>
struct CumExtreme {
  using T = Lane<kKind>;
  struct State {
    T best = Extreme<kKind, kMax>::Identity();
  };
  // A NaN comes in because it differs from itself, and stays because nothing compares with it.
  HWY_INLINE static void Step(State& state, const T* item, T* out) {
    T value = *item;
    if constexpr (kKind == Kind::kBool) value = value != 0;
    const bool better = kMax ? value > state.best : value < state.best;
    state.best = better || value != value ? value : state.best;
    *out = state.best;
  }
};

template <Kind kKind>
struct CumMin : CumExtreme<kKind, false> {};
template <Kind kKind>
struct CumMax : CumExtreme<kKind, true> {};

template <class State>
void InitScan(Accumulator* acc) {
  new (acc->bytes) State();
}

template <Kind kKind, class Scan>
void RunScan(Accumulator* acc, const void* input, void* output, size_t n) {
  using T = Lane<kKind>;
  constexpr size_t kBytes = kItemBytes<kKind>;
  const std::byte* in = static_cast<const std::byte*>(input);
  std::byte* out = static_cast<std::byte*>(output);
  typename Scan::State state = StateOf<typename Scan::State>(acc);
  for (size_t i = 0; i < n; ++i, in += kBytes, out += kBytes) {
    T item[KindLane<kKind>::kLanes], result[KindLane<kKind>::kLanes];
    std::memcpy(item, in, kBytes);
    Scan::Step(state, item, result);
    std::memcpy(out, result, kBytes);
  }
  StateOf<typename Scan::State>(acc) = state;
}

// The kinds that ResultKind gives.
constexpr bool IsScanned(Scan scan, Kind kind) {
  const KindSet sums = Only(Kind::kI64) | Only(Kind::kU64) | kFloatKinds | kComplexKinds;
  return Contains(InfoOf(scan).rule == ReduceRule::kSum ? sums : InfoOf(scan).kinds, kind);
}

template <template <Kind> class Scanned, Scan kScan>
void FillScan(Tables* tables) {
  ForEachKind([tables]<Kind kKind>() {
    if constexpr (IsScanned(kScan, kKind)) {
      tables->scans[static_cast<size_t>(kScan)][static_cast<size_t>(kKind)] = {
          &InitScan<typename Scanned<kKind>::State>, &RunScan<kKind, Scanned<kKind>>};
    }
  });
}

void Fill(Tables* tables) {
#define SPANFLOW_ROW(Name, ...) FillScan<Name, Scan::k##Name>(tables);
  SPANFLOW_SCANS(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Scans)
#endif
