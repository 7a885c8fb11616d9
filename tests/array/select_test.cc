#include "array/select.h"

#include <gtest/gtest.h>

#include "array/copy.h"
#include "runtime/pool.h"
#include "testing.h"

namespace spanflow::array {
namespace {

using base::Code;
using base::Dims;
using base::DType;
using base::Kind;
using testing::AddressOf;
using testing::Get;
using testing::MakeView;
using testing::Random;

Dims Joined(const Dims& a, const Dims& b) {
  Dims joined = a;
  for (int64_t extent : b) joined.push_back(extent);
  return joined;
}

Dims Part(const Dims& dims, int first, int last) {
  Dims part;
  for (int i = first; i < last; ++i) part.push_back(dims[i]);
  return part;
}

DType SomeType(Random& random) {
  if (random.Chance(20)) return DType::Bytes(random.Pick(1, 40));
  return random.AnyDType();
}

void FillBytes(Random& random, const View& view) {
  testing::ForEachIndex(view.layout.shape, [&](const Dims& index) {
    std::byte* item = AddressOf(view, index);
    for (int64_t b = 0; b < view.dtype().itemsize(); ++b) {
      item[b] = static_cast<std::byte>(random.Pick(0, 255));
    }
  });
}

bool SameItem(const View& a, const Dims& ia, const View& b, const Dims& ib) {
  return std::memcmp(AddressOf(a, ia), AddressOf(b, ib),
                     static_cast<size_t>(a.dtype().itemsize())) == 0;
}

// The indices at which a mask is true, in C order.
std::vector<Dims> TrueIndices(const View& mask) {
  std::vector<Dims> indices;
  testing::ForEachIndex(mask.layout.shape, [&](const Dims& index) {
    if (Get(mask, index) != 0) indices.push_back(index);
  });
  return indices;
}

View SomeMask(Random& random, const Dims& shape) {
  const View mask = RandomView(random, DType(Kind::kBool), shape);
  const int percent = static_cast<int>(random.Pick(0, 100));
  testing::ForEachIndex(
      shape, [&](const Dims& index) { testing::Set(mask, index, random.Chance(percent)); });
  return mask;
}

TEST(CompressTest, MasksOfTheLeadingAxes) {
  Random random(51);
  for (int trial = 0; trial < testing::Trials(500); ++trial) {
    const View view = RandomView(random, SomeType(random), testing::RandomShape(random, 4));
    FillBytes(random, view);
    const int lead = static_cast<int>(random.Pick(0, view.ndim()));
    const View mask = SomeMask(random, Part(view.layout.shape, 0, lead));
    const auto result = Compress(view, mask);
    ASSERT_TRUE(result.ok()) << result.status().message();
    const std::vector<Dims> chosen = TrueIndices(mask);
    const Dims rest = Part(view.layout.shape, lead, view.ndim());
    ASSERT_EQ(result->layout.shape, Joined({static_cast<int64_t>(chosen.size())}, rest));
    for (size_t i = 0; i < chosen.size(); ++i) {
      testing::ForEachIndex(rest, [&](const Dims& inner) {
        ASSERT_TRUE(SameItem(*result, Joined({static_cast<int64_t>(i)}, inner), view,
                             Joined(chosen[i], inner)));
      });
    }
    if (HasFailure()) return;
  }
}

TEST(CompressTest, LargeInThreads) {
  Random random(52);
  runtime::SetNumThreads(4);
  for (Kind kind : {Kind::kU8, Kind::kF32, Kind::kC128}) {
    const View view = MakeView(DType(kind), {600001});
    FillBytes(random, view);
    const View mask = SomeMask(random, {600001});
    const View result = Compress(view, mask).value();
    const std::vector<Dims> chosen = TrueIndices(mask);
    ASSERT_EQ(result.size(), static_cast<int64_t>(chosen.size()));
    for (size_t i = 0; i < chosen.size(); ++i) {
      ASSERT_TRUE(SameItem(result, {static_cast<int64_t>(i)}, view, chosen[i]));
    }
    const std::vector<View> indices = Nonzero(mask).value();
    ASSERT_EQ(indices[0].size(), result.size());
    for (size_t i = 0; i < chosen.size(); ++i) {
      ASSERT_EQ(Get(indices[0], {static_cast<int64_t>(i)}), static_cast<double>(chosen[i][0]));
    }
  }
  runtime::SetNumThreads(2);
}

TEST(PutMaskTest, ValuesGoToTheirPlacesOnly) {
  Random random(53);
  for (int trial = 0; trial < testing::Trials(400); ++trial) {
    const View view = RandomView(random, random.AnyDType(), testing::RandomShape(random, 3));
    testing::FillSmall(random, view);
    const int lead = static_cast<int>(random.Pick(0, view.ndim()));
    const View mask = SomeMask(random, Part(view.layout.shape, 0, lead));
    const std::vector<Dims> chosen = TrueIndices(mask);
    const Dims rest = Part(view.layout.shape, lead, view.ndim());
    const Dims full = Joined({static_cast<int64_t>(chosen.size())}, rest);
    const Dims value_shape = random.Chance(40) ? full : random.Chance(50) ? rest : Dims{};
    const View values = RandomView(random, random.AnyDType(), value_shape);
    testing::FillSmall(random, values, 20, 90);
    const View before = CopyToNew(view, view.dtype()).value();
    const testing::Guard guard(view);
    ASSERT_TRUE(PutMask(view, mask, values).ok());
    size_t next = 0;
    testing::ForEachIndex(mask.layout.shape, [&](const Dims& outer) {
      const bool put = Get(mask, outer) != 0;
      testing::ForEachIndex(rest, [&](const Dims& inner) {
        const Dims at = Joined(outer, inner);
        double expected = Get(before, at);
        if (put) {
          const Dims from = Joined({static_cast<int64_t>(next)}, inner);
          expected = testing::CastSmall(Get(values, from), view.dtype().kind());
        }
        ASSERT_EQ(Get(view, at), expected);
      });
      next += put;
    });
    ASSERT_TRUE(guard.OnlyElementsChanged());
    if (HasFailure()) return;
  }
}

TEST(PutMaskTest, AnArrayIntoItself) {
  const View a = MakeView(DType(Kind::kI32), {6}), mask = MakeView(DType(Kind::kBool), {6});
  for (int i = 0; i < 6; ++i) testing::Set(a, {i}, i);
  for (int i : {0, 1, 2, 4}) testing::Set(mask, {i}, 1);
  const View backwards = a.With({a.dtype(), {4}, {-4}}, 5 * 4);  // 5 4 3 2
  ASSERT_TRUE(PutMask(a, mask, backwards).ok());
  const double expected[] = {5, 4, 3, 3, 2, 5};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(Get(a, {i}), expected[i]);
}

struct Selection {
  View view;
  std::vector<View> indices;
  int axis;
  Dims common;  // shape of the indices together
  Dims outer, inner;
};

Selection SomeSelection(Random& random, const DType& dtype) {
  Selection s;
  do {
    Dims shape = testing::RandomShape(random, 4);
    if (shape.empty()) shape = {4};
    for (int64_t& extent : shape) extent = std::max<int64_t>(extent, 1);
    s.view = RandomView(random, dtype, shape);
  } while (s.view.size() > 20000);
  const int ndim = s.view.ndim();
  s.axis = static_cast<int>(random.Pick(0, ndim - 1));
  const int count = static_cast<int>(random.Pick(1, std::min(ndim - s.axis, 3)));
  s.common =
      random.Chance(50) ? Dims{random.Pick(0, 40)} : Dims{random.Pick(1, 3), random.Pick(1, 4)};
  const std::vector<Kind> kinds = {Kind::kI64, Kind::kI32, Kind::kI8, Kind::kU16, Kind::kU64};
  for (int k = 0; k < count; ++k) {
    const Kind kind = random.Among(kinds);
    Dims shape = s.common;
    if (k > 0 && random.Chance(40)) shape = random.Chance(50) ? Dims{} : Dims{1};
    const View index =
        RandomView(random, DType(kind, kind != Kind::kI8 && random.Chance(30)), shape);
    const int64_t extent = std::min<int64_t>(s.view.layout.shape[s.axis + k], 127);
    testing::FillSmall(random, index, base::IsSigned(kind) ? -extent : 0, extent - 1);
    s.indices.push_back(index);
  }
  s.outer = Part(s.view.layout.shape, 0, s.axis);
  s.inner = Part(s.view.layout.shape, s.axis + count, ndim);
  return s;
}

Dims PlaceOf(const Selection& s, const Dims& outer, const Dims& middle, const Dims& inner) {
  Dims at = outer;
  for (size_t k = 0; k < s.indices.size(); ++k) {
    const auto index = static_cast<int64_t>(Get(s.indices[k], middle));
    at.push_back(index < 0 ? index + s.view.layout.shape[s.axis + static_cast<int>(k)] : index);
  }
  return Joined(at, inner);
}

template <class F>
void ForEachPlace(const Selection& s, const F& visit) {
  testing::ForEachIndex(s.outer, [&](const Dims& outer) {
    testing::ForEachIndex(s.common, [&](const Dims& middle) {
      testing::ForEachIndex(s.inner, [&](const Dims& inner) {
        visit(Joined(Joined(outer, middle), inner), PlaceOf(s, outer, middle, inner));
      });
    });
  });
}

TEST(TakeTest, AdjacentIntegerArrays) {
  Random random(54);
  for (int trial = 0; trial < testing::Trials(600); ++trial) {
    const Selection s = SomeSelection(random, SomeType(random));
    FillBytes(random, s.view);
    const auto result = Take(s.view, s.indices, s.axis);
    ASSERT_TRUE(result.ok()) << result.status().message();
    ASSERT_EQ(result->layout.shape, Joined(Joined(s.outer, s.common), s.inner));
    ForEachPlace(s, [&](const Dims& at, const Dims& place) {
      ASSERT_TRUE(SameItem(*result, at, s.view, place));
    });
    if (HasFailure()) return;
  }
}

TEST(TakeTest, LargeInThreads) {
  Random random(55);
  runtime::SetNumThreads(4);
  const View view = MakeView(DType(Kind::kI32), {3, 100000});
  const View index = MakeView(DType(Kind::kI32), {300000});
  FillBytes(random, view);
  testing::FillSmall(random, index, -100000, 99999);
  const View result = Take(view, index, 1).value();
  testing::ForEachIndex(result.layout.shape, [&](const Dims& at) {
    const auto i = static_cast<int64_t>(Get(index, {at[1]}));
    ASSERT_EQ(Get(result, at), Get(view, {at[0], i < 0 ? i + 100000 : i}));
  });
  runtime::SetNumThreads(2);
}

TEST(PutTest, LastValueStaysAndNothingElseChanges) {
  Random random(56);
  for (int trial = 0; trial < testing::Trials(400); ++trial) {
    const Selection s = SomeSelection(random, random.AnyDType());
    testing::FillSmall(random, s.view);
    const Dims full = Joined(Joined(s.outer, s.common), s.inner);
    const Dims value_shape = random.Chance(50) ? full : random.Chance(50) ? s.inner : Dims{};
    const View values = RandomView(random, random.AnyDType(), value_shape);
    testing::FillSmall(random, values, 20, 90);
    const View expected = CopyToNew(s.view, s.view.dtype()).value();
    ForEachPlace(s, [&](const Dims& at, const Dims& place) {
      testing::Set(expected, place, testing::CastSmall(Get(values, at), s.view.dtype().kind()));
    });
    const testing::Guard guard(s.view);
    ASSERT_TRUE(Put(s.view, s.indices, s.axis, values).ok());
    testing::ForEachIndex(s.view.layout.shape,
                          [&](const Dims& at) { ASSERT_EQ(Get(s.view, at), Get(expected, at)); });
    ASSERT_TRUE(guard.OnlyElementsChanged());
    if (HasFailure()) return;
  }
}

TEST(NonzeroTest, IndicesOfEveryAxis) {
  Random random(57);
  for (int trial = 0; trial < testing::Trials(200); ++trial) {
    Dims shape = testing::RandomShape(random, 3);
    if (shape.empty()) shape = {5};
    const View view = RandomView(random, random.AnyDType(), shape);
    testing::FillSmall(random, view, 0, 2);
    const std::vector<View> result = Nonzero(view).value();
    ASSERT_EQ(result.size(), static_cast<size_t>(shape.size()));
    const std::vector<Dims> expected = TrueIndices(view);
    for (int axis = 0; axis < shape.size(); ++axis) {
      const View& index = result[static_cast<size_t>(axis)];
      ASSERT_EQ(index.layout.shape, (Dims{static_cast<int64_t>(expected.size())}));
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(Get(index, {static_cast<int64_t>(i)}), static_cast<double>(expected[i][axis]));
      }
    }
  }
  EXPECT_EQ(Nonzero(MakeView(DType(Kind::kI8), {})).status().code(), Code::kValue);
}

TEST(SelectTest, ErrorsInTheWordsOfNumPy) {
  const View a = MakeView(DType(Kind::kF32), {2, 3});
  const View mask = MakeView(DType(Kind::kBool), {3}), floats = MakeView(DType(Kind::kF32), {2});
  const View index = MakeView(DType(Kind::kI64), {1}), large = MakeView(DType(Kind::kU64), {1});
  EXPECT_EQ(Compress(a, mask).status().message(),
            "boolean index did not match indexed array along axis 0; size of axis is 2 but size of "
            "corresponding boolean axis is 3");
  EXPECT_EQ(Compress(a, floats).status().code(), Code::kIndex);
  testing::Set(index, {0}, -4);
  EXPECT_EQ(Take(a, index, 1).status().message(),
            "index -4 is out of bounds for axis 1 with size 3");
  EXPECT_EQ(Put(a, index, 1, floats).code(), Code::kIndex);
  std::memset(large.data, 0xFF, 8);  // not the last element
  EXPECT_EQ(Take(a, large, 0).status().message(),
            "index 18446744073709551615 is out of bounds for axis 0 with size 2");
  EXPECT_NE(Take(a, floats, 0).status().message().find("integer (or boolean)"), std::string::npos);
  EXPECT_EQ(Take(a, index, 2).status().code(), Code::kIndex);
  const View pair[] = {MakeView(DType(Kind::kI8), {2}), MakeView(DType(Kind::kI8), {3})};
  EXPECT_EQ(
      Take(a, pair, 0).status().message(),
      "shape mismatch: indexing arrays could not be broadcast together with shapes (2,) (3,)");
  testing::Set(index, {0}, 0);
  EXPECT_EQ(Put(a, index, 0, floats).code(), Code::kValue);
  View readonly = a;
  readonly.readonly = true;
  EXPECT_EQ(Put(readonly, index, 0, index).code(), Code::kValue);
}

}  // namespace
}  // namespace spanflow::array
