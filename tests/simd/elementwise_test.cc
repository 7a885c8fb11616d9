// Every operation on every kind and target against one plain line of C++.
#include <algorithm>
#include <complex>

#include <utility>

#include "testing.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

// ---- what the operations mean, one item at a time ----

template <class T>
using Unsigned = BitsOf<T>;

template <class T>
T Wrap(unsigned __int128 value) {
  return static_cast<T>(static_cast<Unsigned<T>>(value));
}

template <class T>
struct Complex {
  T re, im;
};

template <class T>
bool SameItem(T a, T b, int ulps) {
  return NearValue(a, b, ulps);
}
template <class T>
bool SameItem(Complex<T> a, Complex<T> b, int ulps) {
  return NearValue(a.re, b.re, ulps) && NearValue(a.im, b.im, ulps);
}

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

template <class T>
struct IsComplexItem : std::false_type {};
template <class T>
struct IsComplexItem<Complex<T>> : std::true_type {};

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

template <Op kOp, Kind kKind, class T>
auto Binary(T a, T b) {
  constexpr bool kBool = kKind == Kind::kBool;
  constexpr bool kComplex = IsComplexItem<T>::value;
  if constexpr (kComplex) {
    if constexpr (kOp == Op::kAdd) return T{a.re + b.re, a.im + b.im};
    if constexpr (kOp == Op::kSubtract) return T{a.re - b.re, a.im - b.im};
    if constexpr (kOp == Op::kMultiply) {
      return T{a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    }
    if constexpr (kOp == Op::kDivide) return DivideComplex(a, b);
    if constexpr (kOp == Op::kEqual) return uint8_t(a.re == b.re && a.im == b.im);
    if constexpr (kOp == Op::kNotEqual) return uint8_t(a.re != b.re || a.im != b.im);
  } else if constexpr (kOp == Op::kAdd || kOp == Op::kSubtract || kOp == Op::kMultiply) {
    if constexpr (kBool) return T(kOp == Op::kAdd ? (a | b) : (a & b));
    if constexpr (std::is_floating_point_v<T>) {
      return kOp == Op::kAdd ? a + b : kOp == Op::kSubtract ? a - b : a * b;
    } else {
      const unsigned __int128 x = Unsigned<T>(a), y = Unsigned<T>(b);
      return Wrap<T>(kOp == Op::kAdd ? x + y : kOp == Op::kSubtract ? x - y : x * y);
    }
  } else {
    if constexpr (kOp == Op::kDivide) return a / b;
    if constexpr (kOp == Op::kMinimum) return PickMin(a, b);
    if constexpr (kOp == Op::kMaximum) return PickMax(a, b);
    if constexpr (kOp == Op::kEqual) return uint8_t(a == b);
    if constexpr (kOp == Op::kNotEqual) return uint8_t(a != b);
    if constexpr (kOp == Op::kLess) return uint8_t(a < b);
    if constexpr (kOp == Op::kLessEqual) return uint8_t(a <= b);
    if constexpr (kOp == Op::kGreater) return uint8_t(a > b);
    if constexpr (kOp == Op::kGreaterEqual) return uint8_t(a >= b);
    if constexpr (kOp == Op::kBitwiseAnd) return T(a & b);
    if constexpr (kOp == Op::kBitwiseOr) return T(a | b);
    if constexpr (kOp == Op::kBitwiseXor) return T(a ^ b);
  }
}

template <Op kOp, Kind kKind, class T>
auto Unary(T a) {
  if constexpr (IsComplexItem<T>::value) {
    if constexpr (kOp == Op::kNegative) return T{-a.re, -a.im};
    if constexpr (kOp == Op::kAbsolute) return std::hypot(a.re, a.im);
  } else {
    if constexpr (kOp == Op::kNegative && std::is_floating_point_v<T>) return -a;
    if constexpr (kOp == Op::kNegative && !std::is_floating_point_v<T>) {
      return Wrap<T>(0 - static_cast<unsigned __int128>(Unsigned<T>(a)));
    }
    if constexpr (kOp == Op::kAbsolute) {
      if constexpr (std::is_floating_point_v<T>) return std::fabs(a);
      if constexpr (!std::is_floating_point_v<T>) {
        return a < 0 ? Wrap<T>(0 - static_cast<unsigned __int128>(Unsigned<T>(a))) : a;
      }
    }
    if constexpr (kOp == Op::kSqrt) return std::sqrt(a);
    if constexpr (kOp == Op::kInvert) {
      return kKind == Kind::kBool ? static_cast<T>(a ^ 1) : static_cast<T>(~a);
    }
  }
}

// The kernels use no fused operations, so that they round as these lines do; only the size of a
// complex number is computed in another way.
template <Op kOp>
constexpr int kUlps = kOp == Op::kAbsolute ? 2 : 0;

template <Kind kKind>
using TestItem = std::conditional_t<base::IsComplex(kKind), Complex<Lane<kKind>>, Lane<kKind>>;

// ---- the cases ----

template <class T>
std::vector<std::byte> BytesOf(const std::vector<T>& items) {
  std::vector<std::byte> bytes(items.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), items.data(), bytes.size());
  return bytes;
}

