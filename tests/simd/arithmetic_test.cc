// Arithmetic: every operation on every kind and target against one plain line of C++.
#include <cmath>
#include <complex>

#include "elementwise.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

template <class T>
T PickMin(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<T>::quiet_NaN();
  }
  return std::min(a, b);
}
template <class T>
T PickMax(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<T>::quiet_NaN();
  }
  return std::max(a, b);
}

// Smith's division step by step, as NumPy does it.
template <class T>
Complex<T> DivideComplex(Complex<T> a, Complex<T> b) {
  const T re = std::fabs(b.re), im = std::fabs(b.im);
  if (re >= im) {
    if (re == 0 && im == 0) return {a.re / re, a.im / re};
    const T ratio = b.im / b.re;
    const T scale = T(1) / (b.re + b.im * ratio);
    return {(a.re + a.im * ratio) * scale, (a.im - a.re * ratio) * scale};
  }
  const T ratio = b.re / b.im;
  const T scale = T(1) / (b.im + b.re * ratio);
  return {(a.re * ratio + a.im) * scale, (a.im * ratio - a.re) * scale};
}

// The same for a dividend of one, as NumPy's reciprocal.
template <class T>
Complex<T> InvertComplex(Complex<T> a) {
  if (std::fabs(a.im) <= std::fabs(a.re)) {
    const T ratio = a.im / a.re, scale = a.re + a.im * ratio;
    return {T(1) / scale, -ratio / scale};
  }
  const T ratio = a.re / a.im, scale = a.re * ratio + a.im;
  return {ratio / scale, T(-1) / scale};
}

struct Meaning {
  // The kernels round as these lines do; only the size of a complex number and its inverse are
  // computed in another way.
  template <Op kOp>
  static constexpr int kUlps = kOp == Op::kAbsolute || kOp == Op::kReciprocal ? 2 : 0;
  static constexpr bool kZeroSigns = false;  // which of two equal zeros is the smaller is open

  template <Op kOp, Kind kKind, class T>
  static auto Of(Complex<T> a) {
    if constexpr (kOp == Op::kNegative) return Complex<T>{-a.re, -a.im};
    if constexpr (kOp == Op::kAbsolute) return std::hypot(a.re, a.im);
    if constexpr (kOp == Op::kSquare) return Of<Op::kMultiply, kKind>(a, a);
    if constexpr (kOp == Op::kReciprocal) return InvertComplex(a);
  }

  template <Op kOp, Kind kKind, class T>
  static auto Of(T a) {
    using U = Unsigned<T>;
    if constexpr (kOp == Op::kRelu) return PickMax(a, T(0));
    if constexpr (std::is_floating_point_v<T>) {
      if constexpr (kOp == Op::kNegative) return -a;
      if constexpr (kOp == Op::kAbsolute) return std::fabs(a);
      if constexpr (kOp == Op::kReciprocal) return T(1) / a;
      if constexpr (kOp == Op::kSqrt) return std::sqrt(a);
      if constexpr (kOp == Op::kSquare) return a * a;
    } else {
      if constexpr (kOp == Op::kNegative) return Wrap<T>(0 - static_cast<unsigned __int128>(U(a)));
      if constexpr (kOp == Op::kAbsolute) return a < 0 ? Of<Op::kNegative, kKind>(a) : a;
      if constexpr (kOp == Op::kReciprocal) return static_cast<T>(a == 0 ? 0 : 1 / a);
      if constexpr (kOp == Op::kSquare) return Of<Op::kMultiply, kKind>(a, a);
    }
  }

