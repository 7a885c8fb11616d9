// What one column of a reduction along an outer axis keeps, and how it starts, merges and ends.
//
// Owns: nothing; the state is the caller's memory. Threads: thread-safe. Attached: not needed.
// Fails: never.
//
// A Rule has the types Loop (the rule whose loop it shares, or itself), T (of an item), Partial (what some rows are folded into first) and State,
// with Start(), Fold(partial, item), Join(state, partial), Merge(state, state) and
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

template <class T>
T ReadItem(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

// The next wider integer holds the sum of a few items.
template <class T>
using Wider = std::conditional_t<
    sizeof(T) == 1, std::conditional_t<std::is_signed_v<T>, int16_t, uint16_t>,
    std::conditional_t<sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
                       std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>>;

constexpr base::Kind PartOf(base::Kind kind) {
  return kind == base::Kind::kC64 ? base::Kind::kF32 : base::Kind::kF64;
}

// Sum and mean. Floats add up in f64. Integers wrap in 64 bits for the sum; for the mean, 64-bit
// ones add up in f64. Complex numbers are two columns each.
template <base::Kind kKind, bool kMean>
struct SumRule {
  using T = Lane<kKind>;
  static constexpr bool kInteger = std::is_integral_v<T>;
  static constexpr bool kExact = kInteger && !(kMean && sizeof(T) == 8);
  using Integer = std::conditional_t<base::IsUnsigned(kKind), uint64_t, int64_t>;
  using State = std::conditional_t<kExact, Integer, double>;
  using Partial = std::conditional_t<kExact, std::conditional_t<sizeof(T) == 8, uint64_t, Wider<T>>,
                                     double>;
  // The parts of complex numbers are real columns; a mean differs from a sum at the end only.
  using Loop = SumRule<base::IsComplex(kKind) ? PartOf(kKind) : kKind, kMean && !kExact && kInteger>;
  static constexpr size_t kColumns = KindLane<kKind>::kLanes;
  static constexpr size_t kItemBytes = sizeof(T);
  static constexpr int kWidth = 1;
  static constexpr base::Kind kStateKind = kColumns == 2 ? base::Kind::kC128
                                           : !kExact     ? base::Kind::kF64
                                           : std::is_same_v<State, uint64_t> ? base::Kind::kU64
                                                                             : base::Kind::kI64;

  static State Start() { return kExact ? State{} : static_cast<State>(-0.0); }
  SPANFLOW_FOLD T Load(const std::byte* from) { return ReadItem<T>(from); }
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
  static void Finish(State state, int64_t rows, double, void* out, size_t column) {
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

template <base::Kind kKind, bool kMax>
struct ExtremeRule {
  using Loop = ExtremeRule;
  using T = Lane<kKind>;
  using State = T;
  using Partial = T;
  static constexpr size_t kColumns = 1;
  static constexpr size_t kItemBytes = simd::kItemBytes<kKind>;
  static constexpr int kWidth = 1;
  static constexpr base::Kind kStateKind = kKind;

  SPANFLOW_FOLD T Start() {
    using Limits = std::numeric_limits<T>;
    if constexpr (kKind == base::Kind::kBool) return kMax ? 0 : 1;
    if constexpr (Limits::has_infinity) return kMax ? -Limits::infinity() : Limits::infinity();
    return kMax ? Limits::lowest() : Limits::max();
  }
  SPANFLOW_FOLD T Load(const std::byte* from) {
    const T item = ReadItem<T>(from);
    return kKind == base::Kind::kBool ? static_cast<T>(item != 0) : item;
  }
  SPANFLOW_FOLD T First() { return Start(); }
  // A NaN comes in because it differs from itself, and stays because nothing compares with it.
  SPANFLOW_FOLD T Fold(T best, T item) {
    const bool better = kMax ? item > best : item < best;
    if constexpr (std::is_floating_point_v<T>) return better || item != item ? item : best;
    return better ? item : best;
  }
  SPANFLOW_FOLD T Join(T state, T best) { return Fold(state, best); }
  static T Merge(T a, T b) { return Fold(a, b); }
  static void Finish(T state, int64_t, double, void* out, size_t column) {
    WriteColumn(state, out, column);
  }
};

// The bits of an item that tell whether it is zero.
template <base::Kind kKind>
[[gnu::always_inline]] inline typename TruthBits<kKind>::T LoadTruth(const std::byte* from) {
  using Bits = TruthBits<kKind>;
  using T = typename Bits::T;
  T item = ReadItem<T>(from);
  if constexpr (Bits::kPair) item = static_cast<T>(item | ReadItem<T>(from + sizeof(T)));
  return static_cast<T>(item & Bits::kMask);
}

// any: some item was not zero. all: kept as "some item was zero", too.
template <base::Kind kKind, bool kAll>
struct FoundRule {
  using Loop = FoundRule;
  using T = typename TruthBits<kKind>::T;
  using State = uint8_t;
  using Partial = T;
  static constexpr size_t kColumns = 1;
  static constexpr size_t kItemBytes = simd::kItemBytes<kKind>;
  static constexpr int kWidth = 1;
  static constexpr base::Kind kStateKind = base::Kind::kBool;

  static State Start() { return kAll ? 1 : 0; }
  SPANFLOW_FOLD T Load(const std::byte* from) { return LoadTruth<kKind>(from); }
  SPANFLOW_FOLD T First() { return 0; }
  SPANFLOW_FOLD T Fold(T found, T item) {
    return static_cast<T>(found | (kAll ? static_cast<T>(item == 0) : item));
  }
  SPANFLOW_FOLD State Join(State state, T found) {
    const uint8_t flag = found != 0;
    return static_cast<State>(kAll ? state & (flag ^ 1) : state | flag);
  }
  static State Merge(State a, State b) { return static_cast<State>(kAll ? a & b : a | b); }
  static void Finish(State state, int64_t, double, void* out, size_t column) {
    WriteColumn(state, out, column);
  }
};

template <base::Kind kKind>
struct CountRule {
  using Loop = CountRule;
  using T = typename TruthBits<kKind>::T;
  using State = int64_t;
  using Partial = T;
  static constexpr size_t kColumns = 1;
  static constexpr size_t kItemBytes = simd::kItemBytes<kKind>;
  static constexpr int kWidth = 1;
  static constexpr base::Kind kStateKind = base::Kind::kI64;

  static State Start() { return 0; }
  SPANFLOW_FOLD T Load(const std::byte* from) { return LoadTruth<kKind>(from); }
  SPANFLOW_FOLD T First() { return 0; }
  SPANFLOW_FOLD T Fold(T count, T item) { return static_cast<T>(count + (item != 0)); }
  SPANFLOW_FOLD State Join(State state, T count) { return state + static_cast<State>(count); }
  static State Merge(State a, State b) { return a + b; }
  static void Finish(State state, int64_t, double, void* out, size_t column) {
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
void FinishColumns(const void* state, size_t n, int64_t rows, double ddof, void* out) {
  using State = typename Rule::State;
  const State* const states = static_cast<const State*>(state);
  for (size_t i = 0; i < n * Rule::kColumns; ++i) Rule::Finish(states[i], rows, ddof, out, i);
}

// Mean and sum of squared distances of each column: the arrays mean, then m2, or for complex
// numbers real mean, imaginary mean, then m2.
template <base::Kind kKind>
inline constexpr size_t kMomentWidth = KindLane<kKind>::kLanes + 1;

template <base::Kind kKind>
void InitColumnMoments(void* state, size_t n) {
  std::memset(state, 0, n * kMomentWidth<kKind> * sizeof(double));
}

template <base::Kind kKind>
void MergeColumnMoments(void* state, const void* other, size_t n, int64_t seen,
                        int64_t other_rows) {
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  if (other_rows == 0) return;
  const double share =
      static_cast<double>(other_rows) / static_cast<double>(seen + other_rows);
  const double weight = static_cast<double>(seen) * share;
  double* const mine = static_cast<double*>(state);
  const double* const theirs = static_cast<const double*>(other);
  for (size_t i = 0; i < n; ++i) {
    double squares = theirs[kParts * n + i];
    for (size_t part = 0; part < kParts; ++part) {
      const double delta = theirs[part * n + i] - mine[part * n + i];
      mine[part * n + i] += delta * share;
      squares += delta * delta * weight;
    }
    mine[kParts * n + i] += squares;
  }
}

template <base::Kind kKind, bool kRoot>
void FinishColumnMoments(const void* state, size_t n, int64_t rows, double ddof, void* out) {
  using Real = std::conditional_t<std::is_floating_point_v<Lane<kKind>>, Lane<kKind>, double>;
  const double* const m2 = static_cast<const double*>(state) + KindLane<kKind>::kLanes * n;
  const double divisor = static_cast<double>(rows) - ddof;
  for (size_t i = 0; i < n; ++i) {
    const double variance = m2[i] / (divisor > 0 ? divisor : 0.0);
    WriteColumn(static_cast<Real>(kRoot ? std::sqrt(variance) : variance), out, i);
  }
}

}  // namespace spanflow::simd
