// Every pair of kinds on every target against arithmetic that knows nothing of bit tricks.
#include <algorithm>
#include <memory>

#include "testing.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

// ---- small floats by arithmetic ----

// `fraction` bits after the point, exponents from `lowest` on; values beyond are infinite.
struct SmallFloat {
  int fraction;
  int lowest;  // exponent of the smallest normal number
};
constexpr SmallFloat kHalf = {10, -14};
constexpr SmallFloat kBFloat = {7, -126};

uint16_t InfinityOf(SmallFloat format) {
  return static_cast<uint16_t>(0x7FFF >> format.fraction << format.fraction);
}

// The bits without the sign number all values in order, so the nearest one is found by counting.
uint16_t Encode(long double value, SmallFloat format) {
  const int sign = std::signbit(value) ? 0x8000 : 0;
  const int infinity = InfinityOf(format);
  if (std::isnan(value)) return static_cast<uint16_t>(infinity | 1);
  const long double size = std::fabs(value);
  if (std::isinf(size)) return static_cast<uint16_t>(sign | infinity);
  const int exponent = size == 0 ? format.lowest : std::max(std::ilogb(size), format.lowest);
  // In units of the last place; nearbyint rounds ties to even.
  const long double units = std::nearbyint(std::ldexp(size, format.fraction - exponent));
  const long double bits = units + std::ldexp(exponent - format.lowest, format.fraction);
  return static_cast<uint16_t>(sign | (bits < infinity ? static_cast<int>(bits) : infinity));
}

double Decode(uint16_t bits, SmallFloat format) {
  const int fraction = bits & ((1 << format.fraction) - 1);
  const int exponent = (bits & 0x7FFF) >> format.fraction;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if ((bits & 0x7FFF) >= InfinityOf(format)) {
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sign * std::numeric_limits<double>::infinity();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, format.lowest - format.fraction);
  return sign * std::ldexp((1 << format.fraction) + fraction,
                           exponent - 1 + format.lowest - format.fraction);
}

bool IsNan(uint16_t bits, SmallFloat format) { return std::isnan(Decode(bits, format)); }

TEST(Reference, SmallFloatsComeBack) {
  for (const SmallFloat format : {kHalf, kBFloat}) {
    for (int bits = 0; bits < 0x10000; ++bits) {
      const auto pattern = static_cast<uint16_t>(bits);
      if (IsNan(pattern, format)) continue;
      ASSERT_EQ(Encode(Decode(pattern, format), format), pattern);
    }
  }
}

// ---- one item of any kind as a number ----

// Holds every value of every kind: integers of 64 bits fit the fraction.
static_assert(std::numeric_limits<long double>::digits >= 64);
struct Number {
  long double re, im;
};

template <Kind kKind>
Number ReadNumber(const std::byte* from) {
  using T = Lane<kKind>;
  T lanes[2] = {};
  std::memcpy(lanes, from, kItemBytes<kKind>);
  if constexpr (kKind == Kind::kF16) return {Decode(lanes[0], kHalf), 0};
  if constexpr (kKind == Kind::kBF16) return {Decode(lanes[0], kBFloat), 0};
  if constexpr (kKind == Kind::kBool) return {lanes[0] != 0 ? 1.0L : 0.0L, 0};
  return {static_cast<long double>(lanes[0]), static_cast<long double>(lanes[1])};
}

// Whether the item at `got` is `number` in kTo. Where C++ leaves a cast open, anything is right.
template <Kind kFrom, Kind kTo>
bool IsCastOf(const std::byte* got, Number number) {
  using To = Lane<kTo>;
  To lanes[2] = {};
  std::memcpy(lanes, got, kItemBytes<kTo>);
  if constexpr (kTo == Kind::kBool) {
    return lanes[0] == static_cast<To>(number.re != 0 || number.im != 0);
  } else if constexpr (kTo == Kind::kF16 || kTo == Kind::kBF16) {
    constexpr SmallFloat kFormat = kTo == Kind::kF16 ? kHalf : kBFloat;
    if (std::isnan(number.re)) return IsNan(lanes[0], kFormat);
    return lanes[0] == Encode(number.re, kFormat);
  } else if constexpr (base::IsInteger(kTo)) {
    if constexpr (base::IsInteger(kFrom) || kFrom == Kind::kBool) {
      const uint64_t bits = number.re < 0 ? uint64_t{0} - static_cast<uint64_t>(-number.re)
                                          : static_cast<uint64_t>(number.re);
      return lanes[0] == static_cast<To>(bits);
    }
    const long double whole = std::trunc(number.re);
    const bool fits = whole >= static_cast<long double>(std::numeric_limits<To>::min()) &&
                      whole <= static_cast<long double>(std::numeric_limits<To>::max());
    return !fits || static_cast<long double>(lanes[0]) == whole;
  } else {
    const bool imaginary_is_right =
        !base::IsComplex(kTo) || SameValue(lanes[1], static_cast<To>(number.im));
    return imaginary_is_right && SameValue(lanes[0], static_cast<To>(number.re));
  }
}

