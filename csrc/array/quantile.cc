#include "array/quantile.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "array/copy.h"
#include "array/create.h"
#include "array/iterate.h"
#include "array/loader.h"
#include "array/promote.h"
#include "array/reduce_axes.h"
#include "array/split.h"
#include "runtime/pool.h"

namespace spanflow::array {
namespace {

using base::Kind;
using base::Status;

constexpr auto kMethodNames = std::to_array<std::string_view>(
    {"inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf",
     "hazen", "weibull", "linear", "median_unbiased", "normal_unbiased", "lower", "higher",
     "midpoint", "nearest"});

// Between the elements number `low` and `high` of the sorted ones.
struct Position {
  int64_t low, high;
  double share;  // of the higher one
};

// The place of a quantile among n sorted elements, counted from 0; mostly between two of them.
double VirtualIndex(QuantileMethod method, double n, double q) {
  const auto general = [n, q](double alpha, double beta) {
    return n * q + (alpha + q * (1 - alpha - beta)) - 1;
  };
  switch (method) {
    case QuantileMethod::kInvertedCdf:
    case QuantileMethod::kAveragedInvertedCdf:
      return n * q - 1;
    case QuantileMethod::kClosestObservation:
      return n * q - 1 - 0.5;
    case QuantileMethod::kInterpolatedInvertedCdf:
      return general(0, 1);
    case QuantileMethod::kHazen:
      return general(0.5, 0.5);
    case QuantileMethod::kWeibull:
      return general(0, 0);
    case QuantileMethod::kMedianUnbiased:
      return general(1 / 3.0, 1 / 3.0);
    case QuantileMethod::kNormalUnbiased:
      return general(3 / 8.0, 3 / 8.0);
    default:
      return (n - 1) * q;
  }
}

// The share of the higher neighbour, for a place that is `share` of the way to it.
double ShareFor(QuantileMethod method, double floor, double share) {
  switch (method) {
    case QuantileMethod::kInvertedCdf:
    case QuantileMethod::kHigher:
      return share == 0 ? 0 : 1;
    case QuantileMethod::kAveragedInvertedCdf:
      return share == 0 ? 0.5 : 1;
    case QuantileMethod::kClosestObservation:  // halves go to the even ones, counted from 1
      return share == 0 && std::fmod(floor, 2) != 0 ? 0 : 1;
    case QuantileMethod::kLower:
      return 0;
    case QuantileMethod::kMidpoint:
      return share == 0 ? 0 : 0.5;
    case QuantileMethod::kNearest:  // halves go to the even ones, counted from 0
      return share > 0.5 || (share == 0.5 && std::fmod(floor, 2) != 0) ? 1 : 0;
    default:
      return share;
  }
}

Position PositionOf(QuantileMethod method, int64_t n, double q) {
  const double index = VirtualIndex(method, static_cast<double>(n), q);
  const double floor = std::floor(index);
  const auto clamp = [n](double place) {
    return static_cast<int64_t>(std::clamp(place, 0.0, static_cast<double>(n - 1)));
  };
  return {clamp(floor), clamp(floor + 1), ShareFor(method, floor, index - floor)};
}

// From whichever end is nearer, so that equal ends give themselves.
template <class T>
T Between(T low, T high, double share) {
  const auto t = static_cast<T>(share);
  const T distance = high - low;
  if (share == 0 || distance == 0) return low;
  if (share == 1) return high;
  return share >= 0.5 ? high - distance * (1 - t) : low + distance * t;
}

// Puts the elements of the wanted places there, each within what the ones before left.
template <class T>
void Select(std::span<T> values, std::vector<int64_t>* places) {
  std::sort(places->begin(), places->end());
  places->erase(std::unique(places->begin(), places->end()), places->end());
  auto from = values.begin();
  for (const int64_t place : *places) {
    std::nth_element(from, values.begin() + place, values.end());
    from = values.begin() + place + 1;
  }
}

// The quantiles of some numbers, which are put into another order. Strides of `out` in elements.
template <class T>
void QuantilesOf(std::span<T> values, const QuantileHow& how, T* out, int64_t step) {
  const auto numbers =
      std::partition(values.begin(), values.end(), [](T value) { return value == value; });
  const auto count = static_cast<int64_t>(numbers - values.begin());
  const auto total = static_cast<int64_t>(values.size());
  std::vector<Position> positions;
  std::vector<int64_t> places;
  const bool none = count == 0 || (count < total && !how.leave_nan_out);
  for (size_t i = 0; i < how.quantiles.size() && !none; ++i) {
    positions.push_back(PositionOf(how.method, count, how.quantiles[i]));
    places.push_back(positions.back().low);
    places.push_back(positions.back().high);
  }
  Select(values.first(static_cast<size_t>(count)), &places);
  for (size_t i = 0; i < how.quantiles.size(); ++i, out += step) {
    *out = none ? std::numeric_limits<T>::quiet_NaN()
                : Between(values[static_cast<size_t>(positions[i].low)],
                          values[static_cast<size_t>(positions[i].high)], positions[i].share);
  }
}

// Integers are exact as f64 up to 2^53; beyond it they are rounded, which keeps their order.
Kind SelectKind(Kind operand) {
  const Kind compute = ComputeKind(operand);
  return compute == Kind::kF32 ? compute : Kind::kF64;
}

// `results` is contiguous, of the kind that values are selected in.
template <class T>
void RunRows(const View& in, const AxisSet& reduced, const QuantileHow& how, const View& results,
             const RunOptions& options) {
  const ResultLines lines(in, reduced, SelectKind(in.dtype().kind()));
  const auto body = [&](int64_t begin, int64_t end) {
    std::vector<T> values(static_cast<size_t>(lines.length));
    Cursor row;
    row.Start(&lines.starts, begin);
    for (; begin < end; ++begin, row.Advance(1)) {
      Scratch scratch;
      Loader loader;
      loader.Start(&lines.load, &scratch, 0, row.pointer() - in.data);
      for (int64_t i = 0; i < lines.length;) {
        const int64_t n = loader.Prefer(std::min(lines.load.capacity, lines.length - i));
        loader.NextInto(n, reinterpret_cast<std::byte*>(values.data() + i));
        i += n;
      }
      QuantilesOf<T>(values, how, reinterpret_cast<T*>(results.data) + begin, lines.count);
    }
  };
  const int64_t chunk = std::max<int64_t>(kChunkBytes / (lines.length * in.dtype().itemsize()), 1);
  runtime::ParallelFor(lines.count, chunk, body, options.threads);
}

void FillNan(const View& results, Kind kind) {
  for (int64_t i = 0; i < results.size(); ++i) {
    if (kind == Kind::kF32)
      reinterpret_cast<float*>(results.data)[i] = std::numeric_limits<float>::quiet_NaN();
    else
      reinterpret_cast<double*>(results.data)[i] = std::numeric_limits<double>::quiet_NaN();
  }
}

}  // namespace

std::optional<QuantileMethod> QuantileMethodFrom(std::string_view name) {
  const auto found = std::ranges::find(kMethodNames, name);
  if (found == kMethodNames.end()) return std::nullopt;
  return static_cast<QuantileMethod>(found - kMethodNames.begin());
}

base::Result<Kind> QuantileKind(Kind operand) {
  SPANFLOW_TRY(CheckKinds("quantile", simd::kBoolKind | simd::kRealKinds, operand));
  return base::IsFloat(operand) ? operand : Kind::kF64;
}

Status Quantiles(const View& in, const AxisSet& reduced, const QuantileHow& how, const View& out,
                 const RunOptions& options) {
  SPANFLOW_TRY(QuantileKind(in.dtype().kind()).TakeStatus());
  for (const double q : how.quantiles) {
    if (!(q >= 0 && q <= 1)) return Status::Value("Quantiles must be in the range [0, 1]");
  }
  if (out.readonly) return Status::Value("output array is read-only");
  if (out.size() == 0) return Status::Ok();
  RunScope scope;
  SPANFLOW_TRY(scope.Add(in));
  SPANFLOW_TRY(scope.Add(out));
  const Kind kind = SelectKind(in.dtype().kind());
  SPANFLOW_ASSIGN(const View results, Empty(base::DType(kind), out.layout.shape));
  if (in.size() == 0)
    FillNan(results, kind);
  else if (kind == Kind::kF32)
    RunRows<float>(in, reduced, how, results, options);
  else
    RunRows<double>(in, reduced, how, results, options);
  SPANFLOW_TRY(Copy(results, out, options));
  return scope.Finish();
}

}  // namespace spanflow::array
