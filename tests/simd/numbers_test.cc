// Saturating casts between all pairs of kinds, and numbers scaled into floats, on every target,
// against a line of arithmetic each.
#include <algorithm>

#include "testing.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

constexpr bool IsReal(Kind kind) {
  return base::IsInteger(kind) || kind == Kind::kF32 || kind == Kind::kF64;
}

// Holds every value of every kind: integers of 64 bits fit the fraction.
static_assert(std::numeric_limits<long double>::digits >= 64);

template <class To, class From>
To Nearest(From value) {
  using Limits = std::numeric_limits<To>;
  const auto number = static_cast<long double>(value);
  if (std::isnan(number)) return 0;
  if (number <= static_cast<long double>(Limits::min())) return Limits::min();
  if (number >= static_cast<long double>(Limits::max())) return Limits::max();
  return static_cast<To>(std::trunc(number));
}

// Around the limits of every integer beside what RandomLanes has.
template <Kind kFrom>
std::vector<Lane<kFrom>> Values(Engine& engine, size_t count) {
  using From = Lane<kFrom>;
  std::vector<From> values = RandomLanes<kFrom>(engine, count);
  if constexpr (std::is_floating_point_v<From>) {
    size_t i = 0;
    for (const int bits : {7, 8, 15, 16, 31, 32, 63, 64}) {
      const From edge = std::ldexp(From{1}, bits);
      for (const From near : {edge, std::nextafter(edge, From{0}), edge + 1, edge - From(0.5),
                              -edge, -edge - 1, -edge - From(0.5)}) {
        values[i++] = near;
      }
    }
    std::shuffle(values.begin(), values.end(), engine);
  }
  return values;
}

std::vector<size_t> Runs() {
  std::vector<size_t> lengths = Lengths(20);
  lengths.insert(lengths.end(), {255, 256, 257, 1025, 4001});
  return lengths;
}

// Runs `kernel(in, out, n)` against inaccessible pages at both ends, and then `check(in, out, n)`.
template <class From, class To, class KernelFn, class CheckFn>
void ForEveryLength(const std::vector<From>& values, const KernelFn& kernel, const CheckFn& check) {
  GuardedBytes source(values.size() * sizeof(From)), target(values.size() * sizeof(To) + 64);
  for (const size_t n : Runs()) {
    for (const bool at_end : {true, false}) {
      const std::byte* const in = source.Put(values.data() + n % 7, n * sizeof(From), at_end);
      std::byte* const out = at_end ? target.Before(n * sizeof(To)) : target.Start();
      std::byte* const near = at_end ? out - 64 : out + n * sizeof(To);
      std::fill_n(near, 64, std::byte{0xA5});
      kernel(in, out, n);
      ASSERT_TRUE(std::all_of(near, near + 64, [](std::byte b) { return b == std::byte{0xA5}; }));
      for (size_t i = 0; i < n; ++i) {
        From value;
        To result;
        std::memcpy(&value, in + i * sizeof(From), sizeof(From));
        std::memcpy(&result, out + i * sizeof(To), sizeof(To));
        ASSERT_TRUE(check(value, result))
            << "item " << i << " of " << n << ": " << +value << " gave " << +result;
      }
    }
  }
}

class Numbers : public OnTarget {};

template <Kind kFrom, Kind kTo>
void CheckSaturation() {
  using From = Lane<kFrom>;
  using To = Lane<kTo>;
  Engine engine(static_cast<uint64_t>(kFrom) * 16 + static_cast<uint64_t>(kTo));
  const CastFn cast = FindSaturatingCast(kFrom, kTo);
  ASSERT_NE(cast, nullptr);
  const std::vector<From> values = Values<kFrom>(engine, 4100);
  ForEveryLength<From, To>(values, cast,
                           [](From value, To result) { return result == Nearest<To>(value); });
  if constexpr (sizeof(To) <= sizeof(From)) {
    std::vector<From> both = values;
    cast(both.data(), both.data(), both.size());
    for (size_t i = 0; i < values.size(); ++i) {
      To result;
      std::memcpy(&result, reinterpret_cast<std::byte*>(both.data()) + i * sizeof(To), sizeof(To));
      ASSERT_EQ(result, Nearest<To>(values[i])) << "in place";
    }
  }
}

TEST_P(Numbers, KeepToTheRangeOfIntegers) {
  ForEachKind([]<Kind kFrom>() {
    ForEachKind([]<Kind kTo>() {
      if constexpr (IsReal(kFrom) && base::IsInteger(kTo)) {
        SCOPED_TRACE(base::DType(kFrom).Name() + " to " + base::DType(kTo).Name());
        if (!::testing::Test::HasFatalFailure()) CheckSaturation<kFrom, kTo>();
      }
    });
  });
}

TEST_P(Numbers, OtherCastsAreThePlainOnes) {
  for (const Kind to : {Kind::kF32, Kind::kF16, Kind::kBool, Kind::kC128}) {
    EXPECT_EQ(FindSaturatingCast(Kind::kF64, to), FindCast(Kind::kF64, to));
  }
  EXPECT_EQ(FindSaturatingCast(Kind::kI16, Kind::kI32), FindCast(Kind::kI16, Kind::kI32));
  EXPECT_EQ(FindSaturatingCast(Kind::kBool, Kind::kI8), FindCast(Kind::kBool, Kind::kI8));
  EXPECT_EQ(FindSaturatingCast(Kind::kBytes, Kind::kI8), nullptr);
}

template <Kind kFrom, Kind kTo>
void CheckAffine() {
  using From = Lane<kFrom>;
  using To = Lane<kTo>;
  const ElementwiseKernel kernel = FindAffine(kFrom, kTo);
  if (kernel.run == nullptr) return;
  Engine engine(static_cast<uint64_t>(kFrom));
  const std::vector<From> values = RandomLanes<kFrom>(engine, 4100);
  const To scale = static_cast<To>(1.0 / 255), offset = static_cast<To>(-0.4);
  // Volatile, so that the compiler of this file does not make one operation of two.
  const auto right = [&](From value, To result) {
    const volatile To product = static_cast<To>(value) * scale;
    return SameValue<To>(result, product + offset);
  };
  for (const ElementwiseFn fn : {kernel.run, kernel.stream}) {
    ForEveryLength<From, To>(
        values,
        [&](const std::byte* in, std::byte* out, size_t n) {
          const void* const operands[] = {in, &scale, &offset};
          fn(operands, out, n);
        },
        right);
  }
}

TEST_P(Numbers, AreScaledAndMoved) {
  int kinds = 0;
  ForEachKind([&kinds]<Kind kFrom>() {
    if constexpr (IsReal(kFrom)) {
      kinds += FindAffine(kFrom, Kind::kF32).run != nullptr;
      if (!::testing::Test::HasFatalFailure()) CheckAffine<kFrom, Kind::kF32>();
      if (!::testing::Test::HasFatalFailure()) CheckAffine<kFrom, Kind::kF64>();
    }
  });
  EXPECT_EQ(kinds, 6);
  EXPECT_EQ(FindAffine(Kind::kU8, Kind::kI32).run, nullptr);
  EXPECT_NE(FindAffine(Kind::kF64, Kind::kF64).run, nullptr);
}

SPANFLOW_ON_EVERY_TARGET(Numbers);

}  // namespace
}  // namespace spanflow::simd
