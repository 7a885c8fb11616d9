// What lies in an Accumulator for each reduction, with how it starts, is merged and is read out.
//
// Owns: nothing; states are plain values. Threads: thread-compatible. Attached: not needed.
// Fails: never.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>

#include "simd/kernels.h"
#include "simd/lanes.h"

namespace spanflow::simd {

__extension__ using Int128 = __int128;

template <class State>
State& StateOf(Accumulator* acc) {
  static_assert(sizeof(State) <= sizeof(Accumulator) && alignof(State) <= alignof(Accumulator));
  static_assert(std::is_trivially_copyable_v<State>);
  return *std::launder(reinterpret_cast<State*>(acc->bytes));
}

template <class State>
const State& StateOf(const Accumulator* acc) {
  return *std::launder(reinterpret_cast<const State*>(acc->bytes));
}

// One result, to memory of any alignment.
template <class T>
void WriteResult(double value, void* out, size_t index = 0) {
  const T result = static_cast<T>(value);
  std::memcpy(static_cast<std::byte*>(out) + index * sizeof(T), &result, sizeof(T));
}

// A sum with the rounding errors of its additions beside it (Neumaier 1974).
struct CompensatedSum {
  double total = -0.0;
  double lost = 0;

  void Add(double value) {
    const double sum = total + value;
    const bool value_is_smaller = std::fabs(total) >= std::fabs(value);
    lost += value_is_smaller ? (total - sum) + value : (value - sum) + total;
    total = sum;
  }
  void Merge(const CompensatedSum& other) {
    Add(other.total);
    lost += other.lost;
  }
  // With an infinity or NaN in the total, what was lost has no meaning.
  double Value() const { return lost != 0 && std::isfinite(total) ? total + lost : total; }
};

struct FloatSum {
  CompensatedSum re, im;
  uint64_t count = 0;

  void Merge(const FloatSum& other) {
    re.Merge(other.re);
    im.Merge(other.im);
    count += other.count;
  }
};

struct IntegerSum {
  Int128 total = 0;  // exact, so that the mean does not wrap where the sum does
  uint64_t count = 0;

  void Merge(const IntegerSum& other) {
    total += other.total;
    count += other.count;
  }
};

template <class T>
struct Extreme {
  T best;
  bool has_nan = false;
};

struct Found {
  bool found = false;
  void Merge(const Found& other) { found = found || other.found; }
};

struct Count {
  int64_t count = 0;
  void Merge(const Count& other) { count += other.count; }
};

// Mean and sum of squared distances from it; of complex numbers the distance in the plane. The mean
// is kept as its distance from a pivot near it, so that values far from zero do not cost the
// digits by which they differ.
struct Moments {
  double pivot_re = 0, pivot_im = 0;
  double mean_re = 0, mean_im = 0;
  double m2 = 0;
  double count = 0;  // exact up to 2^53