  template <Op kOp, Kind kKind, class T>
  static auto Of(Complex<T> a, Complex<T> b) {
    if constexpr (kOp == Op::kAdd) return Complex<T>{a.re + b.re, a.im + b.im};
    if constexpr (kOp == Op::kSubtract) return Complex<T>{a.re - b.re, a.im - b.im};
    if constexpr (kOp == Op::kMultiply) {
      return Complex<T>{a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    }
    if constexpr (kOp == Op::kDivide) return DivideComplex(a, b);
  }

  template <Op kOp, Kind kKind, class T>
  static auto Of(T a, T b) {
    if constexpr (kOp == Op::kMinimum) return PickMin(a, b);
    if constexpr (kOp == Op::kMaximum) return PickMax(a, b);
    if constexpr (std::is_floating_point_v<T>) {
      if constexpr (kOp == Op::kAdd) return a + b;
      if constexpr (kOp == Op::kSubtract) return a - b;
      if constexpr (kOp == Op::kMultiply) return a * b;
      if constexpr (kOp == Op::kDivide) return a / b;
      if constexpr (kOp == Op::kFmin) return std::fmin(a, b);
      if constexpr (kOp == Op::kFmax) return std::fmax(a, b);
    } else {
      const unsigned __int128 x = Unsigned<T>(a), y = Unsigned<T>(b);
      if constexpr (kOp == Op::kAdd) return Wrap<T>(kKind == Kind::kBool ? x | y : x + y);
      if constexpr (kOp == Op::kSubtract) return Wrap<T>(x - y);
      if constexpr (kOp == Op::kMultiply) return Wrap<T>(x * y);
      if constexpr (kOp == Op::kFmin) return std::min(a, b);
      if constexpr (kOp == Op::kFmax) return std::max(a, b);
    }
  }

  template <Op kOp, Kind kKind, class T>
  static auto Of(T a, T b, T c) {
    if constexpr (kOp == Op::kClip) return PickMin(PickMax(a, b), c);
    if constexpr (kOp == Op::kFma) return std::fma(a, b, c);
  }
};

SPANFLOW_TEST_FAMILY(SPANFLOW_ARITHMETIC);

// ---- what the one-line references do not say ----

class Semantics : public OnTarget {};

TEST_P(Semantics, BoolsFromElsewhereCountAsTrueWhenNotZero) {
  const uint8_t a[] = {0, 2, 255, 128, 1, 0};
  const uint8_t b[] = {0, 4, 1, 0, 2, 16};
  const void* in[] = {a, b};
  uint8_t out[6];
  FindKernel(Op::kAdd, Kind::kBool).run(in, out, 6);
  EXPECT_EQ(std::vector<uint8_t>(out, out + 6), (std::vector<uint8_t>{0, 1, 1, 1, 1, 1}));
  FindKernel(Op::kMultiply, Kind::kBool).run(in, out, 6);
  EXPECT_EQ(std::vector<uint8_t>(out, out + 6), (std::vector<uint8_t>{0, 1, 1, 0, 1, 0}));
  FindKernel(Op::kEqual, Kind::kBool).run(in, out, 6);
  EXPECT_EQ(std::vector<uint8_t>(out, out + 6), (std::vector<uint8_t>{1, 1, 1, 0, 1, 0}));
  FindKernel(Op::kLogicalXor, Kind::kBool).run(in, out, 6);
  EXPECT_EQ(std::vector<uint8_t>(out, out + 6), (std::vector<uint8_t>{0, 0, 0, 1, 0, 1}));
  FindKernel(Op::kInvert, Kind::kBool).run(in, out, 6);
  EXPECT_EQ(std::vector<uint8_t>(out, out + 6), (std::vector<uint8_t>{1, 0, 0, 0, 0, 1}));
}

TEST_P(Semantics, NegationChangesTheSignOfZero) {
  const double a[] = {0.0, -0.0};
  const void* in[] = {a};
  double out[2];
  FindKernel(Op::kNegative, Kind::kF64).run(in, out, 2);
  EXPECT_TRUE(std::signbit(out[0]));
  EXPECT_FALSE(std::signbit(out[1]));
}

template <class T>
void CheckHypot(Kind kind) {
  using Limits = std::numeric_limits<T>;
  const T inf = Limits::infinity(), nan = Limits::quiet_NaN();
  const T big = Limits::max() / 2, tiny = Limits::denorm_min();
  const std::vector<Complex<T>> items = {{3, -4},
                                         {0, 0},
                                         {-0.0, 0},
                                         {big, big},
                                         {tiny, tiny},
                                         {5 * tiny, 12 * tiny},
                                         {inf, nan},
                                         {nan, -inf},
                                         {nan, 1},
                                         {1, nan},
                                         {Limits::min(), Limits::min()},
                                         {Limits::max(), 1},
                                         {big, tiny}};
  std::vector<T> out(items.size());
  const void* in[] = {items.data()};
  FindKernel(Op::kAbsolute, kind).run(in, out.data(), items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    EXPECT_TRUE(NearValue(out[i], std::hypot(items[i].re, items[i].im), 1)) << i << " " << out[i];
  }
}

TEST_P(Semantics, SizeOfComplexNeitherOverflowsNorVanishes) {
  CheckHypot<float>(Kind::kC64);
  CheckHypot<double>(Kind::kC128);
}

TEST_P(Semantics, ComplexQuotientIsAccurate) {
  Engine engine(5);
  const auto a = RandomLanes<Kind::kC128>(engine, 2000, false);
  const auto b = RandomLanes<Kind::kC128>(engine, 2000, false);
  std::vector<double> out(2000);
  const void* in[] = {a.data(), b.data()};
  FindKernel(Op::kDivide, Kind::kC128).run(in, out.data(), 1000);
  for (size_t i = 0; i < 2000; i += 2) {
    const std::complex<long double> x(a[i], a[i + 1]), y(b[i], b[i + 1]);
    const std::complex<long double> exact = x / y;
    const std::complex<long double> got(out[i], out[i + 1]);
    EXPECT_LE(std::abs(got - exact), 1e-15L * std::abs(exact));
  }
}

SPANFLOW_ON_EVERY_TARGET(Semantics);

}  // namespace
}  // namespace spanflow::simd
