// Rounding, signs and parts of numbers on every kind and target against one plain line of C++.
#include <cmath>

#include "elementwise.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

// NumPy's cases one by one.
template <class T>
Complex<T> SignOfComplex(Complex<T> a) {
  const T size = std::hypot(a.re, a.im), nan = std::numeric_limits<T>::quiet_NaN();
  if (std::isnan(size) || (std::isinf(a.re) && std::isinf(a.im))) return {nan, nan};
  if (std::isinf(a.re)) return {std::copysign(T(1), a.re), 0};
  if (std::isinf(size)) return {0, std::copysign(T(1), a.im)};
  if (size == 0) return {0, 0};
  return {a.re / size, a.im / size};
}

struct Meaning {
  template <Op kOp>
  static constexpr int kUlps = kOp == Op::kSign ? 2 : 0;  // of complex numbers, by their size
  static constexpr bool kZeroSigns = true;

  template <Op kOp, Kind kKind, class T>
  static auto Of(Complex<T> a) {
    if constexpr (kOp == Op::kRint) return Complex<T>{std::nearbyint(a.re), std::nearbyint(a.im)};
    if constexpr (kOp == Op::kIsnan) return uint8_t(std::isnan(a.re) || std::isnan(a.im));
    if constexpr (kOp == Op::kIsinf) return uint8_t(std::isinf(a.re) || std::isinf(a.im));
    if constexpr (kOp == Op::kIsfinite) return uint8_t(std::isfinite(a.re) && std::isfinite(a.im));
    if constexpr (kOp == Op::kPositive) return a;
    if constexpr (kOp == Op::kConjugate) return Complex<T>{a.re, -a.im};
    if constexpr (kOp == Op::kReal) return a.re;
    if constexpr (kOp == Op::kImag) return a.im;
    if constexpr (kOp == Op::kSign) return SignOfComplex(a);
  }

  template <Op kOp, Kind kKind, class T>
  static auto Of(T a) {
    constexpr bool kFloat = std::is_floating_point_v<T>;
    if constexpr (kOp == Op::kFloor && kFloat) return std::floor(a);
    if constexpr (kOp == Op::kCeil && kFloat) return std::ceil(a);
    if constexpr (kOp == Op::kTrunc && kFloat) return std::trunc(a);
    if constexpr (kOp == Op::kRint && kFloat) return std::nearbyint(a);
    if constexpr (kOp == Op::kSign) return a != a ? a : T((a > 0) - (a < 0));
    if constexpr (kOp == Op::kSignbit) return uint8_t(kFloat ? std::signbit(double(a)) : a < 0);
    if constexpr (kOp == Op::kIsnan) return uint8_t(a != a);
    if constexpr (kOp == Op::kIsinf) return uint8_t(kFloat && std::isinf(double(a)));
    if constexpr (kOp == Op::kIsfinite) return uint8_t(!kFloat || std::isfinite(double(a)));
    if constexpr (kOp == Op::kImag) return T(0);
    constexpr bool kSameWhole =
        !kFloat && (kOp == Op::kFloor || kOp == Op::kCeil || kOp == Op::kTrunc);
    constexpr bool kSameReal = kOp == Op::kPositive || kOp == Op::kConjugate || kOp == Op::kReal;
    if constexpr (kSameWhole || kSameReal) return a;
  }

  template <Op kOp, Kind kKind, class T>
  static auto Of(T a, T b) {
    if constexpr (kOp == Op::kCopysign) return std::copysign(a, b);
  }
};

SPANFLOW_TEST_FAMILY(SPANFLOW_ROUNDING);

}  // namespace
}  // namespace spanflow::simd