  // Chan, Golub and LeVeque 1983.
  void Merge(const Moments& other) {
    if (other.count == 0) return;
    if (count == 0) {
      *this = other;
      return;
    }
    const double all = count + other.count;
    const double share = other.count / all;
    const double re = (other.pivot_re - pivot_re) + (other.mean_re - mean_re);
    const double im = (other.pivot_im - pivot_im) + (other.mean_im - mean_im);
    mean_re += re * share;
    mean_im += im * share;
    m2 += other.m2 + (re * re + im * im) * (count * share);
    count = all;
  }
};

template <class State>
void InitState(Accumulator* acc) {
  new (acc->bytes) State();
}

template <class State>
void MergeStates(Accumulator* acc, const Accumulator* other) {
  StateOf<State>(acc).Merge(StateOf<State>(other));
}

template <base::Kind kKind>
void FinishSum(const Accumulator* acc, double, void* out) {
  if constexpr (base::IsFloat(kKind) || base::IsComplex(kKind)) {
    const FloatSum& sum = StateOf<FloatSum>(acc);
    const bool empty = sum.count == 0;
    WriteResult<Lane<kKind>>(empty ? 0.0 : sum.re.Value(), out);
    if constexpr (base::IsComplex(kKind)) {
      WriteResult<Lane<kKind>>(empty ? 0.0 : sum.im.Value(), out, 1);
    }
  } else {
    const uint64_t wrapped = static_cast<uint64_t>(StateOf<IntegerSum>(acc).total);
    std::memcpy(out, &wrapped, sizeof(wrapped));
  }
}

template <base::Kind kKind>
void FinishMean(const Accumulator* acc, double, void* out) {
  if constexpr (base::IsFloat(kKind) || base::IsComplex(kKind)) {
    const FloatSum& sum = StateOf<FloatSum>(acc);
    const double count = static_cast<double>(sum.count);
    WriteResult<Lane<kKind>>(sum.re.Value() / count, out);
    if constexpr (base::IsComplex(kKind)) WriteResult<Lane<kKind>>(sum.im.Value() / count, out, 1);
  } else {
    const IntegerSum& sum = StateOf<IntegerSum>(acc);
    WriteResult<double>(static_cast<double>(sum.total) / static_cast<double>(sum.count), out);
  }
}

template <base::Kind kKind, bool kRoot>
void FinishMoments(const Accumulator* acc, double ddof, void* out) {
  const Moments& moments = StateOf<Moments>(acc);
  const double divisor = moments.count - ddof;
  const double variance = moments.m2 / (divisor > 0 ? divisor : 0.0);
  const double result = kRoot ? std::sqrt(variance) : variance;
  using Real =
      std::conditional_t<base::IsFloat(kKind) || base::IsComplex(kKind), Lane<kKind>, double>;
  WriteResult<Real>(result, out);
}

// The identity of min is the largest value.
template <base::Kind kKind, bool kMax>
void InitExtreme(Accumulator* acc) {
  using T = Lane<kKind>;
  using Limits = std::numeric_limits<T>;
  T start = kMax ? Limits::lowest() : Limits::max();
  if constexpr (Limits::has_infinity) start = kMax ? -Limits::infinity() : Limits::infinity();
  if constexpr (kKind == base::Kind::kBool) start = kMax ? 0 : 1;
  new (acc->bytes) Extreme<T>{start};
}

template <base::Kind kKind, bool kMax>
void MergeExtremes(Accumulator* acc, const Accumulator* other) {
  using T = Lane<kKind>;
  Extreme<T>& a = StateOf<Extreme<T>>(acc);
  const Extreme<T>& b = StateOf<Extreme<T>>(other);
  a.has_nan = a.has_nan || b.has_nan;
  if (kMax ? b.best > a.best : b.best < a.best) a.best = b.best;
}

template <base::Kind kKind>
void FinishExtreme(const Accumulator* acc, double, void* out) {
  using T = Lane<kKind>;
  const Extreme<T>& state = StateOf<Extreme<T>>(acc);
  const T result = state.has_nan ? std::numeric_limits<T>::quiet_NaN() : state.best;
  std::memcpy(out, &result, sizeof(T));
}

template <bool kNegate>
void FinishFound(const Accumulator* acc, double, void* out) {
  const bool result = StateOf<Found>(acc).found != kNegate;
  std::memcpy(out, &result, sizeof(result));
}

inline void FinishCount(const Accumulator* acc, double, void* out) {
  std::memcpy(out, &StateOf<Count>(acc).count, sizeof(int64_t));
}

using UpdateFn = void (*)(Accumulator* acc, const void* in, size_t n);

// The kernel of a reduction around its inner loop.
template <base::Kind kKind>
ReductionKernel WithState(Reduction reduction, UpdateFn update) {
  using Sum =
      std::conditional_t<base::IsFloat(kKind) || base::IsComplex(kKind), FloatSum, IntegerSum>;
  switch (reduction) {
    case Reduction::kSum:
      return {&InitState<Sum>, update, &MergeStates<Sum>, &FinishSum<kKind>};
    case Reduction::kMean:
      return {&InitState<Sum>, update, &MergeStates<Sum>, &FinishMean<kKind>};
    case Reduction::kMin:
      return {&InitExtreme<kKind, false>, update, &MergeExtremes<kKind, false>,
              &FinishExtreme<kKind>};
    case Reduction::kMax:
      return {&InitExtreme<kKind, true>, update, &MergeExtremes<kKind, true>,
              &FinishExtreme<kKind>};
    case Reduction::kAny:
      return {&InitState<Found>, update, &MergeStates<Found>, &FinishFound<false>};
    case Reduction::kAll:
      return {&InitState<Found>, update, &MergeStates<Found>, &FinishFound<true>};
    case Reduction::kCountNonzero:
      return {&InitState<Count>, update, &MergeStates<Count>, &FinishCount};
    case Reduction::kVar:
      return {&InitState<Moments>, update, &MergeStates<Moments>, &FinishMoments<kKind, false>};
    case Reduction::kStd:
      return {&InitState<Moments>, update, &MergeStates<Moments>, &FinishMoments<kKind, true>};
  }
  return {};
}

}  // namespace spanflow::simd
