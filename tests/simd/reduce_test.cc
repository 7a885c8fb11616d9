// Reductions of whole runs on every kind and target against long double and 128-bit sums.
#include <algorithm>
#include <memory>
#include <optional>

#include "testing.h"

namespace spanflow::simd {
namespace {

using namespace testing;  // NOLINT(build/namespaces)

// Runs a kernel over the pieces that `cuts` makes of a run, one accumulator each, and merges them
// in order.
void Reduce(const ReductionKernel& kernel, const std::byte* in, size_t itemsize, size_t n,
            std::vector<size_t> cuts, double ddof, void* out) {
  cuts.push_back(n);
  Accumulator total;
  kernel.init(&total);
  size_t first = 0;
  for (const size_t cut : cuts) {
    Accumulator part;
    kernel.init(&part);
    kernel.update(&part, in + first * itemsize, cut - first);
    kernel.merge(&total, &part);
    first = cut;
  }
  kernel.finish(&total, ddof, out);
}

template <class T>
struct Parts {
  T re, im;
};

template <Kind kKind, class Out>
Out ReduceOne(Reduction reduction, const void* in, size_t n, std::vector<size_t> cuts = {},
              double ddof = 0) {
  Out out;
  Reduce(FindReduction(reduction, kKind), static_cast<const std::byte*>(in), kItemBytes<kKind>, n,
         std::move(cuts), ddof, &out);
  return out;
}

std::vector<size_t> RandomCuts(Engine& engine, size_t n) {
  std::vector<size_t> cuts;
  for (size_t i = engine() % 5; i != 0; --i) cuts.push_back(engine() % (n + 1));
  std::sort(cuts.begin(), cuts.end());
  return cuts;
}

std::vector<size_t> TestLengths() {
  std::vector<size_t> lengths = Lengths(64);
  for (const size_t n :
       std::initializer_list<size_t>{1023, 1024, 1025, 2047, 2049, 4096, 8191, 20011, 70001}) {
    lengths.push_back(n);
  }
  return lengths;
}

template <Kind kKind>
constexpr bool kFloating = base::IsFloat(kKind) || base::IsComplex(kKind);

class Reductions : public OnTarget {};

// ---- integers: exact ----

template <Kind kKind>
void CheckIntegerSums() {
  using T = Lane<kKind>;
  Engine engine(1);
  const auto pool = RandomLanes<kKind>(engine, 70001);
  GuardedBytes guard(pool.size() * sizeof(T));
  for (const size_t n : TestLengths()) {
    __extension__ __int128 exact = 0;
    for (size_t i = 0; i < n; ++i) exact += pool[i];
    const std::byte* const in = guard.Put(pool.data(), n * sizeof(T), n % 3 != 0);
    const auto cuts = RandomCuts(engine, n);
    const auto wrapped = static_cast<uint64_t>(exact);
    ASSERT_EQ((ReduceOne<kKind, uint64_t>(Reduction::kSum, in, n, cuts)), wrapped) << n;
    const double mean = ReduceOne<kKind, double>(Reduction::kMean, in, n, cuts);
    if (n == 0) {
      ASSERT_TRUE(std::isnan(mean));
    } else {
      const auto expected =
          static_cast<double>(static_cast<long double>(exact) / static_cast<long double>(n));
      ASSERT_TRUE(NearValue(mean, expected, 2)) << mean << " " << expected;
    }
  }
}

TEST_P(Reductions, SumsAndMeansOfIntegersAreExact) {
  ForEachKind([]<Kind kKind>() {
    if constexpr (Contains(kIntegerKinds | kBoolKind, kKind)) {
      SCOPED_TRACE(NameOf(kKind));
      CheckIntegerSums<kKind>();
    }
  });
}

TEST_P(Reductions, LargestIntegersDoNotOverflowInsideABlock) {
  const auto check = []<Kind kKind>() {
    using T = Lane<kKind>;
    for (const T value : {std::numeric_limits<T>::max(), std::numeric_limits<T>::min()}) {
      const std::vector<T> in(200000, value);
      const uint64_t sum = ReduceOne<kKind, uint64_t>(Reduction::kSum, in.data(), in.size());
      EXPECT_EQ(sum, static_cast<uint64_t>(value) * in.size());
      const double mean = ReduceOne<kKind, double>(Reduction::kMean, in.data(), in.size());
      EXPECT_EQ(mean, static_cast<double>(value));
      const double var = ReduceOne<kKind, double>(Reduction::kVar, in.data(), in.size());
      EXPECT_EQ(var, 0);
    }
  };
  ForEachKind([&]<Kind kKind>() {
    if constexpr (Contains(kIntegerKinds, kKind)) check.template operator()<kKind>();
  });
}

// ---- floats ----

struct Exact {
  long double re = 0, im = 0;  // sums
  long double size = 0;        // sum of the sizes: what rounding errors are measured by
  long double variance = 0;    // without ddof, not divided
};

template <Kind kKind>
Exact ExactSums(const Lane<kKind>* lanes, size_t n) {
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  Exact exact;
  for (size_t i = 0; i < n * kParts; ++i) {
    const long double value = lanes[i];
    (i % kParts == 0 ? exact.re : exact.im) += value;
    exact.size += std::fabs(value);
  }
  const long double count = static_cast<long double>(n);
  for (size_t i = 0; i < n * kParts; ++i) {
    const long double mean = (i % kParts == 0 ? exact.re : exact.im) / count;
    exact.variance += (lanes[i] - mean) * (lanes[i] - mean);
  }
  return exact;
}

// A few units in the last place of the sum of sizes, for f64 hardly more than the final rounding.
template <class T>
constexpr long double kSumTolerance = sizeof(T) == 4 ? 4e-7L : 3e-16L;

template <Kind kKind>
void CheckFloatSums() {
  using T = Lane<kKind>;
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  Engine engine(2);
  const auto pool = RandomLanes<kKind>(engine, 70001 * kParts, false);
  GuardedBytes guard(pool.size() * sizeof(T));
  for (const size_t n : TestLengths()) {
    const Exact exact = ExactSums<kKind>(pool.data(), n);
    const std::byte* const in = guard.Put(pool.data(), n * kItemBytes<kKind>, n % 3 != 0);
    const auto cuts = RandomCuts(engine, n);
    T sum[2] = {}, mean[2] = {};
    Reduce(FindReduction(Reduction::kSum, kKind), in, kItemBytes<kKind>, n, cuts, 0, sum);
    Reduce(FindReduction(Reduction::kMean, kKind), in, kItemBytes<kKind>, n, cuts, 0, mean);
    const long double allowed = kSumTolerance<T> * exact.size;
    const long double count = static_cast<long double>(n);
    ASSERT_LE(std::fabs(sum[0] - exact.re), allowed) << n;
    ASSERT_LE(std::fabs(sum[1] - exact.im), allowed) << n;
    if (n == 0) {
      ASSERT_TRUE(std::isnan(mean[0]));
    } else {
      ASSERT_LE(std::fabs(mean[0] - exact.re / count), 2 * allowed / count) << n;
      ASSERT_LE(std::fabs(mean[1] - exact.im / count), 2 * allowed / count) << n;
    }
  }
}

TEST_P(Reductions, SumsAndMeansOfFloatsAreAccurate) {
  CheckFloatSums<Kind::kF32>();
  CheckFloatSums<Kind::kF64>();
  CheckFloatSums<Kind::kC64>();
  CheckFloatSums<Kind::kC128>();
}

// What naive and pairwise sums both lose: many small numbers between two large ones that cancel.
TEST_P(Reductions, SumOfF64KeepsWhatLargeNumbersHide) {
  std::vector<double> in(500000, 0.3);
  for (size_t i = 0; i < 4096; ++i) in[i] = in[in.size() - 1 - i] = 0;
  in.front() = 1e16;
  in.back() = -1e16;
  EXPECT_NEAR((ReduceOne<Kind::kF64, double>(Reduction::kSum, in.data(), in.size())),
              0.3 * static_cast<double>(in.size() - 2 * 4096), 1e-6);
}

TEST_P(Reductions, SumsKeepInfinitiesAndZerosSign) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto sum = [](std::vector<double> in, std::vector<size_t> cuts = {}) {
    return ReduceOne<Kind::kF64, double>(Reduction::kSum, in.data(), in.size(), std::move(cuts));
  };
  EXPECT_EQ(sum({1, kInf, 2}), kInf);
  EXPECT_EQ(sum({1, -kInf, 2}, {1, 2}), -kInf);
  EXPECT_TRUE(std::isnan(sum({kInf, -kInf}, {1})));
  EXPECT_TRUE(std::isnan(sum({1, std::numeric_limits<double>::quiet_NaN()})));
  EXPECT_FALSE(std::signbit(sum({})));
  EXPECT_TRUE(std::signbit(sum({-0.0, -0.0}, {1})));
  EXPECT_FALSE(std::signbit(sum({-0.0, 0.0})));
  EXPECT_EQ(sum(std::vector<double>(5000, 1e308)), kInf);
}

// ---- variance ----

template <Kind kKind>
void CheckVariance(const std::vector<Lane<kKind>>& lanes, long double tolerance) {
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  using T = Lane<kKind>;
  using Real = std::conditional_t<kFloating<kKind>, T, double>;
  Engine engine(3);
  GuardedBytes guard(lanes.size() * sizeof(T));
  for (const size_t n : TestLengths()) {
    if (n * kParts > lanes.size()) break;
    const Exact exact = ExactSums<kKind>(lanes.data(), n);
    const std::byte* const in = guard.Put(lanes.data(), n * kItemBytes<kKind>, n % 3 != 0);
    const auto cuts = RandomCuts(engine, n);
    for (const double ddof : {0.0, 1.0}) {
      const Real var = ReduceOne<kKind, Real>(Reduction::kVar, in, n, cuts, ddof);
      const Real root = ReduceOne<kKind, Real>(Reduction::kStd, in, n, cuts, ddof);
      const long double divisor = static_cast<long double>(n) - ddof;
      if (divisor <= 0) {
        ASSERT_TRUE(std::isnan(var) && std::isnan(root)) << n;
        continue;
      }
      const long double expected = exact.variance / divisor;
      ASSERT_LE(std::fabs(var - expected), tolerance * expected) << n << " of " << NameOf(kKind);
      ASSERT_LE(std::fabs(root - std::sqrt(expected)), tolerance * std::sqrt(expected)) << n;
    }
  }
}

TEST_P(Reductions, VarianceOfRandomValues) {
  ForEachKind([]<Kind kKind>() {
    if constexpr (Contains(kEveryKind, kKind)) {
      Engine engine(4);
      const auto lanes = RandomLanes<kKind>(engine, 40022, false);
      CheckVariance<kKind>(lanes, sizeof(Lane<kKind>) == 4 && kFloating<kKind> ? 2e-6L : 1e-13L);
    }
  });
}

// The textbook formula would lose everything here.
TEST_P(Reductions, VarianceFarFromZero) {
  Engine engine(5);
  std::uniform_real_distribution<double> noise(-1, 1);
  std::vector<double> f64;
  std::vector<float> f32;
  for (int i = 0; i < 40022; ++i) {
    f64.push_back(1e9 + noise(engine));
    f32.push_back(static_cast<float>(10000 + noise(engine)));
  }
  CheckVariance<Kind::kF64>(f64, 1e-13L);
  CheckVariance<Kind::kC128>(f64, 1e-13L);
  CheckVariance<Kind::kF32>(f32, 2e-6L);
  CheckVariance<Kind::kC64>(f32, 2e-6L);
}

TEST_P(Reductions, VarianceWithNanOrInfinityIsNan) {
  for (const float odd :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    std::vector<float> in(5000, 1.0f);
    in[4321] = odd;
    EXPECT_TRUE(std::isnan(ReduceOne<Kind::kF32, float>(Reduction::kVar, in.data(), in.size())));
  }
}

// ---- min and max ----

template <Kind kKind>
void CheckExtremes() {
  using T = Lane<kKind>;
  Engine engine(6);
  std::vector<T> pool = RandomLanes<kKind>(engine, 70001);
  if constexpr (std::is_floating_point_v<T>) {
    for (T& value : pool) value = std::isnan(value) ? T(0) : value;
  }
  GuardedBytes guard(pool.size() * sizeof(T));
  for (const size_t n : TestLengths()) {
    if (n == 0) continue;
    const size_t first = engine() % (pool.size() - n + 1);
    const T* const items = pool.data() + first;
    const std::byte* const in = guard.Put(items, n * sizeof(T), n % 3 != 0);
    const auto cuts = RandomCuts(engine, n);
    ASSERT_EQ((ReduceOne<kKind, T>(Reduction::kMin, in, n, cuts)),
              *std::min_element(items, items + n))
        << n;
    ASSERT_EQ((ReduceOne<kKind, T>(Reduction::kMax, in, n, cuts)),
              *std::max_element(items, items + n))
        << n;
  }
}

TEST_P(Reductions, MinAndMax) {
  ForEachKind([]<Kind kKind>() {
    if constexpr (Contains(kRealKinds | kBoolKind, kKind)) {
      SCOPED_TRACE(NameOf(kKind));
      CheckExtremes<kKind>();
    }
  });
}

template <Kind kKind>
void CheckNanWins() {
  using T = Lane<kKind>;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  for (const size_t n : {size_t{1}, size_t{5}, size_t{64}, size_t{131}}) {
    for (size_t at = 0; at < n; ++at) {
      std::vector<T> in(n, T(3));
      in[at] = nan;
      for (const Reduction reduction : {Reduction::kMin, Reduction::kMax}) {
        ASSERT_TRUE(std::isnan(ReduceOne<kKind, T>(reduction, in.data(), n))) << n << " " << at;
        ASSERT_TRUE(std::isnan(ReduceOne<kKind, T>(reduction, in.data(), n, {at})));
        ASSERT_TRUE(std::isnan(ReduceOne<kKind, T>(reduction, in.data(), n, {n / 2})));
      }
    }
  }
}

TEST_P(Reductions, NanIsMinAndMax) {
  CheckNanWins<Kind::kF32>();
  CheckNanWins<Kind::kF64>();
}

// ---- the summary: the same bits as one by one ----

constexpr Reduction kSummarized[] = {Reduction::kSum, Reduction::kMin, Reduction::kMax,
                                     Reduction::kStd};

// Accumulators in the order of kSummarized, fed in pieces; those not in `wanted` (bits) stay empty.
template <Kind kKind>
void CheckSummary(const std::byte* in, size_t n, size_t cut, unsigned wanted) {
  using T = Lane<kKind>;
  Accumulator together[4], alone[4];
  Accumulator* to[4] = {};
  for (size_t k = 0; k < 4; ++k) {
    const ReductionKernel kernel = FindReduction(kSummarized[k], kKind);
    kernel.init(&together[k]);
    kernel.init(&alone[k]);
    kernel.update(&alone[k], in, cut);
    kernel.update(&alone[k], in + cut * sizeof(T), n - cut);
    if (((wanted >> k) & 1) != 0) to[k] = &together[k];
  }
  const Summary summary{to[0], to[1], to[2], to[3]};
  FindSummary(kKind)(summary, in, cut);
  FindSummary(kKind)(summary, in + cut * sizeof(T), n - cut);
  for (size_t k = 0; k < 4; ++k) {
    if (to[k] == nullptr) continue;
    T ours, theirs;
    FindReduction(kSummarized[k], kKind).finish(&together[k], 0, &ours);
    FindReduction(kSummarized[k], kKind).finish(&alone[k], 0, &theirs);
    ASSERT_EQ(std::isnan(ours), std::isnan(theirs)) << k << " of " << n;
    if (std::isnan(ours)) continue;
    ASSERT_EQ(ours, theirs) << k << " of " << n;
  }
}

template <Kind kKind>
void CheckSummaries() {
  using T = Lane<kKind>;
  Engine engine(9);
  const auto pool = RandomLanes<kKind>(engine, 70001);
  GuardedBytes guard(pool.size() * sizeof(T));
  const T specials[] = {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity(),
                        -std::numeric_limits<T>::infinity()};
  for (const size_t n : TestLengths()) {
    std::vector<T> values(pool.begin(), pool.begin() + static_cast<ptrdiff_t>(n));
    for (size_t special = 0; special <= 4; ++special) {  // none, each one, and inf beside -inf
      if (n == 0 && special > 0) break;
      if (special == 4) values[engine() % n] = specials[1];
      if (special > 0) values[engine() % n] = specials[std::min<size_t>(special, 3) - 1];
      const std::byte* in = guard.Put(values.data(), n * sizeof(T), n % 2 != 0);
      CheckSummary<kKind>(in, n, engine() % (n + 1), static_cast<unsigned>(1 + engine() % 15));
      CheckSummary<kKind>(in, n, 0, 15);
      if (::testing::Test::HasFatalFailure()) return;
      std::copy_n(pool.begin(), n, values.begin());
    }
  }
}

TEST_P(Reductions, SummaryGivesWhatEachAloneGives) {
  CheckSummaries<Kind::kF32>();
  CheckSummaries<Kind::kF64>();
}

TEST_P(Reductions, OnlyFloatsHaveASummary) {
  EXPECT_EQ(FindSummary(Kind::kI32), nullptr);
  EXPECT_EQ(FindSummary(Kind::kC64), nullptr);
  EXPECT_EQ(FindSummary(Kind::kRecord), nullptr);
}

// ---- f32 where f32 does not do ----

// Sum, mean, var and std of parts like these, computed in long double.
template <Kind kKind>
void CheckWideRange(double scale, bool constant) {
  using T = Lane<kKind>;
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  constexpr size_t kItems = 20011;
  std::vector<T> lanes(kItems * kParts);
  Engine engine(3);
  for (T& lane : lanes) {
    const double share = constant ? 1 : std::uniform_real_distribution<double>(0.2, 1)(engine);
    lane = static_cast<T>(scale * ((engine() & 1) != 0 && !constant ? -share : share));
  }
  long double sum[2] = {}, squares = 0;
  for (size_t i = 0; i < lanes.size(); ++i) sum[i % kParts] += lanes[i];
  for (size_t i = 0; i < lanes.size(); ++i) {
    const long double distance = lanes[i] - sum[i % kParts] / kItems;
    squares += distance * distance;
  }
  const auto cuts = RandomCuts(engine, kItems);
  const auto near = [](double seen, long double wanted, long double size) {
    return std::fabs(static_cast<long double>(seen) - wanted) <= 1e-6L * size;
  };
  T out[2] = {};
  const auto reduce = [&](Reduction reduction) {
    Reduce(FindReduction(reduction, kKind), reinterpret_cast<const std::byte*>(lanes.data()),
           kItemBytes<kKind>, kItems, cuts, 0, out);
    return double{out[0]};
  };
  EXPECT_TRUE(near(reduce(Reduction::kMean), sum[0] / kItems, scale)) << out[0];
  if (kParts == 2) {
    EXPECT_TRUE(near(double{out[1]}, sum[1] / kItems, scale)) << out[1];
  }
  if (std::fabs(sum[0]) < static_cast<long double>(std::numeric_limits<T>::max())) {
    EXPECT_TRUE(near(reduce(Reduction::kSum), sum[0], scale * kItems)) << out[0];
  }
  const long double deviation = std::sqrt(squares / kItems);
  EXPECT_TRUE(near(reduce(Reduction::kStd), deviation, deviation + 1e-6L * scale)) << out[0];
}

TEST_P(Reductions, SinglePrecisionAtTheEndsOfItsRange) {
  for (const double scale : {3e38, 1e30, 1e19, 1.0, 1e-17, 1e-25, 1e-37}) {
    for (const bool constant : {false, true}) {
      SCOPED_TRACE(std::to_string(std::log10(scale)) + (constant ? " constant" : ""));
      CheckWideRange<Kind::kF32>(scale, constant);
      CheckWideRange<Kind::kC64>(scale, constant);
    }
  }
}

TEST_P(Reductions, InfinityAndNanStay) {
  for (const size_t n : {size_t{3}, size_t{5000}}) {
    std::vector<float> in(n, 1.0f);
    in[n / 2] = std::numeric_limits<float>::infinity();
    EXPECT_EQ((ReduceOne<Kind::kF32, float>(Reduction::kSum, in.data(), n)), in[n / 2]);
    EXPECT_EQ((ReduceOne<Kind::kF32, float>(Reduction::kMean, in.data(), n)), in[n / 2]);
    EXPECT_TRUE(std::isnan(ReduceOne<Kind::kF32, float>(Reduction::kStd, in.data(), n)));
    in[0] = -in[n / 2];
    EXPECT_TRUE(std::isnan(ReduceOne<Kind::kF32, float>(Reduction::kSum, in.data(), n)));
    in[0] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(ReduceOne<Kind::kF32, float>(Reduction::kSum, in.data(), n)));
    EXPECT_TRUE(std::isnan(ReduceOne<Kind::kF32, float>(Reduction::kStd, in.data(), n)));
  }
}