// Operands and the expected result, as items.
template <class Out>
struct Case {
  std::vector<std::vector<std::byte>> in;
  std::vector<size_t> in_bytes;
  std::vector<Out> expected;
};

template <Kind kKind>
std::vector<TestItem<kKind>> Operand(Engine& engine, size_t n) {
  const auto lanes = RandomLanes<kKind>(engine, n * KindLane<kKind>::kLanes);
  std::vector<TestItem<kKind>> items(n);
  std::memcpy(items.data(), lanes.data(), lanes.size() * sizeof(lanes[0]));
  return items;
}

template <Op kOp, Kind kKind>
auto MakeCase(Engine& engine, size_t n) {
  using T = TestItem<kKind>;
  const auto a = Operand<kKind>(engine, n);
  const auto b = Operand<kKind>(engine, n);
  const auto c = Operand<kKind>(engine, n);
  if constexpr (InfoOf(kOp).arity == 1) {
    using Out = decltype(Unary<kOp, kKind>(a[0]));
    Case<Out> result{{BytesOf(a)}, {sizeof(T)}, {}};
    for (size_t i = 0; i < n; ++i) result.expected.push_back(Unary<kOp, kKind>(a[i]));
    return result;
  } else if constexpr (InfoOf(kOp).arity == 2) {
    using Out = decltype(Binary<kOp, kKind>(a[0], b[0]));
    Case<Out> result{{BytesOf(a), BytesOf(b)}, {sizeof(T), sizeof(T)}, {}};
    for (size_t i = 0; i < n; ++i) result.expected.push_back(Binary<kOp, kKind>(a[i], b[i]));
    return result;
  } else if constexpr (kOp == Op::kWhere) {
    std::vector<uint8_t> condition(n);
    for (uint8_t& flag : condition) flag = static_cast<uint8_t>(engine() % 3 * 37);
    Case<T> result{{BytesOf(condition), BytesOf(a), BytesOf(b)}, {1, sizeof(T), sizeof(T)}, {}};
    for (size_t i = 0; i < n; ++i) result.expected.push_back(condition[i] != 0 ? a[i] : b[i]);
    return result;
  } else {
    static_assert(kOp == Op::kClip);
    Case<T> result{{BytesOf(a), BytesOf(b), BytesOf(c)}, {sizeof(T), sizeof(T), sizeof(T)}, {}};
    for (size_t i = 0; i < n; ++i) {
      result.expected.push_back(PickMin(PickMax(a[i], b[i]), c[i]));
    }
    return result;
  }
}

template <class Out>
::testing::AssertionResult Matches(const std::byte* got, const Case<Out>& c, size_t first, size_t n,
                                   int ulps) {
  for (size_t i = 0; i < n; ++i) {
    Out item;
    std::memcpy(&item, got + i * sizeof(Out), sizeof(Out));
    if (!SameItem(item, c.expected[first + i], ulps)) {
      return ::testing::AssertionFailure() << "item " << i << " of " << n << " from " << first;
    }
  }
  return ::testing::AssertionSuccess();
}

constexpr std::byte kCanary{0xA5};

bool CanariesAlive(const std::byte* from, const std::byte* to) {
  return std::all_of(from, to, [](std::byte b) { return b == kCanary; });
}

