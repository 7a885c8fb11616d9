// Moving folds and affine maps of views of any layout against plain loops over their elements.
#include "array/moving.h"

#include "array/affine.h"
#include "array/promote.h"
#include "simd/kernels.h"
#include "testing.h"

namespace spanflow::array {
namespace {

using base::Code;
using simd::Reduction;
using testing::Dims;
using testing::DType;
using testing::Get;
using testing::Kind;
using testing::MakeView;
using testing::Random;
using testing::RandomView;

double Step(Reduction fold, double so_far, double item) {
  if (fold == Reduction::kMin) return std::min(so_far, item);
  return fold == Reduction::kMax ? std::max(so_far, item) : so_far + item;
}

void CheckMoving(Reduction fold, const View& in, int axis, int64_t window, const View& out) {
  ASSERT_TRUE(MovingFold(fold, in, axis, window, out).ok());
  testing::ForEachIndex(out.layout.shape, [&](const Dims& index) {
    Dims at = index;
    double wanted = Get(in, at);
    for (int64_t i = 1; i < window; ++i) {
      ++at[axis];
      wanted = Step(fold, wanted, Get(in, at));
    }
    if (fold == Reduction::kMean) wanted /= static_cast<double>(window);
    ASSERT_NEAR(Get(out, index), wanted, 1e-6 * std::fabs(wanted)) << simd::InfoOf(fold).name;
  });
}

TEST(MovingTest, AnyAxisOfAnyLayout) {
  Random random(61);
  for (int trial = 0; trial < testing::Trials(300); ++trial) {
    const Reduction fold = random.Among(std::vector<Reduction>{Reduction::kSum, Reduction::kMean,
                                                               Reduction::kMin, Reduction::kMax});
    const Kind kind = random.Among(
        std::vector<Kind>{Kind::kBool, Kind::kI8, Kind::kU32, Kind::kI64, Kind::kF32, Kind::kF64});
    Dims shape = testing::RandomShape(random, 3);
    if (shape.empty()) shape = {random.Pick(1, 3000)};
    for (int64_t& extent : shape) extent = std::max<int64_t>(extent, 1);
    const int axis = static_cast<int>(random.Pick(0, shape.size() - 1));
    const bool small = random.Chance(70);
    const int64_t window = random.Pick(1, small ? std::min<int64_t>(shape[axis], 40) : shape[axis]);
    const bool swapped = random.Chance(30) && base::InfoOf(kind).swap_unit > 1;
    const View in = RandomView(random, DType(kind, swapped), shape, {.repeat = true});
    testing::FillSmall(random, in);
    const Kind result = simd::ResultKind(fold, kind);
    const View out =
        RandomView(random, DType(result), MovingShape(fold, shape, axis, window).value());
    const testing::Guard guard(out);
    CheckMoving(fold, in, axis, window, out);
    ASSERT_TRUE(guard.OnlyElementsChanged());
    if (HasFailure()) return;
  }
}

TEST(MovingTest, LongWindowsFromBothEnds) {
  Random random(62);
  for (const Dims& shape : {Dims{5000}, Dims{3000, 5}, Dims{2, 1700, 3}}) {
    const int axis = shape.size() == 3 ? 1 : 0;
    const View in = MakeView(DType(Kind::kF32), shape);
    testing::FillSmall(random, in);
    for (const int64_t window : {512, 513, 1024, 1700}) {
      const Dims result = MovingShape(Reduction::kSum, shape, axis, window).value();
      const View out = MakeView(DType(Kind::kF32), result);
      CheckMoving(Reduction::kSum, in, axis, window, out);
      CheckMoving(Reduction::kMax, in, axis, window, out);
    }
  }
}

TEST(MovingTest, IntoTheInput) {
  const View in = MakeView(DType(Kind::kF64), {3000});
  auto* const values = reinterpret_cast<double*>(in.data);
  for (int i = 0; i < 3000; ++i) values[i] = i;
  const View out = in.With({in.dtype(), {2999}, {8}}, 8);
  ASSERT_TRUE(MovingFold(Reduction::kSum, in, 0, 2, out).ok());
  EXPECT_EQ(values[0], 0);
  for (int i = 0; i < 2999; ++i) ASSERT_EQ(values[i + 1], 2 * i + 1);
}

TEST(MovingTest, BadWindowsAndOutputs) {
  const View in = MakeView(DType(Kind::kC64), {3});
  View out = MakeView(DType(Kind::kC64), {2});
  EXPECT_EQ(MovingFold(Reduction::kMin, in, 0, 2, out).code(), Code::kType);
  EXPECT_EQ(MovingFold(Reduction::kSum, in, 0, 3, out).code(), Code::kValue);
  EXPECT_EQ(
      MovingFold(Reduction::kSum, in, 0, 4, out).message(),
      "moving_sum(): a window of 4 does not fit axis 0 of 3 elements; it has from 1 to as many");
  out.readonly = true;
  EXPECT_EQ(MovingFold(Reduction::kSum, in, 0, 2, out).code(), Code::kValue);
}

TEST(AffineTest, AnyLayout) {
  Random random(63);
  for (int trial = 0; trial < testing::Trials(300); ++trial) {
    const Dims shape = testing::RandomShape(random, 3);
    const DType from = random.AnyDType();
    const DType to(random.Among(std::vector<Kind>{Kind::kF16, Kind::kF32, Kind::kF64}),
                   random.Chance(30));
    const View in = RandomView(random, from, shape, {.repeat = true});
    testing::FillSmall(random, in);
    const View out = RandomView(random, to, shape);
    const testing::Guard guard(out);
    const base::Status status = Affine(in, 2, -3, out);
    if (base::IsComplex(from.kind())) {
      ASSERT_EQ(status.code(), Code::kType);
      continue;
    }
    ASSERT_TRUE(status.ok());
    testing::ForEachIndex(shape, [&](const Dims& index) {
      ASSERT_EQ(Get(out, index), 2 * testing::CastSmall(Get(in, index), from.kind()) - 3);
    });
    ASSERT_TRUE(guard.OnlyElementsChanged());
    if (HasFailure()) return;
  }
}

TEST(CastingTest, RecordsCastFieldByField) {
  const auto record = [](Kind x, Kind y) {
    std::vector<base::Field> fields = {{"x", DType(x), 0, {}}, {"y", DType(y), 8, {}}};
    return DType::MakeRecord(std::move(fields), 16).value();
  };
  const DType narrow = record(Kind::kI32, Kind::kF32), wide = record(Kind::kI64, Kind::kF64);
  EXPECT_TRUE(CanCast(narrow, wide, Casting::kSafe));
  EXPECT_FALSE(CanCast(wide, narrow, Casting::kSafe));
  EXPECT_TRUE(CanCast(wide, narrow, Casting::kSameKind));
  EXPECT_FALSE(CanCast(narrow, DType(Kind::kF64), Casting::kUnsafe));
}

}  // namespace
}  // namespace spanflow::array