TEST_P(Reductions, SomeKnowThatTheyAreDone) {
  const float items[] = {0, std::numeric_limits<float>::quiet_NaN()};
  const auto done_after = [&](Reduction reduction, size_t n) {
    const ReductionKernel kernel = FindReduction(reduction, Kind::kF32);
    Accumulator acc;
    kernel.init(&acc);
    kernel.update(&acc, items, n);
    return kernel.done(&acc);
  };
  EXPECT_FALSE(done_after(Reduction::kAny, 1));
  EXPECT_TRUE(done_after(Reduction::kAny, 2));
  EXPECT_FALSE(done_after(Reduction::kAll, 0));
  EXPECT_TRUE(done_after(Reduction::kAll, 1));
  for (const Reduction reduction : {Reduction::kMin, Reduction::kMax}) {
    EXPECT_FALSE(done_after(reduction, 1));
    EXPECT_TRUE(done_after(reduction, 2));
  }
  EXPECT_EQ(FindReduction(Reduction::kSum, Kind::kF32).done, nullptr);
  EXPECT_EQ(FindReduction(Reduction::kCountNonzero, Kind::kF32).done, nullptr);
}

// ---- any, all, count_nonzero ----

// A value that is not zero in its last bit only, where a loop that looks at some bits would miss
// it.
template <Kind kKind>
std::vector<std::array<Lane<kKind>, 2>> NonzeroItems() {
  using T = Lane<kKind>;
  std::vector<T> values = {T(1), static_cast<T>(-1)};
  if constexpr (std::is_floating_point_v<T>) {
    values.push_back(std::numeric_limits<T>::denorm_min());
    values.push_back(std::numeric_limits<T>::quiet_NaN());
  } else {
    values.push_back(static_cast<T>(T{1} << (8 * sizeof(T) - 1)));
  }
  std::vector<std::array<T, 2>> items;
  for (const T value : values) {
    items.push_back({value, T(0)});
    if (KindLane<kKind>::kLanes == 2) items.push_back({T(0), value});
  }
  return items;
}