// ---- the pool of items ----

template <Kind kKind>
void Append(std::vector<std::byte>* pool, std::vector<Lane<kKind>> lanes) {
  const size_t used = pool->size();
  const size_t bytes = lanes.size() * sizeof(Lane<kKind>) / kItemBytes<kKind> * kItemBytes<kKind>;
  pool->resize(used + bytes);
  std::memcpy(pool->data() + used, lanes.data(), bytes);
}

// Every value of kinds up to 16 bits; of floats all around the points between small floats, where
// rounding twice would show; of wide integers the same.
template <Kind kKind>
std::vector<std::byte> Pool() {
  using T = Lane<kKind>;
  Engine engine(static_cast<uint64_t>(kKind));
  std::vector<std::byte> pool;
  if constexpr (sizeof(T) <= 2) {
    std::vector<T> all;
    const int count = kKind == Kind::kBool ? 256 : 1 << (8 * sizeof(T));
    for (int i = 0; i < count; ++i) all.push_back(static_cast<T>(i));
    Append<kKind>(&pool, all);
    Append<kKind>(&pool, all);
  } else {
    Append<kKind>(&pool, RandomLanes<kKind>(engine, 4096));
    std::vector<T> between;
    for (const SmallFloat format : {kHalf, kBFloat}) {
      for (int bits = 0; bits < 0x7FFF; bits += format.fraction == 10 ? 1 : 3) {
        const double low = Decode(static_cast<uint16_t>(bits), format);
        const double high = Decode(static_cast<uint16_t>(bits + 1), format);
        if (!std::isfinite(low) || !std::isfinite(high)) continue;
        const double middle = low / 2 + high / 2;
        if constexpr (std::is_floating_point_v<T>) {
          const T point = static_cast<T>(middle);
          for (const T value : {point, std::nextafter(point, T(0)),
                                std::nextafter(point, std::numeric_limits<T>::infinity())}) {
            between.push_back(value);
            between.push_back(-value);
          }
        } else if (middle > 2 && middle < static_cast<double>(std::numeric_limits<T>::max() / 2)) {
          const T point = static_cast<T>(middle);
          for (const T value : {point, T(point + 1), T(point - 1)}) between.push_back(value);
        }
      }
    }
    if (between.size() % 2 != 0) between.pop_back();
    Append<kKind>(&pool, between);
  }
  return pool;
}

