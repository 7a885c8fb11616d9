// Transcendental functions: against the long double functions of the C library, whose errors are
// some thousandth of a ULP here, and the bounds that ops.h states.
#include <cmath>

#include "elementwise.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

using Real = long double;

template <Op kOp>
Real Exact(Real x) {
  if constexpr (kOp == Op::kExp) return std::exp(x);
  if constexpr (kOp == Op::kExp2) return std::exp2(x);
  if constexpr (kOp == Op::kExpm1) return std::expm1(x);
  if constexpr (kOp == Op::kLog) return std::log(x);
  if constexpr (kOp == Op::kLog2) return std::log2(x);
  if constexpr (kOp == Op::kLog10) return std::log10(x);
  if constexpr (kOp == Op::kLog1p) return std::log1p(x);
  if constexpr (kOp == Op::kRsqrt) return 1 / std::sqrt(x);
  if constexpr (kOp == Op::kCbrt) return std::cbrt(x);
  if constexpr (kOp == Op::kSinh) return std::sinh(x);
  if constexpr (kOp == Op::kCosh) return std::cosh(x);
  if constexpr (kOp == Op::kTanh) return std::tanh(x);
  if constexpr (kOp == Op::kArcsinh) return std::asinh(x);
  if constexpr (kOp == Op::kArccosh) return std::acosh(x);
  if constexpr (kOp == Op::kArctanh) return std::atanh(x);
  if constexpr (kOp == Op::kSigmoid) return 1 / (1 + std::exp(-x));
  if constexpr (kOp == Op::kErf) return std::erf(x);
  if constexpr (kOp == Op::kSin) return std::sin(x);
  if constexpr (kOp == Op::kCos) return std::cos(x);
  if constexpr (kOp == Op::kTan) return std::tan(x);
  if constexpr (kOp == Op::kArcsin) return std::asin(x);
  if constexpr (kOp == Op::kArccos) return std::acos(x);
  if constexpr (kOp == Op::kArctan) return std::atan(x);
  if constexpr (kOp == Op::kAngle) return std::isnan(x) ? x : std::atan2(Real(0), x);
}

template <Op kOp>
Real Exact(Real x, Real y) {
  if constexpr (kOp == Op::kPower) return std::pow(x, y);
  if constexpr (kOp == Op::kHypot) return std::hypot(x, y);
  if constexpr (kOp == Op::kArctan2) return std::atan2(x, y);
}

struct Meaning {
  template <Op kOp>
  static constexpr int kUlps = static_cast<int>(InfoOf(kOp).ulps) + 1;
  static constexpr bool kZeroSigns = true;

  template <Op kOp, Kind kKind, class T>
  static T Of(Complex<T> x) {
    return static_cast<T>(Exact<Op::kArctan2>(x.im, x.re));
  }

  template <Op kOp, Kind kKind, class... T>
  static auto Of(T... x) {
    using First = std::tuple_element_t<0, std::tuple<T...>>;
    if constexpr (std::is_integral_v<First>) {
      return PowerOf(x...);
    } else {
      return static_cast<First>(Exact<kOp>(Real(x)...));
    }
  }

  // Multiplication wraps, so the exponent matters up to its bits only.
  template <class T>
  static T PowerOf(T base, T exponent) {
    unsigned __int128 result = 1;
    for (int bit = static_cast<int>(sizeof(T) * 8) - 1; bit >= 0; --bit) {
      result = Unsigned<T>(result * result);
      if ((Unsigned<T>(exponent) >> bit & 1) != 0) result = Unsigned<T>(result * Unsigned<T>(base));
    }
    return Wrap<T>(result);
  }
};

#define SPANFLOW_TEST_MATH(ROW) SPANFLOW_EXPONENTIAL(ROW) SPANFLOW_TRIGONOMETRY(ROW)
SPANFLOW_TEST_FAMILY(SPANFLOW_TEST_MATH);

// ---- the bounds ----