template <Kind kKind>
void CheckTruthAt(size_t n, size_t at, const std::array<Lane<kKind>, 2>& nonzero,
                  GuardedBytes& guard) {
  using T = Lane<kKind>;
  constexpr size_t kParts = KindLane<kKind>::kLanes;
  const T zero = std::is_floating_point_v<T> ? static_cast<T>(-0.0) : T(0);
  std::vector<T> in(n * kParts, zero);
  std::copy_n(nonzero.begin(), kParts, in.begin() + static_cast<ptrdiff_t>(at * kParts));
  const std::byte* bytes = guard.Put(in.data(), n * kItemBytes<kKind>, true);
  ASSERT_TRUE((ReduceOne<kKind, bool>(Reduction::kAny, bytes, n))) << n << " " << at;
  ASSERT_TRUE((ReduceOne<kKind, bool>(Reduction::kAny, bytes, n, {at})));
  ASSERT_EQ((ReduceOne<kKind, bool>(Reduction::kAll, bytes, n)), n == 1);
  ASSERT_EQ((ReduceOne<kKind, int64_t>(Reduction::kCountNonzero, bytes, n, {at})), 1);

  for (size_t i = 0; i < n; ++i)
    std::copy_n(nonzero.begin(), kParts, in.begin() + static_cast<ptrdiff_t>(i * kParts));
  bytes = guard.Put(in.data(), n * kItemBytes<kKind>, true);
  ASSERT_TRUE((ReduceOne<kKind, bool>(Reduction::kAll, bytes, n)));
  std::fill_n(in.begin() + static_cast<ptrdiff_t>(at * kParts), kParts, zero);
  bytes = guard.Put(in.data(), n * kItemBytes<kKind>, true);
  ASSERT_FALSE((ReduceOne<kKind, bool>(Reduction::kAll, bytes, n))) << n << " " << at;
  ASSERT_EQ((ReduceOne<kKind, int64_t>(Reduction::kCountNonzero, bytes, n)),
            static_cast<int64_t>(n) - 1);
}

