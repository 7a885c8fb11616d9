// What one column of a reduction along an outer axis keeps, and how it starts, merges and ends.
//
// Owns: nothing; the state is the caller's memory. Threads: thread-safe. Attached: not needed.
// Fails: never.
//
// A Rule says how one column is reduced. It has the types T (of an item as the loop reads it, which
// is kLoopKind), Partial (what some rows are folded into first), State and Loop (the rule whose
// loop it uses, mostly itself), kColumns (states per item), kExtreme (min or max), and the
// functions Start(), First(), Fold(partial, item), Join(state, partial), Merge(state, state),
// Finish(state, rows, out, column).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "simd/kernels.h"
#include "simd/lanes.h"

namespace spanflow::simd {

#define SPANFLOW_FOLD [[gnu::always_inline]] static

template <class T>
void WriteColumn(T value, void* out, size_t column) {
  std::memcpy(static_cast<std::byte*>(out) + column * sizeof(T), &value, sizeof(T));
}

// The next wider integer holds the sum of a few items.
template <class T>
using Wider = std::conditional_t<
    sizeof(T) == 1, std::conditional_t<std::is_signed_v<T>, int16_t, uint16_t>,
    std::conditional_t<
        sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
        std::conditional_t<std::is_signed_v<T> && sizeof(T) < 8, int64_t, uint64_t>>>;

constexpr base::Kind PartOf(base::Kind kind) {
  return kind == base::Kind::kC64 ? base::Kind::kF32 : base::Kind::kF64;
}

// Sum and mean. Floats add up in f64. Integers wrap in 64 bits for the sum; for the mean, 64-bit
// ones add up in f64. The parts of complex numbers are columns of their own.
template <base::Kind kKind, bool kMean>
struct SumRule {
  using T = Lane<kKind>;
  static constexpr bool kInteger = std::is_integral_v<T>;
  static constexpr bool kExact = kInteger && !(kMean && sizeof(T) == 8);
  using Integer = std::conditional_t<base::IsUnsigned(kKind), uint64_t, int64_t>;
  using State = std::conditional_t<kExact, Integer, double>;
  using Partial = std::conditional_t<kExact, Wider<T>, double>;
  // A mean differs from a sum at the end only, unless the sum would wrap.
  using Loop =
      SumRule<base::IsComplex(kKind) ? PartOf(kKind) : kKind, kMean && kInteger && !kExact>;
  static constexpr base::Kind kLoopKind = kKind;
  static constexpr bool kExtreme = false;
  static constexpr size_t kColumns = KindLane<kKind>::kLanes;
  static constexpr base::Kind kStateKind = kColumns == 2             ? base::Kind::kC128
                                           : !kExact                 ? base::Kind::kF64
                                           : base::IsUnsigned(kKind) ? base::Kind::kU64
                                                                     : base::Kind::kI64;

  static State Start() { return kExact ? State{} : static_cast<State>(-0.0); }
  SPANFLOW_FOLD Partial First() { return kExact ? Partial{} : static_cast<Partial>(-0.0); }
  SPANFLOW_FOLD Partial Fold(Partial sum, T item) {
    if constexpr (kKind == base::Kind::kBool) return static_cast<Partial>(sum + (item != 0));
    return static_cast<Partial>(sum + static_cast<Partial>(item));
  }
  SPANFLOW_FOLD State Join(State state, Partial sum) {
    if constexpr (!kExact) return state + sum;
    return static_cast<State>(static_cast<uint64_t>(state) + static_cast<uint64_t>(sum));
  }
  static State Merge(State a, State b) {
    if constexpr (!kExact) return a + b;
    return static_cast<State>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
  static void Finish(State state, int64_t rows, void* out, size_t column) {
    using Float = std::conditional_t<kInteger, double, T>;
    if constexpr (kMean) {
      const double mean = static_cast<double>(state) / static_cast<double>(rows);
      WriteColumn(static_cast<Float>(mean), out, column);
    } else if constexpr (kExact) {
      WriteColumn(state, out, column);
    } else {
      WriteColumn(static_cast<Float>(rows == 0 ? 0.0 : state), out, column);
    }
  }
};

// Products of real numbers: integers wrap, floats multiply in f64. Items are converted to what they
// multiply in.
template <base::Kind kKind>
struct ProductRule {
  static constexpr bool kFloating = base::IsFloat(kKind);
  using T = std::conditional_t<kFloating, double, uint64_t>;
  using State = T;
  using Partial = T;
  static constexpr base::Kind kLoopKind = kFloating                 ? base::Kind::kF64
                                          : base::IsUnsigned(kKind) ? base::Kind::kU64
                                                                    : base::Kind::kI64;
  using Loop = ProductRule<kFloating ? base::Kind::kF64 : base::Kind::kU64>;
  static constexpr bool kExtreme = false;
  static constexpr size_t kColumns = 1;
  static constexpr base::Kind kStateKind = kLoopKind;

