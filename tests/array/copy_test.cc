#include "array/copy.h"

#include <gtest/gtest.h>

#include <string>

#include "array/create.h"
#include "array/index.h"
#include "testing.h"

namespace spanflow::array {
namespace {

using base::Code;
using base::Dims;
using base::DType;
using base::Kind;
using testing::Get;
using testing::MakeView;
using testing::Random;

TEST(CopyTest, AnyLayoutsOrdersAndDtypes) {
  Random random(31);
  for (int trial = 0; trial < testing::Trials(1500); ++trial) {
    const Dims shape = testing::RandomShape(random, 4);
    Dims from_shape;
    const int first = random.Chance(20) ? static_cast<int>(random.Pick(0, shape.size())) : 0;
    for (int i = first; i < shape.size(); ++i) {
      from_shape.push_back(random.Chance(15) ? 1 : shape[i]);
    }
    const DType to_type = random.AnyDType();
    const DType from_type = random.Chance(40) ? to_type : random.AnyDType();
    const View from = RandomView(random, from_type, from_shape, {.repeat = true});
    const View to = RandomView(random, to_type, shape);
    testing::FillSmall(random, from);
    const testing::Guard guard(to);
    const base::Status status = Copy(from, to);
    ASSERT_TRUE(status.ok()) << status.message();
    const std::string what = from_type.ToString() + ToString(from_shape) +
                             ToString(from.layout.strides) + " -> " + to_type.ToString() +
                             ToString(shape) + ToString(to.layout.strides);
    testing::ForEachIndex(shape, [&](const Dims& index) {
      ASSERT_EQ(Get(to, index), testing::CastSmall(Get(from, index), to_type.kind())) << what;
    });
    ASSERT_TRUE(guard.OnlyElementsChanged()) << what;
    if (HasFailure()) return;
  }
}

TEST(CopyTest, OverlappingViewsOfOneBuffer) {
  Random random(32);
  for (int trial = 0; trial < testing::Trials(500); ++trial) {
    const int64_t n = random.Pick(1, 3000), shift = random.Pick(0, 5);
    const View whole = MakeView(DType(Kind::kI32), {n + 5});
    testing::FillSmall(random, whole, 0, 1000000);
    const auto piece = [&](int64_t start, bool backwards) {
      base::Layout layout{whole.dtype(), {n}, {backwards ? -4 : 4}};
      return whole.With(layout, 4 * (backwards ? start + n - 1 : start));
    };
    const View from = piece(random.Chance(50) ? shift : 0, random.Chance(30));
    const View to = piece(random.Chance(50) ? shift : 0, random.Chance(30));
    std::vector<double> expected;
    for (int64_t i = 0; i < n; ++i) expected.push_back(Get(from, {i}));
    ASSERT_TRUE(Copy(from, to).ok());
    for (int64_t i = 0; i < n; ++i) ASSERT_EQ(Get(to, {i}), expected[static_cast<size_t>(i)]);
  }
}

TEST(CopyTest, ConversionInPlace) {
  const View native = MakeView(DType(Kind::kF32), {5000});
  Random random(33);
  testing::FillSmall(random, native);
  std::vector<double> expected;
  for (int64_t i = 0; i < 5000; ++i) expected.push_back(Get(native, {i}));
  base::Layout layout = native.layout;
  layout.dtype = DType(Kind::kF32, true);
  const View swapped = native.With(layout);
  ASSERT_TRUE(Copy(native, swapped).ok());
  for (int64_t i = 0; i < 5000; ++i) ASSERT_EQ(Get(swapped, {i}), expected[static_cast<size_t>(i)]);
}

TEST(CopyTest, LargeCopiesInThreads) {
  const Dims shape = {10 << 20};
  const View from = Empty(DType(Kind::kI32), shape).value();
  const View to = Empty(DType(Kind::kI32), shape).value();
  auto* values = reinterpret_cast<int32_t*>(from.data);
  for (int i = 0; i < 10 << 20; ++i) values[i] = i * 7;
  ASSERT_TRUE(Copy(from, to).ok());
  EXPECT_EQ(std::memcmp(from.data, to.data, 40 << 20), 0);
}

TEST(CopyTest, TransposedCopies) {
  const View a = MakeView(DType(Kind::kU16), {37, 53});
  Random random(34);
  testing::FillSmall(random, a, 0, 60000);
  const View turned = a.With(base::Transpose(a.layout, {1, 0}));
  for (bool fortran : {false, true}) {
    const View copy = CopyToNew(turned, a.dtype(), fortran).value();
    EXPECT_EQ(fortran ? copy.layout.f_contiguous() : copy.layout.c_contiguous(), true);
    testing::ForEachIndex(turned.layout.shape, [&](const Dims& index) {
      ASSERT_EQ(Get(copy, index), Get(turned, index));
    });
  }
}

TEST(CopyTest, LeadingAxesOfOneMayBeDropped) {
  const View from = MakeView(DType(Kind::kF32), {1, 1, 3}), to = MakeView(DType(Kind::kF32), {3});
  testing::Set(from, {0, 0, 2}, 5);
  ASSERT_TRUE(Copy(from, to).ok());
  EXPECT_EQ(Get(to, {2}), 5);
  const base::Status status = Copy(MakeView(DType(Kind::kF32), {2, 3}), to);
  EXPECT_EQ(status.message(), "could not broadcast input array from shape (2, 3) into shape (3,)");
  EXPECT_EQ(status.code(), Code::kValue);
}

std::string TextAt(const View& view, int64_t i) {
  const auto* text = reinterpret_cast<const char*>(view.data + i * view.layout.strides[0]);
  return std::string(text, static_cast<size_t>(view.dtype().itemsize()));
}

TEST(CopyTest, BytesAreCutAndPadded) {
  const View from = MakeView(DType::Bytes(3), {700});
  for (int64_t i = 0; i < 700; ++i) std::memcpy(from.data + 3 * i, i % 2 != 0 ? "abc" : "xyz", 3);
  for (int64_t width : {0, 2, 3, 4, 70}) {
    const View to = MakeView(DType::Bytes(width), {700});
    if (to.layout.nbytes() > 0) std::memset(to.data, 'q', static_cast<size_t>(to.layout.nbytes()));
    ASSERT_TRUE(Copy(from, to).ok());
    std::string expected = std::string("abc").substr(0, static_cast<size_t>(width));
    expected.resize(static_cast<size_t>(width), '\0');
    EXPECT_EQ(TextAt(to, 3), expected);
    // Backwards, into every other item.
    const View gaps = MakeView(DType::Bytes(width), {1400});
    std::memset(gaps.data, 'q', static_cast<size_t>(gaps.block->nbytes()));
    const View every = gaps.With({gaps.dtype(), {700}, {-2 * width}}, 2 * width * 699);
    const testing::Guard guard(every);
    ASSERT_TRUE(Copy(from, every).ok());
    EXPECT_EQ(TextAt(every, 3), expected);
    EXPECT_TRUE(guard.OnlyElementsChanged());
  }
}

TEST(CopyTest, RecordsByFieldName) {
  const DType source =
      DType::MakeRecord({{"x", DType(Kind::kF32), 0, {}}, {"n", DType(Kind::kI16), 4, {2}}}, 8)
          .value();
  const DType target =
      DType::MakeRecord({{"n", DType(Kind::kI64, true), 1, {2}}, {"x", DType(Kind::kF64), 20, {}}},
                        29)
          .value();
  const View from = MakeView(source, {300}), to = MakeView(target, {300});
  std::memset(to.data, 0x5A, static_cast<size_t>(to.layout.nbytes()));
  Random random(35);
  testing::FillSmall(random, FieldView(from, "x").value());
  testing::FillSmall(random, FieldView(from, "n").value());
  ASSERT_TRUE(Copy(from, to).ok());
  for (int64_t i = 0; i < 300; ++i) {
    EXPECT_EQ(Get(FieldView(to, "x").value(), {i}), Get(FieldView(from, "x").value(), {i}));
    EXPECT_EQ(Get(FieldView(to, "n").value(), {i, 1}), Get(FieldView(from, "n").value(), {i, 1}));
    EXPECT_EQ(to.data[i * 29], std::byte{0x5A});  // padding stays
    EXPECT_EQ(to.data[i * 29 + 28], std::byte{0x5A});
  }
  // The same dtype: whole items, with a gap between them in one of the two.
  const View wide = MakeView(DType(Kind::kU8), {300 * 11});
  const View spread = wide.With({source, {300}, {11}});
  const testing::Guard guard(spread);
  ASSERT_TRUE(Copy(from, spread).ok());
  EXPECT_EQ(std::memcmp(spread.data + 11 * 299, from.data + 8 * 299, 8), 0);
  EXPECT_TRUE(guard.OnlyElementsChanged());
}

TEST(CopyTest, WhatDoesNotConvertNamesBoth) {
  const View number = MakeView(DType(Kind::kF32), {2}), text = MakeView(DType::Bytes(4), {2});
  const View x = MakeView(DType::MakeRecord({{"x", DType(Kind::kF32), 0, {}}}, 4).value(), {2});
  const View y = MakeView(DType::MakeRecord({{"y", DType(Kind::kF32), 0, {}}}, 4).value(), {2});
  for (const auto& [from, to] :
       {std::pair{number, text}, {text, number}, {x, number}, {x, y}, {text, x}}) {
    const base::Status status = Copy(from, to);
    EXPECT_EQ(status.code(), Code::kType);
    EXPECT_NE(status.message().find(from.dtype().ToString()), std::string::npos);
    EXPECT_NE(status.message().find(to.dtype().ToString()), std::string::npos);
  }
  View readonly = number;
  readonly.readonly = true;
  EXPECT_EQ(Copy(number, readonly).code(), Code::kValue);
}

TEST(FillTest, OneItemEverywhere) {
  Random random(36);
  for (int trial = 0; trial < testing::Trials(200); ++trial) {
    const View to = RandomView(random, random.AnyDType(), testing::RandomShape(random, 3));
    const View item =
        RandomView(random, random.AnyDType(), random.Chance(50) ? Dims{} : Dims{1, 1});
    testing::FillSmall(random, item, 1, 11);
    const testing::Guard guard(to);
    ASSERT_TRUE(Fill(to, item).ok());
    const double expected = testing::CastSmall(Get(item, Dims(item.ndim(), 0)), to.dtype().kind());
    testing::ForEachIndex(to.layout.shape,
                          [&](const Dims& index) { ASSERT_EQ(Get(to, index), expected); });
    ASSERT_TRUE(guard.OnlyElementsChanged());
  }
  const View three = MakeView(DType(Kind::kF32), {3});
  EXPECT_EQ(Fill(three, three).code(), Code::kValue);
}

}  // namespace
}  // namespace spanflow::array