template <Kind kFrom, Kind kTo>
::testing::AssertionResult Matches(const std::byte* got, const std::byte* in, size_t n) {
  if (kFrom == kTo) {
    if (n == 0 || std::memcmp(got, in, n * kItemBytes<kTo>) == 0) {
      return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << NameOf(kFrom) << " to itself";
  }
  for (size_t i = 0; i < n; ++i) {
    const Number number = ReadNumber<kFrom>(in + i * kItemBytes<kFrom>);
    if (!IsCastOf<kFrom, kTo>(got + i * kItemBytes<kTo>, number)) {
      return ::testing::AssertionFailure()
             << NameOf(kFrom) << " to " << NameOf(kTo) << ": item " << i << " of " << n << ", "
             << static_cast<double>(number.re);
    }
  }
  return ::testing::AssertionSuccess();
}

constexpr size_t kLongest = 5100;

template <Kind kFrom, Kind kTo>
void CheckPair(const std::vector<std::byte>& pool) {
  const CastFn cast = FindCast(kFrom, kTo);
  ASSERT_NE(cast, nullptr);
  const size_t count = pool.size() / kItemBytes<kFrom>;
  std::vector<std::byte> out(count * kItemBytes<kTo>);
  cast(pool.data(), out.data(), count);
  ASSERT_TRUE((Matches<kFrom, kTo>(out.data(), pool.data(), count)));

  GuardedBytes in_guard(70000 * 16), out_guard(70000 * 16);
  std::vector<size_t> lengths = Lengths(64 / std::max(kItemBytes<kFrom>, kItemBytes<kTo>));
  lengths.insert(lengths.end(), {255, 256, 257, 511, 1025, 5001});
  for (const size_t n : lengths) {
    for (const bool at_end : {true, false}) {
      const std::byte* const from = pool.data() + (n % 7) * kItemBytes<kFrom>;
      const std::byte* const in = in_guard.Put(from, n * kItemBytes<kFrom>, at_end);
      std::byte* const to = at_end ? out_guard.Before(n * kItemBytes<kTo>) : out_guard.Start();
      std::byte* const near = at_end ? to - 64 : to + n * kItemBytes<kTo>;
      std::fill_n(near, 64, std::byte{0xA5});
      cast(in, to, n);
      ASSERT_TRUE((Matches<kFrom, kTo>(to, in, n)));
      ASSERT_TRUE(std::all_of(near, near + 64, [](std::byte b) { return b == std::byte{0xA5}; }));
    }
  }
  if (kItemBytes<kTo> <= kItemBytes<kFrom>) {
    std::vector<std::byte> both = pool;
    cast(both.data(), both.data(), count);
    ASSERT_TRUE((Matches<kFrom, kTo>(both.data(), pool.data(), count))) << "in place";
  }
}

class Cast : public OnTarget {};

template <Kind kFrom>
void CheckFrom() {
  std::vector<std::byte> pool = Pool<kFrom>();
  while (pool.size() < kLongest * kItemBytes<kFrom>) {  // kinds of few values: again and again
    const size_t size = pool.size();
    pool.resize(2 * size);
    std::copy_n(pool.begin(), size, pool.begin() + static_cast<ptrdiff_t>(size));
  }
  ForEachKind([&pool]<Kind kTo>() {
    if (!::testing::Test::HasFatalFailure()) CheckPair<kFrom, kTo>(pool);
  });
}

#define SPANFLOW_FROM(kind) \
  TEST_P(Cast, From_##kind) { CheckFrom<Kind::kind>(); }
SPANFLOW_FROM(kBool)
SPANFLOW_FROM(kI8)
SPANFLOW_FROM(kU8)
SPANFLOW_FROM(kI16)
SPANFLOW_FROM(kU16)
SPANFLOW_FROM(kI32)
SPANFLOW_FROM(kU32)
SPANFLOW_FROM(kI64)
SPANFLOW_FROM(kU64)
SPANFLOW_FROM(kF16)
SPANFLOW_FROM(kBF16)
SPANFLOW_FROM(kF32)
SPANFLOW_FROM(kF64)
SPANFLOW_FROM(kC64)
SPANFLOW_FROM(kC128)
#undef SPANFLOW_FROM

// The sign of zero and a NaN's being one survive; SameValue above does not look at the sign.
TEST_P(Cast, ZeroKeepsItsSign) {
  const double in[] = {-0.0, 0.0};
  const auto negative_first = [&in](Kind to, auto zero) {
    decltype(zero) out[2];
    FindCast(Kind::kF64, to)(in, out, 2);
    return std::pair(out[0], out[1]);
  };
  EXPECT_EQ(negative_first(Kind::kF16, uint16_t{}), std::pair(uint16_t{0x8000}, uint16_t{0}));
  EXPECT_EQ(negative_first(Kind::kBF16, uint16_t{}), std::pair(uint16_t{0x8000}, uint16_t{0}));
  EXPECT_TRUE(std::signbit(negative_first(Kind::kF32, float{}).first));
}

// A float beyond an integer's range gives what x86 does, wherever this runs.
TEST_P(Cast, FloatsOutOfRangeGiveX86sAnswers) {
  const float in[] = {300.0f,
                      -1.0f,
                      3e9f,
                      -3e9f,
                      1e30f,
                      -1e30f,
                      std::numeric_limits<float>::infinity(),
                      std::numeric_limits<float>::quiet_NaN()};
  constexpr int32_t kMin32 = std::numeric_limits<int32_t>::min();
  constexpr int64_t kMin64 = std::numeric_limits<int64_t>::min();
  int32_t i32[8];
  FindCast(Kind::kF32, Kind::kI32)(in, i32, 8);
  EXPECT_EQ(std::vector<int32_t>(i32, i32 + 8),
            (std::vector<int32_t>{300, -1, kMin32, kMin32, kMin32, kMin32, kMin32, kMin32}));
  int64_t i64[8];
  FindCast(Kind::kF32, Kind::kI64)(in, i64, 8);
  EXPECT_EQ(
      std::vector<int64_t>(i64, i64 + 8),
      (std::vector<int64_t>{300, -1, 3000000000, -3000000000, kMin64, kMin64, kMin64, kMin64}));
  uint8_t u8[8];
  FindCast(Kind::kF32, Kind::kU8)(in, u8, 8);
  EXPECT_EQ(std::vector<uint8_t>(u8, u8 + 8), (std::vector<uint8_t>{44, 255, 0, 0, 0, 0, 0, 0}));
}

SPANFLOW_ON_EVERY_TARGET(Cast);

}  // namespace
}  // namespace spanflow::simd