TEST_P(Reductions, AnyAllAndCountSeeEveryItem) {
  ForEachKind([]<Kind kKind>() {
    if constexpr (Contains(kEveryKind, kKind)) {
      SCOPED_TRACE(NameOf(kKind));
      GuardedBytes guard(6000 * 16);
      for (const auto& nonzero : NonzeroItems<kKind>()) {
        for (const size_t n : std::initializer_list<size_t>{1, 2, 3, 15, 16, 33, 64, 65, 131}) {
          for (size_t at = 0; at < n; ++at) CheckTruthAt<kKind>(n, at, nonzero, guard);
        }
        for (size_t at = 0; at < 5001; at += 617) CheckTruthAt<kKind>(5001, at, nonzero, guard);
        if (::testing::Test::HasFatalFailure()) return;
      }
    }
  });
}

TEST_P(Reductions, EmptyRuns) {
  EXPECT_EQ((ReduceOne<Kind::kF32, float>(Reduction::kSum, nullptr, 0)), 0);
  EXPECT_EQ((ReduceOne<Kind::kI8, int64_t>(Reduction::kSum, nullptr, 0)), 0);
  EXPECT_FALSE((ReduceOne<Kind::kF32, bool>(Reduction::kAny, nullptr, 0)));
  EXPECT_TRUE((ReduceOne<Kind::kF32, bool>(Reduction::kAll, nullptr, 0)));
  EXPECT_EQ((ReduceOne<Kind::kF32, int64_t>(Reduction::kCountNonzero, nullptr, 0)), 0);
  EXPECT_TRUE(std::isnan(ReduceOne<Kind::kI32, double>(Reduction::kMean, nullptr, 0)));
  EXPECT_TRUE(std::isnan(ReduceOne<Kind::kF64, double>(Reduction::kVar, nullptr, 0)));
}

