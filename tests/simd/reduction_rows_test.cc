// Every row of the table of reductions, for every kind, length and target, against what it means
// for a list of numbers. The items are small whole numbers, which no order of additions rounds.
#include <algorithm>

#include "../reduction_reference.h"
#include "testing.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

class ReductionRows : public OnTarget {};

bool IsProduct(Reduction reduction) {
  return reduction == Reduction::kProd || reduction == Reduction::kNanProd;
}
bool LeavesNanOut(Reduction reduction) { return reduction >= Reduction::kNanSum; }

// Products are of ones, and of a few twos.
template <Kind kKind>
Lane<kKind> SmallItem(Engine& engine, Reduction reduction) {
  using T = Lane<kKind>;
  if (kKind == Kind::kBool) return engine() % 4 != 0;
  if (IsProduct(reduction)) {
    if (engine() % 5000 == 0) return T(2);
    return std::is_signed_v<T> && engine() % 2 == 0 ? static_cast<T>(-1) : T(1);
  }
  const int value = static_cast<int>(engine() % 41);
  return static_cast<T>(std::is_signed_v<T> ? value - 20 : value);
}

template <Kind kKind>
double ResultOf(Reduction reduction, const std::byte* result) {
  double value = 0;
  FindCast(ResultKind(reduction, kKind), Kind::kF64)(result, &value, 1);
  return value;
}

template <Kind kKind>
void CheckRow(Reduction reduction, const std::vector<Lane<kKind>>& lanes, size_t n, size_t cut) {
  using T = Lane<kKind>;
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  static GuardedBytes guard(16390 * sizeof(T) * kParts);
  const std::byte* const in = guard.Put(lanes.data(), n * kItemBytes<kKind>, n % 3 != 0);
  std::vector<double> items;
  for (size_t i = 0; i < n; ++i) items.push_back(static_cast<double>(lanes[i * kParts]));
  const ReductionKernel kernel = FindReduction(reduction, kKind);
  ASSERT_NE(kernel.update, nullptr);
  Accumulator first, second;
  kernel.init(&first);
  kernel.init(&second);
  kernel.update(&first, in, cut);
  kernel.update(&second, in + cut * kItemBytes<kKind>, n - cut);
  kernel.merge(&first, &second);
  alignas(16) std::byte result[16];
  kernel.finish(&first, 1, result);
  const double wanted = spanflow::testing::Reference(reduction, items, 1);
  const double got = ResultOf<kKind>(reduction, result);
  if (std::isnan(wanted)) {
    ASSERT_TRUE(std::isnan(got)) << n << " gave " << got;
  } else {
    ASSERT_NEAR(got, wanted, std::fabs(wanted) * 2e-6) << n << " cut at " << cut;
  }
}

template <Kind kKind>
void CheckKind(Reduction reduction, bool some_nan) {
  using T = Lane<kKind>;
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  Engine engine(7);
  for (const size_t n :
       std::initializer_list<size_t>{1, 2, 3, 7, 8, 31, 64, 65, 1000, 1024, 4099, 16390}) {
    std::vector<T> lanes(n * kParts, T(0));
    for (size_t i = 0; i < n; ++i) {
      lanes[i * kParts] = SmallItem<kKind>(engine, reduction);
      if constexpr (std::is_floating_point_v<T>) {
        if (some_nan && engine() % 5 == 0) {
          lanes[i * kParts + engine() % kParts] = std::numeric_limits<T>::quiet_NaN();
          lanes[i * kParts] = std::numeric_limits<T>::quiet_NaN();
        }
      }
    }
    CheckRow<kKind>(reduction, lanes, n, engine() % (n + 1));
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST_P(ReductionRows, MeanWhatTheReferenceSays) {
  for (int i = 0; i < kNumReductions; ++i) {
    const auto reduction = static_cast<Reduction>(i);
    ForEachKind([reduction]<Kind kKind>() {
      if (!Contains(InfoOf(reduction).kinds, kKind)) return;
      if constexpr (Contains(kEveryKind, kKind)) {
        SCOPED_TRACE(std::string(InfoOf(reduction).name) + " of " + NameOf(kKind));
        CheckKind<kKind>(reduction, false);
        if (LeavesNanOut(reduction)) CheckKind<kKind>(reduction, true);
      }
    });
    if (HasFatalFailure()) return;
  }
}

// The first of several equal ones, the first NaN, -0 and 0 as equals, and infinities from the
// start.
template <Kind kKind>
void CheckPlaces() {
  using T = Lane<kKind>;
  const auto place = [](Reduction reduction, const std::vector<T>& items, size_t cut) {
    const ReductionKernel kernel = FindReduction(reduction, kKind);
    Accumulator first, second;
    kernel.init(&first);
    kernel.init(&second);
    kernel.update(&first, items.data(), cut);
    kernel.update(&second, items.data() + cut, items.size() - cut);
    kernel.merge(&first, &second);
    int64_t result;
    kernel.finish(&first, 0, &result);
    return result;
  };
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  for (const size_t n : std::initializer_list<size_t>{5, 100, 9000}) {
    for (const size_t at : {size_t{0}, n / 3, n - 1}) {
      for (const size_t cut : {size_t{0}, at, n / 2, n}) {
        std::vector<T> items(n, T(0));
        EXPECT_EQ(place(Reduction::kArgMax, items, cut), 0);
        items[0] = static_cast<T>(-0.0);
        EXPECT_EQ(place(Reduction::kArgMax, items, cut), 0);
        EXPECT_EQ(place(Reduction::kArgMin, items, cut), 0);
        items[at] = items[n - 1] = inf;
        EXPECT_EQ(place(Reduction::kArgMax, items, cut), at);
        items[at] = items[n - 1] = nan;
        EXPECT_EQ(place(Reduction::kArgMax, items, cut), at);
        EXPECT_EQ(place(Reduction::kArgMin, items, cut), at);
        const std::vector<T> low(n, -inf);
        EXPECT_EQ(place(Reduction::kArgMax, low, cut), 0);
      }
    }
  }
}

TEST_P(ReductionRows, PlacesAreThoseOfTheFirst) {
  CheckPlaces<Kind::kF32>();
  CheckPlaces<Kind::kF64>();
}

TEST_P(ReductionRows, NormOfWhatSquaresDoNotReach) {
  for (const double scale : {1e30, 1e-30, 1e-40}) {
    const std::vector<float> items(5000, static_cast<float>(scale));
    const ReductionKernel kernel = FindReduction(Reduction::kNorm, Kind::kF32);
    Accumulator acc;
    kernel.init(&acc);
    kernel.update(&acc, items.data(), items.size());
    float norm;
    kernel.finish(&acc, 0, &norm);
    const double wanted = double{items[0]} * std::sqrt(5000.0);
    EXPECT_NEAR(double{norm}, wanted, wanted * 1e-6) << scale;
  }
}

SPANFLOW_ON_EVERY_TARGET(ReductionRows);

}  // namespace
}  // namespace spanflow::simd
