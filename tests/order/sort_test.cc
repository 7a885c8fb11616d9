// Sorting, searching and counting of any layout against the C++ library, with any number of
// threads.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "../array/testing.h"
#include "order/count.h"
#include "order/key_sort.h"
#include "order/ranks.h"
#include "order/search.h"
#include "order/sort.h"

namespace spanflow::order {
namespace {

namespace testing = array::testing;
using base::Code;
using base::Dims;
using base::DType;
using base::Kind;
using testing::Get;
using testing::MakeView;
using testing::Random;
using testing::RandomView;

constexpr RunOptions kThreads[] = {{1}, {2}, {5}};

// A real dtype with small numbers, of which many are equal.
DType RealDType(Random& random) {
  DType dtype = random.AnyDType();
  while (base::IsComplex(dtype.kind())) dtype = random.AnyDType();
  return dtype;
}

struct Case {
  View in;
  int axis;
};

Case RandomCase(Random& random) {
  Dims shape = testing::RandomShape(random, 3);
  if (shape.empty()) shape = {random.Pick(1, 3000)};
  for (int64_t& extent : shape) extent = std::max<int64_t>(extent, 1);
  const View in = RandomView(random, RealDType(random), shape);
  testing::FillSmall(random, in);
  return {in, static_cast<int>(random.Pick(0, shape.size() - 1))};
}

// visit(values, index) for each line along the axis; index[axis] may be changed.
template <class F>
void ForLines(const Case& c, const F& visit) {
  Dims outer = c.in.layout.shape;
  outer[c.axis] = 1;
  testing::ForEachIndex(outer, [&](Dims index) {
    std::vector<double> values;
    for (; index[c.axis] < c.in.layout.shape[c.axis]; ++index[c.axis]) {
      values.push_back(Get(c.in, index));
    }
    visit(values, index);
  });
}

std::vector<int64_t> OrderOf(const std::vector<double>& values, bool descending) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const double x = values[static_cast<size_t>(a)], y = values[static_cast<size_t>(b)];
    return descending ? y < x : x < y;
  });
  return order;
}

TEST(OrderTest, AnyAxisOfAnyLayout) {
  Random random(71);
  for (int trial = 0; trial < testing::Trials(300); ++trial) {
    const Case c = RandomCase(random);
    const bool descending = random.Chance(50);
    const View sorted = RandomView(random, c.in.dtype(), c.in.layout.shape);
    const View places = RandomView(random, DType(Kind::kI64), c.in.layout.shape);
    const testing::Guard guard(sorted);
    ASSERT_TRUE(Sort(c.in, c.axis, {descending, random.Chance(50)}, sorted).ok());
    ASSERT_TRUE(ArgSort(c.in, c.axis, descending, places).ok());
    ASSERT_TRUE(guard.OnlyElementsChanged());
    ForLines(c, [&](const std::vector<double>& values, Dims index) {
      const std::vector<int64_t> order = OrderOf(values, descending);
      for (size_t i = 0; i < values.size(); ++i) {
        index[c.axis] = static_cast<int64_t>(i);
        ASSERT_EQ(Get(places, index), static_cast<double>(order[i]));
        ASSERT_EQ(Get(sorted, index), values[static_cast<size_t>(order[i])]);
      }
    });
  }
}

TEST(OrderTest, InPlace) {
  Random random(72);
  for (int trial = 0; trial < testing::Trials(100); ++trial) {
    const Case c = RandomCase(random);
    const View apart = MakeView(c.in.dtype(), c.in.layout.shape);
    ASSERT_TRUE(Sort(c.in, c.axis, {}, apart).ok());
    ASSERT_TRUE(Sort(c.in, c.axis, {false, random.Chance(50)}, c.in).ok());
    testing::ForEachIndex(c.in.layout.shape, [&](const Dims& index) {
      ASSERT_EQ(Get(c.in, index), Get(apart, index));
    });
  }
}

