// Reductions by key of any layout against plain loops, and with any number of threads.
#include "order/group.h"

#include <gtest/gtest.h>

#include <map>

#include "../array/testing.h"
#include "runtime/pool.h"

namespace spanflow::order {
namespace {

namespace testing = array::testing;
using base::Dims;
using base::DType;
using base::Kind;
using simd::Reduction;
using testing::Get;
using testing::Random;

constexpr int64_t kLow = -3;

// Keys from kLow on, and values, of a layout of their own each.
struct Data {
  View keys, values;
};

Data MakeData(Random& random, const Dims& shape, Kind kind, int64_t groups) {
  Data data{testing::RandomView(random, DType(Kind::kI16, random.Chance(40)), shape),
            testing::RandomView(random, DType(kind), shape)};
  testing::ForEachIndex(shape, [&](const Dims& index) {
    testing::Set(data.keys, index, static_cast<double>(kLow + random.Pick(0, groups - 1)));
    testing::Set(data.values, index, static_cast<double>(random.Pick(0, 9)));
  });
  return data;
}

struct Expected {
  int64_t count = 0;
  double sum = 0, max = -1;
};

TEST(GroupTest, AnyLayout) {
  Random random(61);
  for (int trial = 0; trial < testing::Trials(200); ++trial) {
    const Dims shape = testing::RandomShape(random, 3);
    const Kind kind =
        random.Among(std::vector<Kind>{Kind::kU8, Kind::kI32, Kind::kF16, Kind::kF32, Kind::kF64});
    const int64_t groups = random.Pick(1, 40);
    const Data data = MakeData(random, shape, kind, groups);
    std::map<int64_t, Expected> expected;
    testing::ForEachIndex(shape, [&](const Dims& index) {
      Expected& group = expected[static_cast<int64_t>(Get(data.keys, index)) - kLow];
      const double value = Get(data.values, index);
      ++group.count;
      group.sum += value;
      group.max = std::max(group.max, value);
    });
    std::vector<GroupColumn> columns = {{&data.values, {Reduction::kSum, Reduction::kMax}, {}},
                                        {&data.keys, {Reduction::kMean}, {}}};
    const auto counts = GroupReduce(data.keys, kLow, groups, columns, 0);
    ASSERT_TRUE(counts.ok()) << counts.status().message();
    for (int64_t g = 0; g < groups; ++g) {
      const Expected& group = expected[g];
      ASSERT_EQ(Get(*counts, {g}), static_cast<double>(group.count));
      if (group.count == 0) continue;
      const double rounding = kind == Kind::kF16 ? group.sum / 2048 : 0;
      ASSERT_NEAR(Get(columns[0].results[0], {g}), group.sum, rounding);
      ASSERT_EQ(Get(columns[0].results[1], {g}), group.max);
      ASSERT_EQ(Get(columns[1].results[0], {g}), static_cast<double>(kLow + g));
    }
    EXPECT_EQ(columns[0].results[1].dtype().kind(), kind);
  }
}

TEST(GroupTest, ResultsDoNotDependOnThreads) {
  Random random(62);
  const Data data = MakeData(random, {300'000}, Kind::kF32, 50);
  std::vector<std::vector<std::byte>> found;
  for (const int threads : {1, 2, 7}) {
    runtime::SetNumThreads(threads);
    std::vector<GroupColumn> columns = {{&data.values, {Reduction::kStd}, {}}};
    ASSERT_TRUE(GroupReduce(data.keys, kLow, 50, columns, 1).ok());
    const View& result = columns[0].results[0];
    found.emplace_back(result.data, result.data + result.layout.nbytes());
  }
  runtime::SetNumThreads(2);
  EXPECT_EQ(found[0], found[1]);
  EXPECT_EQ(found[0], found[2]);
}

TEST(GroupTest, KeysOutsideAreRefused) {
  Random random(63);
  const Data data = MakeData(random, {1000}, Kind::kF32, 10);
  for (const int64_t low : {kLow + 1, kLow - 9}) {
    std::vector<GroupColumn> columns = {{&data.values, {Reduction::kSum}, {}}};
    const auto counts = GroupReduce(data.keys, low, 10, columns, 0);
    ASSERT_FALSE(counts.ok());
    EXPECT_EQ(counts.status().code(), base::Code::kValue);
  }
}

TEST(GroupTest, WhatDoesNotFit) {
  Random random(64);
  const Data data = MakeData(random, {20}, Kind::kC64, 2);
  const Data longer = MakeData(random, {21}, Kind::kF32, 2);
  const auto code_of = [&](const View& values, Reduction reduction) {
    std::vector<GroupColumn> columns = {{&values, {reduction}, {}}};
    return GroupReduce(data.keys, kLow, 2, columns, 0).status().code();
  };
  EXPECT_EQ(code_of(data.values, Reduction::kMin), base::Code::kType);
  EXPECT_EQ(code_of(data.keys, Reduction::kArgMin), base::Code::kType);
  EXPECT_EQ(code_of(longer.values, Reduction::kSum), base::Code::kValue);
}

}  // namespace
}  // namespace spanflow::order