  static State Start() { return 1; }
  SPANFLOW_FOLD Partial First() { return 1; }
  SPANFLOW_FOLD Partial Fold(Partial product, T item) { return product * item; }
  SPANFLOW_FOLD State Join(State state, Partial product) { return state * product; }
  static State Merge(State a, State b) { return a * b; }
  static void Finish(State state, int64_t, void* out, size_t column) {
    WriteColumn(static_cast<std::conditional_t<kFloating, Lane<kKind>, T>>(state), out, column);
  }
};

// Bools are converted to u8, which makes them 0 or 1.
template <base::Kind kKind, bool kMax>
struct ExtremeRule {
  using T = Lane<kKind>;
  using State = T;
  using Partial = T;
  static constexpr base::Kind kLoopKind = kKind == base::Kind::kBool ? base::Kind::kU8 : kKind;
  using Loop = ExtremeRule<kLoopKind, kMax>;
  static constexpr bool kExtreme = true;
  static constexpr bool kLargest = kMax;
  static constexpr size_t kColumns = 1;
  static constexpr base::Kind kStateKind = kKind;

  SPANFLOW_FOLD T Start() {
    using Limits = std::numeric_limits<T>;
    if constexpr (kKind == base::Kind::kBool) return kMax ? 0 : 1;
    if constexpr (Limits::has_infinity) return kMax ? -Limits::infinity() : Limits::infinity();
    return kMax ? Limits::lowest() : Limits::max();
  }
  SPANFLOW_FOLD T First() { return Start(); }
  // A NaN comes in because it differs from itself, and stays because nothing compares with it.
  SPANFLOW_FOLD T Fold(T best, T item) {
    bool better = kMax ? item > best : item < best;
    if constexpr (std::is_floating_point_v<T>) better |= item != item;
    return better ? item : best;
  }
  SPANFLOW_FOLD T Join(T state, T best) { return Fold(state, best); }
  static T Merge(T a, T b) { return Fold(a, b); }
  static void Finish(T state, int64_t, void* out, size_t column) {
    WriteColumn(state, out, column);
  }
};

// The other rules look at whether an item is zero: items are converted to bool, which is u8 with 0
// and 1.
struct TruthRule {
  using T = uint8_t;
  using Partial = uint8_t;
  static constexpr base::Kind kLoopKind = base::Kind::kBool;
  static constexpr bool kExtreme = false;
  static constexpr size_t kColumns = 1;
};

template <bool kAll>
struct FoundRule : TruthRule {
  using State = uint8_t;
  using Loop = FoundRule;
  static constexpr base::Kind kStateKind = base::Kind::kBool;