TEST(OrderTest, TopOfAnyLayout) {
  Random random(73);
  for (int trial = 0; trial < testing::Trials(200); ++trial) {
    const Case c = RandomCase(random);
    const bool descending = random.Chance(50);
    Dims shape = c.in.layout.shape;
    shape[c.axis] = random.Pick(0, std::min<int64_t>(shape[c.axis], 20));
    const View values = RandomView(random, c.in.dtype(), shape);
    const View places = RandomView(random, DType(Kind::kI64), shape);
    ASSERT_TRUE(TopK(c.in, c.axis, descending, values, places).ok());
    ForLines(c, [&](const std::vector<double>& line, Dims index) {
      const std::vector<int64_t> order = OrderOf(line, descending);
      for (int64_t i = 0; i < shape[c.axis]; ++i) {
        index[c.axis] = i;
        const int64_t place = order[static_cast<size_t>(i)];
        ASSERT_EQ(Get(places, index), static_cast<double>(place));
        ASSERT_EQ(Get(values, index), line[static_cast<size_t>(place)]);
      }
    });
  }
}

TEST(OrderTest, Refusals) {
  const View in = MakeView(DType(Kind::kC64), {3}), places = MakeView(DType(Kind::kI64), {3});
  EXPECT_EQ(ArgSort(in, 0, false, places).code(), Code::kType);
  View frozen = MakeView(DType(Kind::kF32), {3});
  frozen.readonly = true;
  EXPECT_EQ(Sort(frozen, 0, {}, frozen).code(), Code::kValue);
  const View more = MakeView(DType(Kind::kF32), {4}), at = MakeView(DType(Kind::kI64), {4});
  EXPECT_EQ(TopK(frozen, 0, true, more, at).code(), Code::kValue);
}

template <class Key>
std::vector<Key> RandomKeys(Random& random, int64_t n, int64_t high) {
  std::vector<Key> keys(static_cast<size_t>(n));
  for (Key& key : keys) key = static_cast<Key>(random.Pick(0, high));
  return keys;
}

template <class Key>
void CheckKeySort(Random& random, int64_t n, int64_t high) {
  const std::vector<Key> keys = RandomKeys<Key>(random, n, high);
  std::vector<Key> expected = keys;
  std::sort(expected.begin(), expected.end());
  std::vector<int64_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return keys[static_cast<size_t>(a)] < keys[static_cast<size_t>(b)];
  });
  for (const RunOptions& options : kThreads) {
    std::vector<Key> memory = keys, spare(keys.size());
    const Key* const sorted = SortKeys(memory.data(), spare.data(), n, options);
    ASSERT_TRUE(std::equal(expected.begin(), expected.end(), sorted));
    std::vector<int64_t> places(keys.size());
    RankKeys(keys.data(), n, places.data(), options);
    ASSERT_EQ(places, order);
  }
  std::vector<Key> memory = keys, spare(keys.size());
  const int64_t kth = random.Pick(0, n - 1);
  SelectKey(memory.data(), spare.data(), n, kth);
  const auto place = memory.begin() + kth;
  ASSERT_EQ(*place, expected[static_cast<size_t>(kth)]);
  ASSERT_TRUE(std::all_of(memory.begin(), place, [&](Key key) { return key <= *place; }));
  ASSERT_TRUE(std::all_of(place, memory.end(), [&](Key key) { return key >= *place; }));
  std::sort(memory.begin(), memory.end());
  ASSERT_EQ(memory, expected);
}

TEST(KeySortTest, LongRunsWithAnyNumberOfThreads) {
  Random random(74);
  for (const int64_t n : {1, 2, 100, 5000, 70'000, 300'001}) {
    for (const int64_t high : {int64_t{0}, int64_t{200}, std::numeric_limits<int64_t>::max()}) {
      CheckKeySort<uint8_t>(random, n, high);
      CheckKeySort<uint16_t>(random, n, high);
      CheckKeySort<uint32_t>(random, n, high);
      CheckKeySort<uint64_t>(random, n, high);
    }
  }
}

TEST(SearchTest, AnyLayout) {
  Random random(75);
  for (int trial = 0; trial < testing::Trials(200); ++trial) {
    const int64_t count = random.Pick(0, 40);
    const View sorted = RandomView(random, RealDType(random), {count});
    std::vector<double> among;
    for (int64_t i = 0; i < count; ++i) among.push_back(static_cast<double>(random.Pick(0, 11)));
    if (sorted.dtype().kind() == Kind::kBool) {
      for (double& value : among) value = value > 5;
    }
    std::sort(among.begin(), among.end());
    for (int64_t i = 0; i < count; ++i) {
      testing::Set(sorted, {i}, among[static_cast<size_t>(i)]);
    }
    const View wanted = RandomCase(random).in;
    const bool behind = random.Chance(50), invert = random.Chance(50);
    const auto places = SearchSorted(sorted, wanted, behind);
    const auto found = IsIn(wanted, sorted, invert);
    ASSERT_TRUE(places.ok() && found.ok());
    testing::ForEachIndex(wanted.layout.shape, [&](const Dims& index) {
      const double value = Get(wanted, index);
      const auto low = std::lower_bound(among.begin(), among.end(), value);
      const auto high = std::upper_bound(among.begin(), among.end(), value);
      ASSERT_EQ(Get(*places, index), static_cast<double>((behind ? high : low) - among.begin()));
      ASSERT_EQ(Get(*found, index), (low != high) != invert);
    });
  }
}

