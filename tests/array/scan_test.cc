// Running folds and inner products of any layout against plain loops.
#include "array/scan.h"

#include <gtest/gtest.h>

#include "array/create.h"
#include "array/dot.h"
#include "array/promote.h"
#include "simd/kernels.h"
#include "testing.h"

namespace spanflow::array {
namespace {

using base::Code;
using base::Dims;
using base::DType;
using base::Kind;
using simd::Scan;
using testing::Get;
using testing::MakeView;
using testing::Random;

double Step(Scan scan, double so_far, double item) {
  switch (scan) {
    case Scan::kCumSum:
      return so_far + item;
    case Scan::kCumProd:
      return so_far * item;
    case Scan::kCumMin:
      return std::min(so_far, item);
    case Scan::kCumMax:
      return std::max(so_far, item);
  }
  return 0;
}

void CheckScan(Scan scan, const View& in, int axis, const View& out) {
  ASSERT_TRUE(RunScan(scan, in, axis, out).ok());
  testing::ForEachIndex(in.layout.shape, [&](const Dims& index) {
    Dims at = index;
    at[axis] = 0;
    double wanted = Get(in, at);
    while (at[axis] < index[axis]) {
      ++at[axis];
      wanted = Step(scan, wanted, Get(in, at));
    }
    ASSERT_NEAR(Get(out, index), wanted, 1e-6 * std::fabs(wanted)) << simd::InfoOf(scan).name;
  });
}

TEST(ScanTest, AnyAxisOfAnyLayout) {
  Random random(51);
  for (int trial = 0; trial < testing::Trials(200); ++trial) {
    const auto scan = static_cast<Scan>(random.Pick(0, simd::kNumScans - 1));
    const Kind kind = random.Among(
        std::vector<Kind>{Kind::kI8, Kind::kU32, Kind::kI64, Kind::kF32, Kind::kF64, Kind::kBool});
    Dims shape = testing::RandomShape(random, 3);
    if (shape.empty()) shape = {random.Pick(1, 3000)};
    for (int64_t& extent : shape) extent = std::max<int64_t>(extent, 1);
    const bool product = scan == Scan::kCumProd;
    if (product) shape = Dims{3, random.Pick(1, 9)};
    const View in = RandomView(
        random, DType(kind, random.Chance(30) && kind != Kind::kI8 && kind != Kind::kBool), shape,
        {.repeat = true});
    testing::FillSmall(random, in);
    const Kind result = simd::ResultKind(scan, kind);
    const View out = RandomView(random, DType(result), shape);
    const testing::Guard guard(out);
    CheckScan(scan, in, static_cast<int>(random.Pick(0, shape.size() - 1)), out);
    ASSERT_TRUE(guard.OnlyElementsChanged());
    if (HasFailure()) return;
  }
}

TEST(ScanTest, InPlaceAndOverlapping) {
  const View in = MakeView(DType(Kind::kF64), {3000});
  auto* const values = reinterpret_cast<double*>(in.data);
  std::fill_n(values, 3000, 1.0);
  ASSERT_TRUE(RunScan(Scan::kCumSum, in, 0, in).ok());
  EXPECT_EQ(values[2999], 3000);
  std::fill_n(values, 3000, 1.0);
  const View head = in.With({in.dtype(), {2999}, {8}}), tail = in.With(head.layout, 8);
  ASSERT_TRUE(RunScan(Scan::kCumSum, head, 0, tail).ok());
  EXPECT_EQ(values[0], 1);
  EXPECT_EQ(values[2999], 2999);
}

TEST(ScanTest, BadOutputs) {
  const View in = MakeView(DType(Kind::kC64), {3});
  View out = MakeView(DType(Kind::kC64), {3});
  EXPECT_EQ(RunScan(Scan::kCumMin, in, 0, out).code(), Code::kType);
  EXPECT_EQ(RunScan(Scan::kCumSum, in, 0, MakeView(DType(Kind::kC64), {4})).code(), Code::kValue);
  out.readonly = true;
  EXPECT_EQ(RunScan(Scan::kCumSum, in, 0, out).code(), Code::kValue);
}

TEST(DotTest, AnyTwoVectors) {
  Random random(52);
  for (int trial = 0; trial < testing::Trials(300); ++trial) {
    const Dims shape = {random.Chance(10) ? random.Pick(60000, 150000) : random.Pick(0, 3000)};
    const std::vector<Kind> kinds = {Kind::kI32, Kind::kU8, Kind::kF32, Kind::kF64, Kind::kF16};
    const View a = RandomView(random, DType(random.Among(kinds)), shape, {.repeat = true});
    const View b = RandomView(random, DType(random.Among(kinds)), shape, {.repeat = true});
    testing::FillSmall(random, a);
    testing::FillSmall(random, b);
    const View out = MakeView(DType(Kind::kF64), {});
    ASSERT_TRUE(Dot(a, b, false, out).ok());
    // Products wrap in the dtype that both promote to.
    const Kind common = Promote(a.dtype().kind(), b.dtype().kind());
    if (base::InfoOf(common).itemsize < 2) continue;
    double wanted = 0, size = 0;
    for (int64_t i = 0; i < shape[0]; ++i) {
      wanted += Get(a, {i}) * Get(b, {i});
      size += std::fabs(Get(a, {i}) * Get(b, {i}));
    }
    ASSERT_NEAR(Get(out, {}), wanted, 1e-6 * size) << a.dtype().ToString() << b.dtype().ToString();
  }
}

TEST(DotTest, OtherShapes) {
  const View three = MakeView(DType(Kind::kF32), {3}), four = MakeView(DType(Kind::kF32), {4});
  const View out = MakeView(DType(Kind::kF32), {});
  EXPECT_EQ(Dot(three, four, false, out).message(),
            "shapes (3,) and (4,) not aligned: 3 (dim 0) != 4 (dim 0)");
  EXPECT_EQ(Dot(three, MakeView(DType(Kind::kF32), {3, 1}), false, out).code(), Code::kValue);
}

}  // namespace
}  // namespace spanflow::array