// Errors in units of the last place of T at the exact result. An infinity stands one unit beyond
// the largest number; where the exact result is zero or not a number, so must be the answer.
template <class T>
double ErrorInUlps(T got, Real exact) {
  using Limits = std::numeric_limits<T>;
  constexpr double kWrong = 1e30;
  const T nearest = static_cast<T>(exact);
  if (std::isnan(exact) || std::isnan(got))
    return std::isnan(exact) && std::isnan(got) ? 0 : kWrong;
  if (exact == 0 || std::isinf(nearest) || std::isinf(got)) {
    return got == nearest && std::signbit(got) == std::signbit(nearest) ? 0 : kWrong;
  }
  const int exponent = std::max(std::ilogb(exact), Limits::min_exponent - 1);
  return static_cast<double>(std::fabs(got - exact) /
                             std::ldexp(Real(1), exponent - (Limits::digits - 1)));
}

// Numbers of every size, many of them where functions change their method or have a zero.
template <class T>
std::vector<T> Inputs(Engine& engine) {
  std::vector<T> inputs = SpecialValues<T>();
  const auto add = [&](Real x) {
    inputs.push_back(static_cast<T>(x));
    inputs.push_back(static_cast<T>(-x));
  };
  for (int i = 0; i < 20000; ++i) {
    const auto bits = static_cast<BitsOf<T>>(engine());
    T any;
    std::memcpy(&any, &bits, sizeof any);
    inputs.push_back(any);
    for (const double range : {1.0, 0.01, 3.0, 25.0, 120.0, 800.0, 1e5, 1e7}) {
      add(std::uniform_real_distribution<double>(0, range)(engine));
    }
    add(1 +
        std::ldexp(static_cast<Real>(engine() % 4096) - 2048, -static_cast<int>(engine() % 60)));
  }
  const Real quarter = std::atan(Real(1));
  for (int i = 1; i < 20000; ++i) add(i * quarter);
  for (int i = 1; i < 2200; ++i) add(i * std::log(Real(2)) / 2);
  for (int i = 1; i < 2200; ++i) add(i / Real(16));
  while (inputs.size() % 64 != 0) inputs.push_back(T(1));
  return inputs;
}

template <Op kOp, class T>
double WorstError(Kind kind, T* at) {
  Engine engine(3);
  const std::vector<T> x = Inputs<T>(engine);
  std::vector<T> y = x, out(x.size());
  std::shuffle(y.begin(), y.end(), engine);
  if constexpr (kOp == Op::kPower) {
    for (size_t i = 0; i < y.size(); i += 2) y[i] = std::fmod(y[i], T(64));
  }
  const void* const in[] = {x.data(), y.data()};
  FindKernel(kOp, kind).run(in, out.data(), x.size());
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    Real exact;
    if constexpr (InfoOf(kOp).arity == 1) exact = Exact<kOp>(x[i]);
    if constexpr (InfoOf(kOp).arity == 2) exact = Exact<kOp>(x[i], y[i]);
    const double error = ErrorInUlps(out[i], exact);
    if (error <= worst) continue;
    worst = error;
    *at = x[i];
  }
  return worst;
}

class Accuracy : public OnTarget {
 protected:
  template <Op kOp>
  void Check() {
    float at32 = 0;
    double at64 = 0;
    const double error32 = WorstError<kOp>(Kind::kF32, &at32);
    const double error64 = WorstError<kOp>(Kind::kF64, &at64);
    RecordProperty(std::string(InfoOf(kOp).name) + "_f32", std::to_string(error32));
    RecordProperty(std::string(InfoOf(kOp).name) + "_f64", std::to_string(error64));
    EXPECT_LE(error32, InfoOf(kOp).ulps) << InfoOf(kOp).name << " of float32 at " << at32;
    EXPECT_LE(error64, InfoOf(kOp).ulps) << InfoOf(kOp).name << " of float64 at " << at64;
  }
};

#define SPANFLOW_ROW(Name, ...) \
  TEST_P(Accuracy, Name) { Check<Op::k##Name>(); }
SPANFLOW_TEST_MATH(SPANFLOW_ROW)
#undef SPANFLOW_ROW

SPANFLOW_ON_EVERY_TARGET(Accuracy);

}  // namespace
}  // namespace spanflow::simd