// Runs items [first, first + n) with every operand and the output against a guard page.
template <class Out>
void RunGuarded(ElementwiseFn run, const Case<Out>& c, size_t first, size_t n, bool at_end,
                std::vector<std::unique_ptr<GuardedBytes>>& guards, int ulps) {
  const void* in[3] = {};
  for (size_t k = 0; k < c.in.size(); ++k) {
    in[k] = guards[k]->Put(c.in[k].data() + first * c.in_bytes[k], n * c.in_bytes[k], at_end);
  }
  std::byte* const out = at_end ? guards[3]->Before(n * sizeof(Out)) : guards[3]->Start();
  std::byte* const near = at_end ? out - 64 : out + n * sizeof(Out);
  std::fill_n(near, 64, kCanary);
  run(in, out, n);
  ASSERT_TRUE(Matches(out, c, first, n, ulps)) << "guard at the " << (at_end ? "end" : "start");
  ASSERT_TRUE(CanariesAlive(near, near + 64));
}

// At any alignment, with canaries on both sides.
template <class Out>
void RunMisaligned(ElementwiseFn run, const Case<Out>& c, size_t n, size_t shift, int ulps) {
  std::vector<std::vector<std::byte>> copies;
  const void* in[3] = {};
  for (size_t k = 0; k < c.in.size(); ++k) {
    copies.emplace_back(n * c.in_bytes[k] + 256);
    std::byte* const at = copies.back().data() + (shift * (k + 1)) % 64;
    std::memcpy(at, c.in[k].data(), n * c.in_bytes[k]);
    in[k] = at;
  }
  std::vector<std::byte> output(n * sizeof(Out) + 256, kCanary);
  std::byte* const out = output.data() + 64 + (shift * 5) % 64;
  run(in, out, n);
  ASSERT_TRUE(Matches(out, c, 0, n, ulps)) << "shift " << shift;
  ASSERT_TRUE(CanariesAlive(output.data(), out));
  ASSERT_TRUE(CanariesAlive(out + n * sizeof(Out), output.data() + output.size()));
}

// The output is operand k itself.
template <class Out>
void RunInPlace(ElementwiseFn run, const Case<Out>& c, size_t n, size_t k, int ulps) {
  std::vector<std::vector<std::byte>> copies = c.in;
  const void* in[3] = {};
  for (size_t i = 0; i < copies.size(); ++i) in[i] = copies[i].data();
  run(in, copies[k].data(), n);
  ASSERT_TRUE(Matches(copies[k].data(), c, 0, n, ulps)) << "in place of operand " << k;
}

template <Op kOp, Kind kKind>
void CheckKernel() {
  constexpr int kAllowed = kUlps<kOp>;
  Engine engine(static_cast<uint64_t>(kOp) * 100 + static_cast<uint64_t>(kKind));
  const ElementwiseKernel kernel = FindKernel(kOp, kKind);
  ASSERT_NE(kernel.run, nullptr);
  constexpr size_t kLong = 20011;
  const auto c = MakeCase<kOp, kKind>(engine, kLong);
  using Out = typename std::decay_t<decltype(c.expected)>::value_type;

  std::vector<std::unique_ptr<GuardedBytes>> guards;
  for (int i = 0; i < 4; ++i) guards.push_back(std::make_unique<GuardedBytes>(kLong * 16));
  size_t first = 0;
  for (const size_t n : Lengths(64 / kItemBytes<kKind>)) {
    RunGuarded(kernel.run, c, first, n, true, guards, kAllowed);
    RunGuarded(kernel.run, c, first, n, false, guards, kAllowed);
    if (::testing::Test::HasFatalFailure()) return;
    first = (first + 97) % 15000;
  }
  RunGuarded(kernel.run, c, 0, kLong, true, guards, kAllowed);
  RunGuarded(kernel.stream, c, 0, kLong, true, guards, kAllowed);
  for (size_t shift = 0; shift < 64; ++shift) {
    RunMisaligned(kernel.run, c, 205, shift, kAllowed);
    RunMisaligned(kernel.stream, c, 205, shift, kAllowed);
    RunMisaligned(kernel.stream, c, kLong - shift, shift, kAllowed);
  }
  for (size_t k = 0; k < c.in.size(); ++k) {
    if (c.in_bytes[k] != sizeof(Out)) continue;
    for (const size_t n : {size_t{1}, size_t{5}, size_t{77}, size_t{130}, kLong}) {
      RunInPlace(kernel.run, c, n, k, kAllowed);
      RunInPlace(kernel.stream, c, n, k, kAllowed);
    }
  }
}

