// What each reduction of the table means for a list of numbers: one line for a new row.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "simd/ops.h"

namespace spanflow::testing {

// `x` has no NaN, or the reduction is one that leaves them out.
inline double Reference(simd::Reduction reduction, std::vector<double> x, double ddof) {
  using simd::Reduction;
  std::erase_if(x, [](double v) { return std::isnan(v); });
  if (x.empty() && simd::NeedsElements(reduction)) return std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<double>(x.size());
  const double sum = std::accumulate(x.begin(), x.end(), 0.0);
  double squares = 0, distances = 0, cubes = 0, fourths = 0;
  for (const double v : x) squares += v * v;
  for (const double v : x) distances += (v - sum / n) * (v - sum / n);
  for (const double v : x) {
    const double distance = v - sum / n;
    cubes += distance * distance * distance;
    fourths += distance * distance * distance * distance;
  }
  const double variance = distances / n;
  const auto nonzero = std::count_if(x.begin(), x.end(), [](double v) { return v != 0; });
  const auto low = std::min_element(x.begin(), x.end());
  const auto high = std::max_element(x.begin(), x.end());
  switch (reduction) {
    case Reduction::kSum:
    case Reduction::kNanSum:
      return sum;
    case Reduction::kProd:
    case Reduction::kNanProd:
      return std::accumulate(x.begin(), x.end(), 1.0, std::multiplies<>());
    case Reduction::kMin:
    case Reduction::kNanMin:
      return *low;
    case Reduction::kMax:
    case Reduction::kNanMax:
      return *high;
    case Reduction::kAny:
      return nonzero > 0;
    case Reduction::kAll:
      return nonzero == static_cast<int64_t>(x.size());
    case Reduction::kCountNonzero:
      return static_cast<double>(nonzero);
    case Reduction::kCount:
    case Reduction::kNanCount:
      return n;
    case Reduction::kMean:
    case Reduction::kNanMean:
      return sum / n;
    case Reduction::kVar:
    case Reduction::kNanVar:
      return distances / std::max(n - ddof, 0.0);
    case Reduction::kStd:
    case Reduction::kNanStd:
      return std::sqrt(distances / std::max(n - ddof, 0.0));
    case Reduction::kSkew:
    case Reduction::kNanSkew:
      return cubes / n / std::pow(variance, 1.5);
    case Reduction::kKurtosis:
    case Reduction::kNanKurtosis:
      return fourths / n / (variance * variance) - 3;
    case Reduction::kNorm:
      return std::sqrt(squares);
    case Reduction::kArgMin:
      return static_cast<double>(low - x.begin());
    case Reduction::kArgMax:
      return static_cast<double>(high - x.begin());
    case Reduction::kPtp:
      return *high - *low;
  }
  ADD_FAILURE();
  return 0;
}

}  // namespace spanflow::testing