  SPANFLOW_FOLD State Start() { return kAll ? 1 : 0; }
  SPANFLOW_FOLD State First() { return Start(); }
  SPANFLOW_FOLD State Fold(State state, T item) {
    const uint8_t truth = item != 0;
    return static_cast<State>(kAll ? state & truth : state | truth);
  }
  SPANFLOW_FOLD State Join(State state, State other) { return Merge(state, other); }
  SPANFLOW_FOLD State Merge(State a, State b) { return static_cast<State>(kAll ? a & b : a | b); }
  static void Finish(State state, int64_t, void* out, size_t column) {
    WriteColumn(state, out, column);
  }
};

struct CountRule : TruthRule {
  using State = int64_t;
  using Loop = CountRule;
  static constexpr base::Kind kStateKind = base::Kind::kI64;

  static State Start() { return 0; }
  SPANFLOW_FOLD Partial First() { return 0; }
  SPANFLOW_FOLD Partial Fold(Partial count, T item) {
    return static_cast<Partial>(count + (item != 0));
  }
  SPANFLOW_FOLD State Join(State state, Partial count) { return state + count; }
  static State Merge(State a, State b) { return a + b; }
  static void Finish(State state, int64_t, void* out, size_t column) {
    WriteColumn(state, out, column);
  }
};

#undef SPANFLOW_FOLD

template <class Rule>
void InitColumns(void* state, size_t n) {
  using State = typename Rule::State;
  State* const states = static_cast<State*>(state);
  for (size_t i = 0; i < n * Rule::kColumns; ++i) states[i] = Rule::Start();
}

template <class Rule>
void MergeColumns(void* state, const void* other, size_t n, int64_t, int64_t) {
  using State = typename Rule::State;
  State* const states = static_cast<State*>(state);
  const State* const others = static_cast<const State*>(other);
  for (size_t i = 0; i < n * Rule::kColumns; ++i) states[i] = Rule::Merge(states[i], others[i]);
}

template <class Rule>
void FinishColumns(const void* state, size_t n, int64_t rows, double, void* out) {
  using State = typename Rule::State;
  const State* const states = static_cast<const State*>(state);
  for (size_t i = 0; i < n * Rule::kColumns; ++i) Rule::Finish(states[i], rows, out, i);
}

// Moments of each column in three arrays one behind the other: a pivot (the first row), the mean as
// its distance from the pivot, the sum of the squared distances from the mean. The parts of complex
// numbers are columns of their own until the end.
inline constexpr size_t kMomentWidth = 3;

template <size_t kColumns>
void InitColumnMoments(void* state, size_t n) {
  std::memset(state, 0, n * kColumns * kMomentWidth * sizeof(double));
}

template <size_t kColumns>
void MergeColumnMoments(void* state, const void* other, size_t n, int64_t seen,
                        int64_t other_rows) {
  const size_t columns = n * kColumns;
  if (other_rows == 0) return;
  if (seen == 0) {
    std::memcpy(state, other, columns * kMomentWidth * sizeof(double));
    return;
  }
  const double share = static_cast<double>(other_rows) / static_cast<double>(seen + other_rows);
  const double weight = static_cast<double>(seen) * share;
  double* const mine = static_cast<double*>(state);
  const double* const theirs = static_cast<const double*>(other);
  for (size_t i = 0; i < columns; ++i) {
    const size_t mean = columns + i;
    const size_t m2 = 2 * columns + i;
    const double delta = (theirs[i] - mine[i]) + (theirs[mean] - mine[mean]);
    mine[mean] += delta * share;
    mine[m2] += theirs[m2] + delta * delta * weight;
  }
}

template <class Real, size_t kColumns, bool kRoot>
void FinishColumnMoments(const void* state, size_t n, int64_t rows, double ddof, void* out) {
  const double* const m2 = static_cast<const double*>(state) + 2 * kColumns * n;
  const double divisor = static_cast<double>(rows) - ddof;
  for (size_t i = 0; i < n; ++i) {
    double squares = m2[i * kColumns];
    if constexpr (kColumns == 2) squares += m2[i * kColumns + 1];
    const double variance = squares / (divisor > 0 ? divisor : 0.0);
    WriteColumn(static_cast<Real>(kRoot ? std::sqrt(variance) : variance), out, i);
  }
}

}  // namespace spanflow::simd
