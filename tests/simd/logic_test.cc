// Comparisons, bits and selection on every kind and target against one plain line of C++.
#include <utility>

#include "elementwise.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

template <class T>
bool NonZero(T a) {
  if constexpr (IsComplexItem<T>::value) return a.re != 0 || a.im != 0;
  if constexpr (!IsComplexItem<T>::value) return a != 0;
}

struct Meaning {
  template <Op kOp>
  static constexpr int kUlps = 0;
  static constexpr bool kZeroSigns = true;

  template <Op kOp, Kind kKind, class T>
  static auto Of(T a) {
    if constexpr (kOp == Op::kLogicalNot) return uint8_t(!NonZero(a));
    if constexpr (kOp == Op::kInvert) return static_cast<T>(kKind == Kind::kBool ? a ^ 1 : ~a);
  }

  template <Op kOp, Kind kKind, class T>
  static auto Of(T a, T b) {
    if constexpr (kOp == Op::kLogicalAnd) return uint8_t(NonZero(a) && NonZero(b));
    if constexpr (kOp == Op::kLogicalOr) return uint8_t(NonZero(a) || NonZero(b));
    if constexpr (kOp == Op::kLogicalXor) return uint8_t(NonZero(a) != NonZero(b));
    if constexpr (IsComplexItem<T>::value) {
      if constexpr (kOp == Op::kEqual) return uint8_t(a.re == b.re && a.im == b.im);
      if constexpr (kOp == Op::kNotEqual) return uint8_t(a.re != b.re || a.im != b.im);
    } else {
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
  static auto Of(uint8_t condition, T x, T y) {
    if constexpr (kOp == Op::kWhere) return condition != 0 ? x : y;
  }
};

SPANFLOW_TEST_FAMILY(SPANFLOW_LOGIC);

// ---- what the one-line references do not say ----

class Semantics : public OnTarget {};

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
  const ElementwiseFn run = FindMixedCompare(kOp, kFirst, kSecond).run;
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
    EXPECT_EQ(FindMixedCompare(kOp, Kind::kI64, Kind::kU64).run, nullptr);
  }
  EXPECT_EQ(FindMixedCompare(kOp, Kind::kI64, Kind::kI64).run, nullptr);
  EXPECT_EQ(FindMixedCompare(kOp, Kind::kU64, Kind::kF64).run, nullptr);
}

TEST_P(Semantics, SignedAndUnsignedCompareExactly) {
#define SPANFLOW_ROW(Name, ...) CheckMixed<Op::k##Name>();
  SPANFLOW_ELEMENTWISE(SPANFLOW_ROW)
#undef SPANFLOW_ROW
}

SPANFLOW_ON_EVERY_TARGET(Semantics);

}  // namespace
}  // namespace spanflow::simd
