// Quantiles: order statistics of all elements or along some axes, found by selection and not by
// sorting.
//
// Owns: nothing beyond the call; blocks are borrowed while it runs. Each thread copies the elements
// of one result at a time. Threads: thread-safe; results are split over the runtime.
// Attached: not needed.
// Fails: ValueError (a quantile outside of [0, 1], closed or read-only arrays), TypeError (complex
// numbers, records), MemoryError, OSError.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "array/reduce.h"
#include "array/run.h"
#include "array/view.h"
#include "base/status.h"

namespace spanflow::array {

// Where between two elements a quantile lies: NumPy's names, after Hyndman and Fan 1996.
enum class QuantileMethod : uint8_t {
  kInvertedCdf,
  kAveragedInvertedCdf,
  kClosestObservation,
  kInterpolatedInvertedCdf,
  kHazen,
  kWeibull,
  kLinear,
  kMedianUnbiased,
  kNormalUnbiased,
  kLower,
  kHigher,
  kMidpoint,
  kNearest,
};
std::optional<QuantileMethod> QuantileMethodFrom(std::string_view name);

struct QuantileHow {
  std::span<const double> quantiles;  // each in [0, 1]
  QuantileMethod method = QuantileMethod::kLinear;
  bool leave_nan_out = false;  // else a NaN is the result
};

// The dtype of the results: floats stay, everything else gives float64.
base::Result<base::Kind> QuantileKind(base::Kind operand);

// `out` is an array for each quantile, in its first axis; the others are the kept axes. Of no
// elements every quantile is NaN.
base::Status Quantiles(const View& in, const AxisSet& reduced, const QuantileHow& how,
                       const View& out, const RunOptions& options = {});

}  // namespace spanflow::array