class Elementwise : public OnTarget {};

template <Op kOp>
void CheckOp() {
  ForEachKind([]<Kind kKind>() {
    if constexpr (Contains(InfoOf(kOp).kinds, kKind)) {
      SCOPED_TRACE(std::string(InfoOf(kOp).name) + " of " + NameOf(kKind));
      if (!::testing::Test::HasFatalFailure()) CheckKernel<kOp, kKind>();
    }
  });
}

#define SPANFLOW_ROW(Name, ...) \
  TEST_P(Elementwise, Name) { CheckOp<Op::k##Name>(); }
SPANFLOW_ELEMENTWISE(SPANFLOW_ROW)
#undef SPANFLOW_ROW

SPANFLOW_ON_EVERY_TARGET(Elementwise);

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
  FindKernel(Op::kInvert, Kind::kBool).run(in, out, 6);
  EXPECT_EQ(std::vector<uint8_t>(out, out + 6), (std::vector<uint8_t>{1, 0, 0, 0, 0, 1}));
}

template <Op kOp, class A, class B>
bool ComparesAs(A a, B b) {
  switch (kOp) {
    case Op::kEqual:
      return std::cmp_equal(a, b);
    case Op::kNotEqual:
      return std::cmp_not_equal(a, b);
    case Op::kLess:
      return std::cmp_less(a, b);
    case Op::kLessEqual:
      return std::cmp_less_equal(a, b);
    case Op::kGreater:
      return std::cmp_greater(a, b);
    default:
      return std::cmp_greater_equal(a, b);
  }
}

// Every pair of extreme numbers and many others, at an address of odd alignment.
template <Op kOp, Kind kFirst, Kind kSecond>
void CheckMixedCompare() {
  using A = Lane<kFirst>;
  using B = Lane<kSecond>;
  Engine engine(5);
  std::vector<A> a = RandomLanes<kFirst>(engine, 500);
  std::vector<B> b = RandomLanes<kSecond>(engine, 500);
  for (const A x : SpecialValues<A>()) {
    for (const B y : SpecialValues<B>()) {
      a.push_back(x);
      b.push_back(y);
    }
    b.push_back(static_cast<B>(x));  // the same bits
    a.push_back(x);
  }
  const ElementwiseFn run = FindMixedCompare(kOp, kFirst, kSecond);
  ASSERT_NE(run, nullptr);
  std::vector<std::byte> first(a.size() * 8 + 1), second(b.size() * 8 + 3);
  std::memcpy(first.data() + 1, a.data(), a.size() * 8);
  std::memcpy(second.data() + 3, b.data(), b.size() * 8);
  const void* const in[] = {first.data() + 1, second.data() + 3};
  std::vector<uint8_t> out(a.size());
  run(in, out.data(), a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(out[i], ComparesAs<kOp>(a[i], b[i])) << InfoOf(kOp).name << a[i] << " " << b[i];
  }
}

template <Op kOp>
void CheckMixed() {
  if constexpr (InfoOf(kOp).rule == TypeRule::kCompare) {
    CheckMixedCompare<kOp, Kind::kI64, Kind::kU64>();
    CheckMixedCompare<kOp, Kind::kU64, Kind::kI64>();
  } else {
    EXPECT_EQ(FindMixedCompare(kOp, Kind::kI64, Kind::kU64), nullptr);
  }
  EXPECT_EQ(FindMixedCompare(kOp, Kind::kI64, Kind::kI64), nullptr);
  EXPECT_EQ(FindMixedCompare(kOp, Kind::kU64, Kind::kF64), nullptr);
}

TEST_P(Semantics, SignedAndUnsignedCompareExactly) {
#define SPANFLOW_ROW(Name, ...) CheckMixed<Op::k##Name>();
  SPANFLOW_ELEMENTWISE(SPANFLOW_ROW)
#undef SPANFLOW_ROW
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