TEST_P(Reductions, BoolBytesFromElsewhere) {
  std::vector<uint8_t> in(300, 0);
  for (size_t i = 0; i < in.size(); i += 3) in[i] = static_cast<uint8_t>(1 + i % 255);
  EXPECT_EQ((ReduceOne<Kind::kBool, int64_t>(Reduction::kSum, in.data(), in.size())), 100);
  EXPECT_EQ((ReduceOne<Kind::kBool, uint8_t>(Reduction::kMax, in.data(), in.size())), 1);
  EXPECT_EQ((ReduceOne<Kind::kBool, uint8_t>(Reduction::kMax, in.data(), 1)), 1);
  EXPECT_EQ((ReduceOne<Kind::kBool, uint8_t>(Reduction::kMin, in.data(), 1)), 1);
  EXPECT_NEAR((ReduceOne<Kind::kBool, double>(Reduction::kVar, in.data(), in.size())), 2.0 / 9,
              1e-15);
}

SPANFLOW_ON_EVERY_TARGET(Reductions);

TEST(ResultKind, FollowsNumPy) {
  EXPECT_EQ(ResultKind(Reduction::kSum, Kind::kBool), Kind::kI64);
  EXPECT_EQ(ResultKind(Reduction::kSum, Kind::kI8), Kind::kI64);
  EXPECT_EQ(ResultKind(Reduction::kSum, Kind::kU16), Kind::kU64);
  EXPECT_EQ(ResultKind(Reduction::kSum, Kind::kF16), Kind::kF16);
  EXPECT_EQ(ResultKind(Reduction::kSum, Kind::kC64), Kind::kC64);
  EXPECT_EQ(ResultKind(Reduction::kMean, Kind::kU8), Kind::kF64);
  EXPECT_EQ(ResultKind(Reduction::kMean, Kind::kC128), Kind::kC128);
  EXPECT_EQ(ResultKind(Reduction::kVar, Kind::kC64), Kind::kF32);
  EXPECT_EQ(ResultKind(Reduction::kStd, Kind::kC128), Kind::kF64);
  EXPECT_EQ(ResultKind(Reduction::kVar, Kind::kBool), Kind::kF64);
  EXPECT_EQ(ResultKind(Reduction::kVar, Kind::kBF16), Kind::kBF16);
  EXPECT_EQ(ResultKind(Reduction::kMin, Kind::kBool), Kind::kBool);
  EXPECT_EQ(ResultKind(Reduction::kCountNonzero, Kind::kC64), Kind::kI64);
  EXPECT_EQ(ResultKind(Reduction::kAll, Kind::kF64), Kind::kBool);
}

}  // namespace
}  // namespace spanflow::simd
