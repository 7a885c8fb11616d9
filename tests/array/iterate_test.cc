#include "array/iterate.h"

#include <gtest/gtest.h>

#include "array/gather.h"
#include "testing.h"

namespace spanflow::array {
namespace {

using testing::AddressOf;
using testing::ForEachIndex;
using testing::Random;
using testing::RandomShape;
using testing::RandomView;

std::span<const int64_t> Span(const base::Dims& dims) {
  return {dims.data(), static_cast<size_t>(dims.size())};
}

// The addresses in the order of a walk, one Advance at a time.
std::vector<std::byte*> Addresses(const Walk& walk, int64_t n) {
  std::vector<std::byte*> addresses;
  Cursor cursor;
  cursor.Start(&walk, 0);
  for (int64_t i = 0; i < n; ++i, cursor.Advance(1)) addresses.push_back(cursor.pointer());
  return addresses;
}

TEST(WalkTest, VisitsEveryElementOnceInFallingStrides) {
  Random random(1);
  for (int trial = 0; trial < testing::Trials(300); ++trial) {
    const View view = RandomView(random, base::DType(base::Kind::kI32), RandomShape(random, 5));
    if (view.size() == 0) continue;
    const AxisOrder order = OrderByStrides(Span(view.layout.shape), Span(view.layout.strides));
    Walk walk;
    MakeWalk(view.data, Span(view.layout.shape), Span(view.layout.strides), order, &walk);
    for (int i = 0; i < walk.count; ++i) {
      EXPECT_GE(walk.strides[i], 0);
      EXPECT_LE(walk.strides[i], walk.strides[std::max(i - 1, 0)]);
    }
    const std::vector<std::byte*> visited = Addresses(walk, view.size());
    // Elements do not overlap and steps fall, so the order is that of the addresses.
    std::vector<std::byte*> expected;
    ForEachIndex(view.layout.shape,
                 [&](const base::Dims& index) { expected.push_back(AddressOf(view, index)); });
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(visited, expected);
  }
}

TEST(WalkTest, ContiguousArraysAreOneRunWhateverTheirRank) {
  for (const base::Dims& shape : {base::Dims{}, {7}, {3, 1, 5}, {2, 3, 4, 5}, {1, 1}}) {
    const View view = testing::MakeView(base::DType(base::Kind::kF64), shape);
    const AxisOrder order = OrderByStrides(Span(view.layout.shape), Span(view.layout.strides));
    Walk walk;
    MakeWalk(view.data, Span(view.layout.shape), Span(view.layout.strides), order, &walk);
    EXPECT_TRUE(walk.single_run());
    EXPECT_EQ(walk.run(), view.size());
  }
}

TEST(WalkTest, SixtyFourAxesBackwards) {
  const View view = testing::MakeView(base::DType(base::Kind::kU8), base::Dims(64, 1));
  base::Layout layout = view.layout;
  for (int i = 0; i < 64; ++i) layout.strides[i] = -100 - i;
  layout.shape[5] = 2;
  layout.shape[63] = 2;
  const AxisOrder order = OrderByStrides(Span(layout.shape), Span(layout.strides));
  ASSERT_EQ(order.count, 2);
  EXPECT_EQ(order.axis[0], 63);
  Walk walk;
  MakeWalk(view.data, Span(layout.shape), Span(layout.strides), order, &walk);
  EXPECT_EQ(walk.data() - view.data, layout.strides[5] + layout.strides[63]);
}

TEST(CursorTest, StartsAnywhere) {
  Random random(2);
  for (int trial = 0; trial < testing::Trials(200); ++trial) {
    const View view = RandomView(random, base::DType(base::Kind::kI16), RandomShape(random, 4));
    if (view.size() == 0) continue;
    Walk walk;
    MakeWalk(view.data, Span(view.layout.shape), Span(view.layout.strides),
             OrderByStrides(Span(view.layout.shape), Span(view.layout.strides)), &walk);
    const std::vector<std::byte*> all = Addresses(walk, view.size());
    const int64_t at = random.Pick(0, view.size() - 1);
    Cursor cursor;
    cursor.Start(&walk, at, 3);
    EXPECT_EQ(cursor.pointer(), all[static_cast<size_t>(at)] + 3);
    EXPECT_GE(cursor.left(), 1);
  }
}

TEST(GatherTest, AnyPieceOfAnyWalkAndBack) {
  Random random(3);
  for (int trial = 0; trial < testing::Trials(400); ++trial) {
    const base::DType dtype = random.AnyDType();
    const View view = RandomView(random, dtype, RandomShape(random, 4));
    if (view.size() == 0) continue;
    const auto size = static_cast<size_t>(dtype.itemsize());
    Walk walk;
    MakeWalk(view.data, Span(view.layout.shape), Span(view.layout.strides),
             OrderByStrides(Span(view.layout.shape), Span(view.layout.strides)), &walk);
    const std::vector<std::byte*> all = Addresses(walk, view.size());
    for (std::byte* item : all) {
      for (size_t b = 0; b < size; ++b) item[b] = static_cast<std::byte>(random.Pick(0, 255));
    }
    const int64_t begin = random.Pick(0, view.size() - 1);
    const int64_t n = random.Pick(1, view.size() - begin);
    std::vector<std::byte> packed(static_cast<size_t>(n) * size);
    Cursor cursor;
    cursor.Start(&walk, begin);
    GatherFrom(&cursor, dtype.itemsize(), packed.data(), n);
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_EQ(std::memcmp(packed.data() + static_cast<size_t>(i) * size,
                            all[static_cast<size_t>(begin + i)], size),
                0);
    }
    if (begin + n < view.size()) {
      EXPECT_EQ(cursor.pointer(), all[static_cast<size_t>(begin + n)]);
    }
    // Back, changed: only these items may change.
    for (std::byte& b : packed) b ^= std::byte{0xFF};
    const testing::Guard guard(view);
    cursor.Start(&walk, begin);
    ScatterTo(&cursor, dtype.itemsize(), packed.data(), n);
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_EQ(std::memcmp(packed.data() + static_cast<size_t>(i) * size,
                            all[static_cast<size_t>(begin + i)], size),
                0);
    }
    EXPECT_TRUE(guard.OnlyElementsChanged());
  }
}

}  // namespace
}  // namespace spanflow::array
