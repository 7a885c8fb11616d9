// Layout: contiguity, broadcasting, reshape without a copy, overflow.
#include "base/layout.h"

#include <gtest/gtest.h>

#include <random>
#include <span>
#include <stdexcept>
#include <vector>

namespace spanflow::base {
namespace {

Layout Make(Dims shape, Dims strides) { return {DType(Kind::kF32), shape, strides}; }

TEST(Dims, KeepsValuesBeyondTheInlineOnes) {
  Dims dims;
  for (int i = 0; i < kMaxDims; ++i) dims.push_back(i);
  const Dims copy = dims;
  Dims assigned{1, 2};
  assigned = copy;
  EXPECT_EQ(assigned.size(), kMaxDims);
  EXPECT_EQ(assigned[63], 63);
  assigned = Dims{7};
  EXPECT_EQ(assigned, Dims{7});
}

TEST(Dims, MoreThan64AreNeverWritten) {
  const std::vector<int64_t> many(65, 1);
  EXPECT_EQ(Dims(std::span<const int64_t>(many).first(64)).size(), 64);
  EXPECT_THROW(Dims{std::span<const int64_t>(many)}, std::length_error);
  EXPECT_THROW(Dims(65, 1), std::length_error);
  Dims full(64, 1);
  EXPECT_THROW(full.push_back(1), std::length_error);
}

TEST(Layout, ContiguityIgnoresSizeOneAndEmptyDimensions) {
  EXPECT_TRUE(Make({2, 3}, {12, 4}).c_contiguous());
  EXPECT_FALSE(Make({2, 3}, {12, 4}).f_contiguous());
  EXPECT_TRUE(Make({2, 3}, {4, 8}).f_contiguous());
  EXPECT_TRUE(Make({1, 3, 1}, {999, 4, -7}).c_contiguous());
  EXPECT_TRUE(Make({1, 3, 1}, {999, 4, -7}).f_contiguous());
  EXPECT_TRUE(Make({0, 3}, {5, 5}).c_contiguous());
  EXPECT_TRUE(Make({}, {}).c_contiguous());
  EXPECT_FALSE(Make({3}, {-4}).c_contiguous());
}

TEST(Layout, SizesThatDoNotFitAreRefused) {
  EXPECT_FALSE(CheckedBytes({INT64_MAX / 2, 3}, 4).ok());
  EXPECT_FALSE(CheckedBytes({-1}, 4).ok());
  EXPECT_FALSE(CheckedBytes({0, INT64_MAX, INT64_MAX}, 4).ok());
  EXPECT_EQ(*CheckedBytes({0, 5}, 4), 0);
  EXPECT_EQ(*CheckedBytes({}, 4), 4);
}

TEST(Layout, ItemsWithoutBytesDoNotMakeSizesFit) {
  constexpr int64_t kHuge = int64_t{1} << 62;
  EXPECT_EQ(*CheckedBytes({kHuge}, 0), 0);
  EXPECT_FALSE(CheckedBytes({kHuge, 3}, 0).ok());  // the number of elements would not fit
  EXPECT_FALSE(CheckedBytes({kHuge, 4}, 0).ok());
}

TEST(Layout, ExtentOfNegativeStrides) {
  const auto extent = ExtentOf(Make({3, 2}, {-8, 4}));
  EXPECT_EQ(extent->low, -16);
  EXPECT_EQ(extent->high, 8);
  EXPECT_FALSE(ExtentOf(Make({INT64_MAX, 2}, {INT64_MAX, 4})).ok());
}

TEST(Broadcast, FollowsNumPy) {
  const Dims a{3, 1}, b{4}, c{2, 1, 1}, bad{5, 5};
  const Dims* three[] = {&a, &b, &c};
  EXPECT_EQ(*BroadcastShapes(three), (Dims{2, 3, 4}));
  const Dims* two[] = {&a, &bad};
  const auto refused = BroadcastShapes(two);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find("(3, 1) (5, 5)"), std::string::npos);
  EXPECT_EQ(BroadcastTo(Make({3, 1}, {4, 4}), {2, 3, 4})->strides, (Dims{0, 4, 0}));
  EXPECT_FALSE(BroadcastTo(Make({3}, {4}), {2}).ok());
  EXPECT_FALSE(BroadcastTo(Make({2, 2}, {8, 4}), {2}).ok());
}

// Element i of the reshaped view must lie where element i of the original lies.
int64_t OffsetOf(const Layout& layout, int64_t i) {
  int64_t offset = 0;
  for (int axis = layout.ndim() - 1; axis >= 0; --axis) {
    offset += i % layout.shape[axis] * layout.strides[axis];
    i /= layout.shape[axis];
  }
  return offset;
}

TEST(Reshape, RandomLayoutsKeepEveryElementInPlace) {
  std::mt19937 random(7);
  int viewed = 0;
  for (int round = 0; round < 3000; ++round) {
    Layout from{DType(Kind::kF32), {}, {}};
    const int ndim = static_cast<int>(random() % 4) + 1;
    for (int i = 0; i < ndim; ++i) from.shape.push_back(static_cast<int64_t>(random() % 4) + 1);
    from.strides = ContiguousStrides(from.shape, 4);
    for (int64_t& stride : from.strides) {
      if (random() % 3 == 0) stride *= 2;
      if (random() % 5 == 0) stride = -stride;
    }
    Dims shape;
    int64_t rest = from.size();
    while (rest > 1 && shape.size() < 5) {
      int64_t part = static_cast<int64_t>(random()) % rest + 1;
      while (rest % part != 0) ++part;
      shape.push_back(part);
      rest /= part;
      if (random() % 4 == 0) shape.push_back(1);
    }
    shape.push_back(rest);
    const auto result = Reshape(from, shape);
    if (!result.ok()) {
      EXPECT_EQ(result.status().code(), Code::kBuffer);
      continue;
    }
    ++viewed;
    for (int64_t i = 0; i < from.size(); ++i) {
      ASSERT_EQ(OffsetOf(from, i), OffsetOf(*result, i));
    }
  }
  EXPECT_GT(viewed, 500);
}

TEST(Reshape, ResolvesMinusOneAndRefusesWrongSizes) {
  EXPECT_EQ(*ResolveShape({2, -1}, 6), (Dims{2, 3}));
  EXPECT_FALSE(ResolveShape({4, -1}, 6).ok());
  EXPECT_FALSE(ResolveShape({-1, -1}, 6).ok());
  EXPECT_FALSE(ResolveShape({-2, 3}, 6).ok());
  EXPECT_FALSE(ResolveShape({0, -1}, 0).ok());
  EXPECT_FALSE(ResolveShape({INT64_MAX, INT64_MAX}, 6).ok());
}

TEST(Axis, NormalizesAndRefuses) {
  EXPECT_EQ(*NormalizeAxis(-1, 3), 2);
  EXPECT_FALSE(NormalizeAxis(3, 3).ok());
  EXPECT_FALSE(NormalizeAxis(-4, 3).ok());
}

}  // namespace
}  // namespace spanflow::base
