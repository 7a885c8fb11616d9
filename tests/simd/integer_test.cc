// Whole quotients and shifts on every kind and target against plain C++ in wider numbers.
#include <cmath>

#include "elementwise.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

struct Meaning {
  template <Op kOp>
  static constexpr int kUlps = 0;
  static constexpr bool kZeroSigns = true;

  template <Op kOp, Kind kKind, class T>
  static T Of(T a, T b) {
    if constexpr (std::is_floating_point_v<T>) {
      const T rest = std::fmod(a, b);
      if constexpr (kOp == Op::kFmod) return rest;
      const bool other_side = rest != 0 && (rest < 0) != (b < 0);
      if constexpr (kOp == Op::kRemainder) {
        if (rest == 0) return std::copysign(T(0), b);
        return other_side ? rest + b : rest;
      } else {
        if (b == 0) return a / b;
        const T quotient = (a - rest) / b - (other_side ? 1 : 0);
        if (quotient == 0) return std::copysign(T(0), a / b);
        return quotient - std::floor(quotient) > T(0.5) ? std::floor(quotient) + 1
                                                        : std::floor(quotient);
      }
    } else {
      const __int128 x = a, y = b;  // wide enough for every quotient
      const bool within = y >= 0 && y < static_cast<int>(sizeof(T) * 8);
      if constexpr (kOp == Op::kLeftShift) return within ? static_cast<T>(x << b) : T(0);
      if constexpr (kOp == Op::kRightShift) return static_cast<T>(x >> (within ? int(b) : 127));
      if (y == 0) return 0;
      if constexpr (kOp == Op::kFmod) return static_cast<T>(x % y);
      const bool upwards = x % y != 0 && (x % y < 0) != (y < 0);
      if constexpr (kOp == Op::kFloorDivide) return static_cast<T>(x / y - (upwards ? 1 : 0));
      if constexpr (kOp == Op::kRemainder) return static_cast<T>(x % y + (upwards ? y : 0));
    }
  }
};

SPANFLOW_TEST_FAMILY(SPANFLOW_INTEGER);

}  // namespace
}  // namespace spanflow::simd
