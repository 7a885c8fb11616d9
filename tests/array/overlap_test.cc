#include "array/overlap.h"

#include <gtest/gtest.h>

#include <set>

#include "testing.h"

namespace spanflow::array {
namespace {

using testing::Random;

std::span<const int64_t> Span(const base::Dims& dims) {
  return {dims.data(), static_cast<size_t>(dims.size())};
}

struct Placed {
  int64_t offset;
  base::Dims strides;
  int64_t itemsize;
};

std::set<int64_t> BytesOf(const base::Dims& shape, const Placed& operand) {
  std::set<int64_t> bytes;
  testing::ForEachIndex(shape, [&](const base::Dims& index) {
    int64_t at = operand.offset;
    for (int i = 0; i < shape.size(); ++i) at += index[i] * operand.strides[i];
    for (int64_t b = 0; b < operand.itemsize; ++b) bytes.insert(at + b);
  });
  return bytes;
}

// Never claims that operands are apart when they share a byte; kSame only for the same elements.
TEST(OverlapTest, IsNeverTooOptimistic) {
  static std::byte memory[4096];
  Random random(4);
  int none = 0, same = 0, interleaved = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    const base::Dims shape = {random.Pick(1, 5), random.Pick(1, 5)};
    const auto place = [&] {
      return Placed{1000 + random.Pick(0, 40),
                    {random.Pick(-6, 6) * 4, random.Pick(-6, 6) * 4},
                    random.Pick(1, 2) * 4};
    };
    const Placed a = place();
    Placed b = place();
    if (random.Chance(50)) b.strides = a.strides;
    if (random.Chance(30)) b.offset = a.offset;
    const Overlap answer =
        FindOverlap(Span(shape), {memory + a.offset, Span(a.strides), a.itemsize},
                    {memory + b.offset, Span(b.strides), b.itemsize});
    const std::set<int64_t> bytes_a = BytesOf(shape, a), bytes_b = BytesOf(shape, b);
    bool share = false;
    for (int64_t byte : bytes_a) share = share || bytes_b.contains(byte);
    if (answer == Overlap::kNone) {
      ++none;
      EXPECT_FALSE(share);
      const bool apart =
          *bytes_a.rbegin() < *bytes_b.begin() || *bytes_b.rbegin() < *bytes_a.begin();
      interleaved += !apart;
    }
    if (answer == Overlap::kSame) {
      ++same;
      EXPECT_EQ(bytes_a, bytes_b);
    }
  }
  EXPECT_GT(none, 100);
  EXPECT_GT(same, 50);
  EXPECT_GT(interleaved, 20);
}

TEST(OverlapTest, ColumnsOfOneRecordArrayAreApart) {
  static std::byte memory[1200];
  const base::Dims shape = {100}, strides = {12};
  const auto column = [&](int64_t offset) { return Footprint{memory + offset, Span(strides), 4}; };
  EXPECT_EQ(FindOverlap(Span(shape), column(0), column(4)), Overlap::kNone);
  EXPECT_EQ(FindOverlap(Span(shape), column(8), column(0)), Overlap::kNone);
  EXPECT_EQ(FindOverlap(Span(shape), column(4), column(4)), Overlap::kSame);
  EXPECT_EQ(FindOverlap(Span(shape), column(0), column(2)), Overlap::kPartial);
}

}  // namespace
}  // namespace spanflow::array
