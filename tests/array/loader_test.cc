#include "array/loader.h"

#include <gtest/gtest.h>

#include "testing.h"

namespace spanflow::array {
namespace {

using base::DType;
using base::Kind;
using testing::Random;

std::span<const int64_t> Span(const base::Dims& dims) {
  return {dims.data(), static_cast<size_t>(dims.size())};
}

AxisOrder OrderOf(const View& view) {
  return OrderByStrides(Span(view.layout.shape), Span(view.layout.strides));
}

template <class Plan>
void MakeWalkOf(const View& view, const AxisOrder& order, Plan* plan) {
  MakeWalk(view.data, Span(view.layout.shape), Span(view.layout.strides), order, &plan->walk);
}

// The elements in the order of a walk, as doubles.
std::vector<double> Expected(const View& view, const AxisOrder& order, Kind kind) {
  Walk walk;
  MakeWalk(view.data, Span(view.layout.shape), Span(view.layout.strides), order, &walk);
  Cursor cursor;
  cursor.Start(&walk, 0);
  std::vector<double> values;
  for (int64_t i = 0; i < view.size(); ++i, cursor.Advance(1)) {
    values.push_back(testing::CastSmall(testing::GetAt(view.dtype(), cursor.pointer()), kind));
  }
  return values;
}

TEST(LoaderTest, LoadsAnyLayoutFromAnywhereInBlocks) {
  Random random(11);
  int in_place = 0;
  for (int trial = 0; trial < 600; ++trial) {
    const View view =
        RandomView(random, random.AnyDType(), testing::RandomShape(random, 4), {.repeat = true});
    if (view.size() == 0) continue;
    testing::FillSmall(random, view);
    const Kind kind = random.Chance(30) ? view.dtype().kind() : random.AnyKind();
    // The leader is some other operand, so the order need not be that of the view's strides.
    const AxisOrder order = random.Chance(50)
                                ? OrderOf(view)
                                : OrderOf(testing::MakeView(DType(Kind::kU8), view.layout.shape));
    LoadPlan plan;
    MakeWalkOf(view, order, &plan);
    plan.Make(view.dtype(), kind);
    in_place += plan.in_place;
    const std::vector<double> expected = Expected(view, order, kind);
    Scratch scratch;
    Loader loader;
    int64_t at = random.Pick(0, view.size() - 1);
    loader.Start(&plan, &scratch, at);
    const bool into = random.Chance(30);
    std::vector<std::byte> out(kRegisterBytes * 4);
    while (at < view.size()) {
      const int64_t limit = std::min(
          {plan.capacity, view.size() - at, into ? plan.convert.register_items() : kNoLimit});
      const int64_t n = loader.Prefer(random.Chance(50) ? limit : random.Pick(1, limit));
      ASSERT_GE(n, 1);
      const auto* values = out.data();
      if (into)
        loader.NextInto(n, out.data());
      else
        values = static_cast<const std::byte*>(loader.Next(n));
      for (int64_t i = 0; i < n; ++i) {
        const double got = testing::GetAt(DType(kind), values + i * plan.convert.value_size);
        ASSERT_EQ(got, expected[static_cast<size_t>(at + i)])
            << view.dtype().ToString() << " as " << DType(kind).Name() << " shape "
            << ToString(view.layout.shape) << " strides " << ToString(view.layout.strides);
      }
      at += n;
    }
  }
  EXPECT_GT(in_place, 20);
}

TEST(LoaderTest, ContiguousNativeMemoryIsNotCopied) {
  const View view = testing::MakeView(DType(Kind::kF32), {3, 1000});
  LoadPlan plan;
  MakeWalkOf(view, OrderOf(view), &plan);
  plan.Make(view.dtype(), Kind::kF32);
  EXPECT_TRUE(plan.in_place);
  EXPECT_EQ(plan.capacity, kNoLimit);
  Scratch scratch;
  Loader loader;
  loader.Start(&plan, &scratch, 1500);
  EXPECT_EQ(loader.Next(1500), view.data + 6000);
}

TEST(LoaderTest, LongRunsOfAPieceAreNotCopiedEither) {
  const View whole = testing::MakeView(DType(Kind::kF32), {4, 1000});
  base::Layout layout = whole.layout;
  layout.shape[1] = 900;
  const View view = whole.With(layout);
  LoadPlan plan;
  MakeWalkOf(view, OrderOf(view), &plan);
  plan.Make(view.dtype(), Kind::kF32);
  ASSERT_TRUE(plan.in_place);
  Scratch scratch;
  Loader loader;
  loader.Start(&plan, &scratch, 890);
  ASSERT_EQ(loader.Prefer(500), 10);
  EXPECT_EQ(loader.Next(10), view.data + 890 * 4);
  ASSERT_EQ(loader.Prefer(2000), 900);
  EXPECT_EQ(loader.Next(900), view.data + 4000);
}

TEST(LoaderTest, ShortRunsGiveFullBlocks) {
  const View whole = testing::MakeView(DType(Kind::kF32), {5000, 3});
  base::Layout layout = whole.layout;
  layout.shape[1] = 2;
  const View view = whole.With(layout);
  LoadPlan plan;
  MakeWalkOf(view, OrderOf(view), &plan);
  plan.Make(view.dtype(), Kind::kF32);
  Scratch scratch;
  Loader loader;
  loader.Start(&plan, &scratch, 0);
  EXPECT_EQ(loader.Prefer(plan.capacity), 1024);
}

TEST(StorerTest, StoresAnyLayoutAndNothingElse) {
  Random random(12);
  for (int trial = 0; trial < 400; ++trial) {
    const View view = RandomView(random, random.AnyDType(), testing::RandomShape(random, 4));
    if (view.size() == 0) continue;
    const Kind kind = random.Chance(30) ? view.dtype().kind() : random.AnyKind();
    StorePlan plan;
    const AxisOrder order = OrderOf(view);
    MakeWalkOf(view, order, &plan);
    plan.Make(view.dtype(), kind);
    const testing::Guard guard(view);
    Scratch scratch;
    Storer storer;
    const int64_t begin = random.Pick(0, view.size() - 1);
    int64_t at = begin;
    storer.Start(&plan, &scratch, at);
    std::vector<double> written;
    while (at < view.size()) {
      const int64_t limit = std::min(plan.convert.register_items(), view.size() - at);
      const int64_t n = storer.Prefer(random.Chance(50) ? limit : random.Pick(1, limit));
      std::vector<std::byte> elsewhere(static_cast<size_t>(n * 16));
      const bool put = random.Chance(50);
      auto* values = put ? elsewhere.data() : static_cast<std::byte*>(storer.Begin(n));
      for (int64_t i = 0; i < n; ++i) {
        const double value = testing::CastSmall(static_cast<double>(random.Pick(0, 90)), kind);
        written.push_back(testing::CastSmall(value, view.dtype().kind()));
        testing::SetAt(DType(kind), values + i * plan.convert.value_size, value);
      }
      if (put)
        storer.Put(values, n);
      else
        storer.End(n);
      at += n;
    }
    EXPECT_TRUE(guard.OnlyElementsChanged());
    const std::vector<double> got = Expected(view, order, view.dtype().kind());
    EXPECT_TRUE(std::equal(written.begin(), written.end(), got.begin() + begin));
  }
}

}  // namespace
}  // namespace spanflow::array
