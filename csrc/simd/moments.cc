// The structs of var, std and norm, one per row of SPANFLOW_MOMENTS. Variance takes one pass over
// memory, two over each block while it is in L1. And the summary, which takes sum, min and max
// along on the first of these.
#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/moments.cc"
#include "hwy/foreach_target.h"
#include "simd/reduction-inl.h"
#include "simd/sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

using base::Kind;

// Sums of the distances from a center, by part, and of their squares.
template <class T>
struct Distances {
  double re = 0, im = 0, squares = 0;
};

#if HWY_TARGET == HWY_SCALAR

template <bool kComplex, class T>
Distances<T> SumDistances(const std::byte* in, size_t lanes, size_t, PartSums<T> center) {
  constexpr size_t kParts = kComplex ? 2 : 1;
  const T centers[2] = {center.re, center.im};
  // In double: one lane adds as many items as many lanes do elsewhere.
  double sums[2] = {};
  double squares[2] = {};
  for (size_t i = 0; i < lanes; i += kParts) {
    for (size_t k = 0; k < kParts; ++k) {
      const T distance = LoadOne<T>(in + (i + k) * sizeof(T)) - centers[k];
      sums[k] += distance;
      squares[k] += T(distance * distance);
    }
  }
  return {sums[0], sums[1], squares[0] + squares[1]};
}

#else

