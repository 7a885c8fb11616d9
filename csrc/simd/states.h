// The states of reductions: what lies in an Accumulator. A new one has seen nothing; Merge adds
// what came after. One that has a Done() says when nothing that comes can change it any more.
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

// The smallest or largest item so far; before the first one, what is never smaller or larger.
template <base::Kind kKind, bool kMax>
struct Extreme {
  using T = Lane<kKind>;

  static constexpr T Identity() {
    using Limits = std::numeric_limits<T>;
    if constexpr (kKind == base::Kind::kBool) return kMax ? 0 : 1;
    if constexpr (Limits::has_infinity) return kMax ? -Limits::infinity() : Limits::infinity();
    return kMax ? Limits::lowest() : Limits::max();
  }

  T best = Identity();
  bool has_nan = false;
  bool seen = false;

  bool Done() const { return has_nan; }
  void Merge(const Extreme& other) {
    has_nan = has_nan || other.has_nan;
    seen = seen || other.seen;
    if (kMax ? other.best > best : other.best < best) best = other.best;
  }
};

// Both at once.
template <base::Kind kKind>
struct LowHigh {
  Extreme<kKind, false> low;
  Extreme<kKind, true> high;

  bool Done() const { return low.has_nan; }
  void Merge(const LowHigh& other) {
    low.Merge(other.low);
    high.Merge(other.high);
  }
};

// Where the smallest or largest item is, counted from the first one seen; a NaN is both. There is
// no Done(): what came before, folded somewhere else, still moves the place.
template <base::Kind kKind, bool kMax>
struct Place {
  Lane<kKind> best = Extreme<kKind, kMax>::Identity();
  bool has_nan = false;
  int64_t place = -1;
  int64_t count = 0;

  // Whether an item, or another state's best, takes the place of this one.
  bool Beats(Lane<kKind> other) const { return place < 0 || (kMax ? other > best : other < best); }
  void Merge(const Place& other) {
    if (!has_nan && other.place >= 0 && (other.has_nan || Beats(other.best))) {
      best = other.best;
      has_nan = other.has_nan;
      place = count + other.place;
    }
    count += other.count;
  }
};

// Integers wrap; floats, and the parts of complex numbers, multiply in f64.
struct IntegerProduct {
  uint64_t total = 1;

  void Merge(const IntegerProduct& other) { total *= other.total; }
};

struct FloatProduct {
  double re = 1, im = 0;

  void Merge(const FloatProduct& other) {
    const double real = re * other.re - im * other.im;
    im = re * other.im + im * other.re;
    re = real;
  }
};

struct Found {
  bool found = false;

  bool Done() const { return found; }
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

// Up to the fourth sum of powers of the distances from the mean.
struct ShapeMoments {
  double count = 0;
  double mean = 0;
  double m2 = 0, m3 = 0, m4 = 0;

  // Pébay 2008.
  void Merge(const ShapeMoments& other) {
    if (other.count == 0) return;
    if (count == 0) {
      *this = other;
      return;
    }
    const double all = count + other.count;
    const double mine = count / all, share = other.count / all;
    const double delta = other.mean - mean;
    const double square = delta * delta;
    m4 += other.m4 +
          square * square * count * share * (mine * mine - mine * share + share * share) +
          6 * square * (mine * mine * other.m2 + share * share * m2) +
          4 * delta * (mine * other.m3 - share * m3);
    m3 += other.m3 + square * delta * count * share * (mine - share) +
          3 * delta * (mine * other.m2 - share * m2);
    m2 += other.m2 + square * count * share;
    mean += delta * share;
    count = all;
  }
};

struct SquareSum {
  CompensatedSum total;

  void Merge(const SquareSum& other) { total.Merge(other.total); }
};

}  // namespace spanflow::simd
