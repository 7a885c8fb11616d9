#include "base/exact_sum.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

namespace spanflow::base {
namespace {

double SumOf(const std::vector<double>& values) {
  ExactSum sum;
  for (const double value : values) sum.Add(value);
  return sum.ToDouble();
}

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kMax = std::numeric_limits<double>::max();
constexpr double kTiny = std::numeric_limits<double>::denorm_min();

TEST(ExactSumTest, NothingIsLost) {
  EXPECT_EQ(SumOf({}), 0);
  EXPECT_EQ(SumOf({1e100, 1, -1e100}), 1);
  EXPECT_EQ(SumOf({kMax, kTiny, -kMax}), kTiny);
  EXPECT_EQ(SumOf({kMax, kMax, -kMax, -kMax, -kTiny}), -kTiny);
  EXPECT_EQ(SumOf(std::vector<double>(10, 0.1)), 1.0);
}

TEST(ExactSumTest, HalvesAreRoundedToEven) {
  EXPECT_EQ(SumOf({1, 0x1p-53}), 1);
  EXPECT_EQ(SumOf({1, 0x1p-53, kTiny}), 1 + 0x1p-52);
  EXPECT_EQ(SumOf({1 + 0x1p-52, 0x1p-53}), 1 + 0x1p-51);
  EXPECT_EQ(SumOf({-1, -0x1p-53, -kTiny}), -1 - 0x1p-52);
}

TEST(ExactSumTest, FloatsAreRoundedOnce) {
  ExactSum sum;
  for (const double value : {1.0, 0x1p-24, 0x1p-80}) sum.Add(value);
  EXPECT_EQ(sum.ToFloat(), 1 + 0x1p-23F);  // by way of double it would be 1
  ExactSum small;
  small.Add(0x1p-150 + 0x1p-190);
  EXPECT_EQ(small.ToFloat(), 0x1p-149F);
}

TEST(ExactSumTest, LargerThanAnyDouble) {
  EXPECT_EQ(SumOf({kMax, kMax}), kInf);
  EXPECT_EQ(SumOf({-kMax, -kMax, 1}), -kInf);
  EXPECT_EQ(SumOf(std::vector<double>(5000, kMax)), kInf);
  EXPECT_EQ(SumOf({kInf, 1, -kMax}), kInf);
  EXPECT_TRUE(std::isnan(SumOf({kInf, -kInf})));
}

TEST(ExactSumTest, AnyOrderAndAnyPartsGiveTheSame) {
  std::mt19937_64 engine(1);
  std::vector<double> values;
  for (int i = 0; i < 5000; ++i) {
    const double value = std::ldexp(static_cast<double>(static_cast<int64_t>(engine())),
                                    static_cast<int>(engine() % 1800) - 950);
    values.push_back(value);
    values.push_back(-value);
  }
  values.push_back(0x1p-60);
  for (int trial = 0; trial < 5; ++trial) {
    std::shuffle(values.begin(), values.end(), engine);
    ExactSum parts[3];
    for (size_t i = 0; i < values.size(); ++i) parts[i % 3].Add(values[i]);
    parts[0].Merge(parts[1]);
    parts[0].Merge(parts[2]);
    ASSERT_EQ(parts[0].ToDouble(), 0x1p-60);
  }
}

}  // namespace
}  // namespace spanflow::base