template <bool kComplex, class T>
HWY_NOINLINE Distances<T> SumDistances(const std::byte* in, size_t lanes, size_t ahead,
                                       PartSums<T> center) {
  const hn::ScalableTag<T> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  constexpr size_t kStep = kLanes * sizeof(T);
  auto middle = hn::Set(d, center.re);
  if constexpr (kComplex) middle = hn::OddEven(hn::Set(d, center.im), middle);
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  auto q0 = s0, q1 = s0, q2 = s0, q3 = s0;
  const auto add = [middle](auto v, auto* sum, auto* squares) HWY_ATTR {
    const auto distance = hn::Sub(v, middle);
    *sum = hn::Add(*sum, distance);
    *squares = hn::MulAdd(distance, distance, *squares);
  };
  size_t left = lanes;
  for (; left >= 4 * kLanes; left -= 4 * kLanes, in += 4 * kStep) {
    PrefetchLines<4 * kStep>(in + ahead);  // while this block is read from L1
    add(Load(d, in), &s0, &q0);
    add(Load(d, in + kStep), &s1, &q1);
    add(Load(d, in + 2 * kStep), &s2, &q2);
    add(Load(d, in + 3 * kStep), &s3, &q3);
  }
  for (; left >= kLanes; left -= kLanes, in += kStep) add(Load(d, in), &s0, &q0);
  if (left != 0) add(LoadPadded(d, in, left, middle), &s1, &q1);
  const auto sums = SumParts<kComplex>(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
  const auto squares = hn::SumOfLanes(d, hn::Add(hn::Add(q0, q1), hn::Add(q2, q3)));
  return {sums.re, sums.im, hn::GetLane(squares)};
}

#endif

// The moments of one block of known sum: the distances from its mean. The mean is rounded to T,
// which the sums of the distances make good.
template <bool kComplex, class T>
Moments MomentsOfBlock(const std::byte* in, size_t n, size_t ahead, PartSums<T> sums) {
  constexpr size_t kParts = kComplex ? 2 : 1;
  const T count = static_cast<T>(n);
  const PartSums<T> center = {sums.re / count, sums.im / count};
  const Distances<T> rest = SumDistances<kComplex, T>(in, n * kParts, ahead, center);
  const double items = static_cast<double>(n);
  Moments moments;
  moments.count = items;
  moments.pivot_re = double{center.re};
  moments.pivot_im = double{center.im};
  moments.mean_re = rest.re / items;
  moments.mean_im = rest.im / items;
  moments.m2 = rest.squares - (rest.re * rest.re + rest.im * rest.im) / items;
  // Rounding must not leave a block of equal elements below zero; a NaN has to stay.
  if (moments.m2 < 0) moments.m2 = 0;
  return moments;
}

// Whether the squares of a block of f32 are neither too large nor too small for f32. Equal items
// have none.
template <bool kComplex>
bool InRange(const Moments& moments, const std::byte* in, size_t n) {
  constexpr double kSmallest = 1e-30;  // below it, the square of an item may have lost bits
  constexpr size_t kItem = sizeof(float) * (kComplex ? 2 : 1);
  if (moments.m2 > kSmallest && std::isfinite(moments.m2)) return true;
  return moments.m2 <= kSmallest && std::memcmp(in, in + kItem, (n - 1) * kItem) == 0;
}

// Adds a block of n items of known sum. Where f32 does not do, it is widened: what the result is
// must not depend on which elements came into one block. Moments that are NaN already stay so.
template <bool kComplex, class T>
void AddMoments(const std::byte* in, size_t n, size_t ahead, PartSums<T> sums, Moments* to) {
  constexpr size_t kParts = kComplex ? 2 : 1;
  const Moments block = MomentsOfBlock<kComplex, T>(in, n, ahead, sums);
  if constexpr (sizeof(T) == 4) {
    if (HWY_UNLIKELY(!InRange<kComplex>(block, in, n)) && !std::isnan(to->m2)) {
      const auto add = [to](const std::byte* piece, size_t lanes) {
        const PartSums<double> wide = SumBlock<kComplex, double>(piece, lanes, 0);
        to->Merge(MomentsOfBlock<kComplex, double>(piece, lanes / kParts, 0, wide));
      };
      return ForEachWidened<T>(in, n * kParts, Kind::kF32, add);
    }
  }
  to->Merge(block);
}

template <Kind kKind>
struct Var {
  static constexpr bool kFloating = base::IsFloat(kKind) || base::IsComplex(kKind);
  using State = Moments;

  static void Update(State& moments, const std::byte* in, size_t n) {
    if constexpr (kFloating)
      UpdateFloat(moments, in, n);
    else
      UpdateInteger(moments, in, n);
  }

  static void Finish(const State& moments, double ddof, void* out) {
    WriteResult<Real>(Variance(moments, ddof), out);
  }

 protected:
  using Real = std::conditional_t<kFloating, Lane<kKind>, double>;

  static double Variance(const State& moments, double ddof) {
    const double divisor = moments.count - ddof;
    return moments.m2 / (divisor > 0 ? divisor : 0.0);
  }

 private:
  static void UpdateFloat(State& moments, const std::byte* in, size_t n) {
    using T = Lane<kKind>;
    constexpr size_t kParts = KindLane<kKind>::kLanes;
    constexpr bool kComplex = kParts == 2;
    constexpr size_t kBlock = kSumBlock<T> / kParts;
    for (size_t i = 0; i < n; i += kBlock, in += kBlock * kItemBytes<kKind>) {
      const size_t items = std::min(kBlock, n - i);
      const size_t ahead = Ahead<T>((n - i) * kParts);
      const PartSums<T> sums = SumBlock<kComplex, T>(in, items * kParts, ahead);
      AddMoments<kComplex, T>(in, items, ahead, sums, &moments);
    }
  }

  static void UpdateInteger(State& moments, const std::byte* in, size_t n) {
    ForEachWidened<Lane<kKind>>(in, n, kKind, [&](const std::byte* piece, size_t items) {
      const PartSums<double> sums = SumBlock<false, double>(piece, items, 0);
      moments.Merge(MomentsOfBlock<false, double>(piece, items, 0, sums));
    });
  }
};

template <Kind kKind>
struct Std : Var<kKind> {
  static void Finish(const Moments& moments, double ddof, void* out) {
    const double variance = Var<kKind>::Variance(moments, ddof);
    WriteResult<typename Var<kKind>::Real>(std::sqrt(variance), out);
  }
};

// ---- norm ----

// The sum of the squares of a block, in f64 where f32 does not do.
template <bool kComplex, class T>
double SquaresOfBlock(const std::byte* in, size_t lanes, size_t ahead) {
  const double squares = SumDistances<kComplex, T>(in, lanes, ahead, {0, 0}).squares;
  if constexpr (sizeof(T) == 4) {
    constexpr double kSmallest = 1e-30;
    if (HWY_UNLIKELY(!(squares > kSmallest && std::isfinite(squares)))) {
      double wide = 0;
      ForEachWidened<T>(in, lanes, Kind::kF32, [&wide](const std::byte* piece, size_t count) {
        wide += SumDistances<kComplex, double>(piece, count, 0, {0, 0}).squares;
      });
      return wide;
    }
  }
  return squares;
}

template <Kind kKind>
struct Norm {
  static constexpr bool kFloating = Var<kKind>::kFloating;
  using State = SquareSum;
  using Real = std::conditional_t<kFloating, Lane<kKind>, double>;

  static void Update(State& sum, const std::byte* in, size_t n) {
    using T = Lane<kKind>;
    if constexpr (kFloating) {
      for (size_t left = n * KindLane<kKind>::kLanes; left != 0;) {
        const size_t lanes = std::min(left, kSumBlock<T>);
        sum.total.Add(SquaresOfBlock<base::IsComplex(kKind), T>(in, lanes, Ahead<T>(left)));
        in += lanes * sizeof(T);
        left -= lanes;
      }
    } else {
      ForEachWidened<T>(in, n, kKind, [&sum](const std::byte* piece, size_t count) {
        sum.total.Add(SquaresOfBlock<false, double>(piece, count, 0));
      });
    }
  }

  static void Finish(const State& sum, double, void* out) {
    WriteResult<Real>(std::sqrt(std::fabs(sum.total.Value())), out);
  }
};

// ---- the summary ----

template <class T>
struct Extent {
  T sum, min, max;
};

#if HWY_TARGET == HWY_SCALAR

template <class T>
Extent<T> ExtentOfBlock(const std::byte* in, size_t n, size_t, T min, T max) {
  for (size_t i = 0; i < n; ++i) {
    const T value = LoadOne<T>(in + i * sizeof(T));
    min = std::min(min, value);
    max = std::max(max, value);
  }
  return {SumBlock<false, T>(in, n, 0).re, min, max};
}

#else

// The additions are those of SumBlock, so the sum has the same bits. With a NaN in the block, min
// and max mean nothing, and the sum is NaN.
template <class T>
HWY_NOINLINE Extent<T> ExtentOfBlock(const std::byte* in, size_t n, size_t ahead, T min, T max) {
  const hn::ScalableTag<T> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  constexpr size_t kStep = kLanes * sizeof(T);
  const auto none = hn::Set(d, T(-0.0));
  auto s0 = none, s1 = none, s2 = none, s3 = none, s4 = none, s5 = none, s6 = none, s7 = none;
  auto low0 = hn::Set(d, min), low1 = low0;
  auto high0 = hn::Set(d, max), high1 = high0;
  // Two at a time, because the extremes so far are what the next ones wait for.
  const auto add = [](auto v, auto w, auto* sum_v, auto* sum_w, auto* low, auto* high) HWY_ATTR {
    *sum_v = hn::Add(*sum_v, v);
    *sum_w = hn::Add(*sum_w, w);
    *low = hn::Min(*low, hn::Min(v, w));
    *high = hn::Max(*high, hn::Max(v, w));
  };
  size_t left = n;
  for (; left >= 8 * kLanes; left -= 8 * kLanes, in += 8 * kStep) {
    PrefetchLines<8 * kStep>(in + ahead);
    add(Load(d, in), Load(d, in + kStep), &s0, &s1, &low0, &high0);
    add(Load(d, in + 2 * kStep), Load(d, in + 3 * kStep), &s2, &s3, &low1, &high1);
    add(Load(d, in + 4 * kStep), Load(d, in + 5 * kStep), &s4, &s5, &low0, &high0);
    add(Load(d, in + 6 * kStep), Load(d, in + 7 * kStep), &s6, &s7, &low1, &high1);
  }
  for (; left >= kLanes; left -= kLanes, in += kStep) {
    const auto v = Load(d, in);
    s0 = hn::Add(s0, v);
    low0 = hn::Min(low0, v);
    high0 = hn::Max(high0, v);
  }
  if (left != 0) {
    s1 = hn::Add(s1, LoadPadded(d, in, left, none));
    low1 = hn::Min(low1, LoadPadded(d, in, left, low1));
    high1 = hn::Max(high1, LoadPadded(d, in, left, high1));
  }
  const auto low = hn::Add(hn::Add(s0, s1), hn::Add(s2, s3));
  const auto high = hn::Add(hn::Add(s4, s5), hn::Add(s6, s7));
  return {hn::GetLane(hn::SumOfLanes(d, hn::Add(low, high))),
          hn::GetLane(hn::MinOfLanes(d, hn::Min(low0, low1))),
          hn::GetLane(hn::MaxOfLanes(d, hn::Max(high0, high1)))};
}

#endif

template <class T>
bool ContainsNaN(const std::byte* in, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    if (std::isnan(LoadOne<T>(in + i * sizeof(T)))) return true;
  }
  return false;
}

