// The structs of skew and kurtosis, one per row of SPANFLOW_SHAPES: sums of powers of the distances
// from the mean, block by block in f64 while the block is in L1.
#include <cmath>

#include "simd/hwy_config.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "simd/shapes.cc"
#include "hwy/foreach_target.h"
#include "simd/reduction-inl.h"
#include "simd/sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace spanflow::simd {
namespace HWY_NAMESPACE {
namespace {

using base::Kind;

struct Powers {
  double first = 0, second = 0, third = 0, fourth = 0;
};

// The sums of the powers of the distances of n doubles from `center`.
Powers SumPowers(const std::byte* in, size_t n, double center) {
  const hn::ScalableTag<double> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  constexpr size_t kStep = kLanes * sizeof(double);
  const auto middle = hn::Set(d, center);
  auto first0 = hn::Zero(d), second0 = first0, third0 = first0, fourth0 = first0;
  auto first1 = first0, second1 = first0, third1 = first0, fourth1 = first0;
  const auto add = [middle](auto v, auto* first, auto* second, auto* third, auto* fourth) HWY_ATTR {
    const auto distance = hn::Sub(v, middle);
    const auto square = hn::Mul(distance, distance);
    *first = hn::Add(*first, distance);
    *second = hn::Add(*second, square);
    *third = hn::MulAdd(square, distance, *third);
    *fourth = hn::MulAdd(square, square, *fourth);
  };
  size_t left = n;
  for (; left >= 2 * kLanes; left -= 2 * kLanes, in += 2 * kStep) {
    add(Load(d, in), &first0, &second0, &third0, &fourth0);
    add(Load(d, in + kStep), &first1, &second1, &third1, &fourth1);
  }
  for (; left >= kLanes; left -= kLanes, in += kStep) {
    add(Load(d, in), &first0, &second0, &third0, &fourth0);
  }
  if (left != 0) {
    add(LoadPadded(d, in, left, middle), &first1, &second1, &third1, &fourth1);
  }
  const auto sum = [d](auto v, auto w)
                       HWY_ATTR { return hn::GetLane(hn::SumOfLanes(d, hn::Add(v, w))); };
  return {sum(first0, first1), sum(second0, second1), sum(third0, third1), sum(fourth0, fourth1)};
}

// The mean is rounded; what that moved the sums by is taken out of them.
ShapeMoments MomentsOf(const std::byte* doubles, size_t n) {
  const auto count = static_cast<double>(n);
  const double center = SumBlock<false, double>(doubles, n, 0).re / count;
  const Powers sums = SumPowers(doubles, n, center);
  const double shift = sums.first / count;
  ShapeMoments moments;
  moments.count = count;
  moments.mean = center + shift;
  moments.m2 = sums.second - count * shift * shift;
  moments.m3 = sums.third - 3 * shift * sums.second + 2 * count * shift * shift * shift;
  moments.m4 = sums.fourth - 4 * shift * sums.third + 6 * shift * shift * sums.second -
               3 * count * shift * shift * shift * shift;
  return moments;
}

template <Kind kKind>
struct Skew {
  using State = ShapeMoments;
  using Real = std::conditional_t<base::IsFloat(kKind), Lane<kKind>, double>;

  static void Update(State& moments, const std::byte* in, size_t n) {
    if constexpr (kKind == Kind::kF64) {
      constexpr size_t kBlock = kSumBlock<double>;
      for (size_t i = 0; i < n; i += kBlock) {
        moments.Merge(MomentsOf(in + i * sizeof(double), std::min(kBlock, n - i)));
      }
    } else {
      ForEachWidened<Lane<kKind>>(in, n, kKind, [&moments](const std::byte* piece, size_t items) {
        moments.Merge(MomentsOf(piece, items));
      });
    }
  }

  static void Finish(const State& moments, double, void* out) {
    const double variance = moments.m2 / moments.count;
    WriteResult<Real>(moments.m3 / moments.count / (variance * std::sqrt(variance)), out);
  }
};

template <Kind kKind>
struct Kurtosis : Skew<kKind> {
  static void Finish(const ShapeMoments& moments, double, void* out) {
    const double variance = moments.m2 / moments.count;
    const double ratio = moments.m4 / moments.count / (variance * variance);
    WriteResult<typename Skew<kKind>::Real>(ratio - 3, out);
  }
};

void Fill(Tables* tables) {
#define SPANFLOW_ROW(Name, ...) FillReduction<Name, Reduction::k##Name>(tables);
  SPANFLOW_SHAPES(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace spanflow::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
SPANFLOW_FAMILY(Shapes)
#endif