TEST(UniqueTest, AnyLayout) {
  Random random(76);
  for (int trial = 0; trial < testing::Trials(200); ++trial) {
    const View in = RandomCase(random).in;
    std::map<double, std::pair<int64_t, int64_t>> expected;  // first place, count
    std::vector<double> values;
    testing::ForEachIndex(in.layout.shape, [&](const Dims& index) {
      values.push_back(Get(in, index));
      auto [entry, fresh] = expected.try_emplace(values.back());
      if (fresh) entry->second.first = static_cast<int64_t>(values.size()) - 1;
      ++entry->second.second;
    });
    const auto alone = Unique(in, {});
    const auto found = Unique(in, {true, true, true});
    ASSERT_TRUE(alone.ok() && found.ok());
    ASSERT_EQ(found->values.size(), static_cast<int64_t>(expected.size()));
    int64_t at = 0;
    for (const auto& [value, facts] : expected) {
      ASSERT_EQ(Get(found->values, {at}), value);
      ASSERT_EQ(Get(alone->values, {at}), value);
      ASSERT_EQ(Get(found->first, {at}), static_cast<double>(facts.first));
      ASSERT_EQ(Get(found->counts, {at}), static_cast<double>(facts.second));
      ++at;
    }
    for (int64_t i = 0; i < found->inverse.size(); ++i) {
      const auto which = static_cast<int64_t>(Get(found->inverse, {i}));
      ASSERT_EQ(Get(found->values, {which}), values[static_cast<size_t>(i)]);
    }
  }
}

TEST(CountTest, AnyLayoutWithAnyNumberOfThreads) {
  Random random(77);
  for (int trial = 0; trial < testing::Trials(100); ++trial) {
    DType dtype = RealDType(random);
    while (base::IsFloat(dtype.kind())) dtype = RealDType(random);
    const View in = RandomView(random, dtype, {random.Pick(0, 3000)});
    testing::FillSmall(random, in);
    std::vector<double> expected(20);
    for (int64_t i = 0; i < in.size(); ++i) ++expected[static_cast<size_t>(Get(in, {i}))];
    const View weights = RandomView(random, DType(Kind::kF32), {in.size()});
    testing::FillSmall(random, weights, 1, 1);
    for (const View* factors : {static_cast<const View*>(nullptr), &weights}) {
      const auto counts = BinCount(in, factors, 20, kThreads[trial % 3]);
      ASSERT_TRUE(counts.ok());
      ASSERT_EQ(counts->size(), 20);
      for (int64_t i = 0; i < 20; ++i) {
        ASSERT_EQ(Get(*counts, {i}), expected[static_cast<size_t>(i)]);
      }
    }
  }
}

TEST(CountTest, HistogramsOfAnyLayout) {
  Random random(78);
  const std::vector<double> edges = {1, 3, 5, 7, 9};
  for (int trial = 0; trial < testing::Trials(100); ++trial) {
    const View in = RandomCase(random).in;
    std::vector<double> expected(4);
    testing::ForEachIndex(in.layout.shape, [&](const Dims& index) {
      const double value = Get(in, index);
      if (value >= 1 && value <= 9)
        ++expected[std::min<size_t>(static_cast<size_t>(value - 1) / 2, 3)];
    });
    const auto counts = Histogram(in, edges, nullptr, kThreads[trial % 3]);
    ASSERT_TRUE(counts.ok());
    for (int64_t i = 0; i < 4; ++i) {
      ASSERT_EQ(Get(*counts, {i}), expected[static_cast<size_t>(i)]);
    }
  }
}

}  // namespace
}  // namespace spanflow::order