template <class State>
State* StateIn(Accumulator* acc) {
  return acc == nullptr ? nullptr : &StateOf<State>(acc);
}

template <Kind kKind>
void UpdateSummary(const Summary& to, const void* input, size_t n) {
  using T = Lane<kKind>;
  const std::byte* in = static_cast<const std::byte*>(input);
  auto* const min = StateIn<Extreme<kKind, false>>(to.min);
  auto* const max = StateIn<Extreme<kKind, true>>(to.max);
  auto* const sum = StateIn<FloatSum>(to.sum);
  auto* const moments = StateIn<Moments>(to.moments);
  T low = min == nullptr ? T(0) : min->best;
  T high = max == nullptr ? T(0) : max->best;
  const bool extremes = min != nullptr || max != nullptr;
  bool has_nan = false;
  for (size_t left = n; left != 0;) {
    const size_t items = std::min(left, kSumBlock<T>);
    const size_t ahead = Ahead<T>(left);
    const Extent<T> extent = extremes
                                 ? ExtentOfBlock<T>(in, items, ahead, low, high)
                                 : Extent<T>{SumBlock<false, T>(in, items, ahead).re, low, high};
    if (extremes && std::isnan(extent.sum) && ContainsNaN<T>(in, items)) {
      has_nan = true;
    } else {
      low = extent.min;
      high = extent.max;
    }
    const PartSums<T> sums = {extent.sum, 0};
    if (sum != nullptr) AddBlock<false, T>(sums, in, items, sum);
    if (moments != nullptr) AddMoments<false, T>(in, items, ahead, sums, moments);
    in += items * sizeof(T);
    left -= items;
  }
  if (sum != nullptr) sum->count += n;
  if (min != nullptr) *min = {low, min->has_nan || has_nan, min->seen || n != 0};
  if (max != nullptr) *max = {high, max->has_nan || has_nan, max->seen || n != 0};
}

void Fill(Tables* tables) {
  tables->summaries[static_cast<size_t>(Kind::kF32)] = &UpdateSummary<Kind::kF32>;
  tables->summaries[static_cast<size_t>(Kind::kF64)] = &UpdateSummary<Kind::kF64>;
#define SPANFLOW_ROW(Name, ...) FillReduction<Name, Reduction::k##Name>(tables);
  SPANFLOW_MOMENTS(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Moments)
#endif
