#include "array/index.h"

#include <gtest/gtest.h>

#include "testing.h"

namespace spanflow::array {
namespace {

using base::Code;
using base::Dims;
using base::DType;
using base::Kind;
using testing::MakeView;

View Numbered(const Dims& shape) {
  View view = MakeView(DType(Kind::kI32), shape);
  double next = 0;
  testing::ForEachIndex(shape, [&](const Dims& index) { testing::Set(view, index, next++); });
  return view;
}

View MustIndex(const View& view, std::vector<IndexItem> items) {
  auto result = Index(view, items);
  EXPECT_TRUE(result.ok()) << result.status().message();
  return result.ok() ? *result : view;
}

std::string Error(const View& view, std::vector<IndexItem> items, Code code = Code::kIndex) {
  const auto result = Index(view, items);
  EXPECT_EQ(result.status().code(), code);
  return result.status().message();
}

TEST(IndexTest, IntegersAndSlices) {
  const View a = Numbered({4, 5, 6});
  const View row = MustIndex(a, {IndexItem::Integer(-1), IndexItem::Integer(2)});
  EXPECT_EQ(row.layout.shape, (Dims{6}));
  EXPECT_EQ(testing::Get(row, {3}), 3 * 30 + 2 * 6 + 3);
  const View part = MustIndex(a, {IndexItem::Slice(3, -2, 2), IndexItem::Slice(1, 3, 2)});
  EXPECT_EQ(part.layout.shape, (Dims{2, 2, 6}));
  EXPECT_EQ(testing::Get(part, {1, 1, 5}), 1 * 30 + 4 * 6 + 5);
  EXPECT_EQ(part.block.get(), a.block.get());
  const View item =
      MustIndex(a, {IndexItem::Integer(1), IndexItem::Integer(0), IndexItem::Integer(-6)});
  EXPECT_EQ(item.ndim(), 0);
  EXPECT_EQ(testing::Get(item, {}), 30);
}

TEST(IndexTest, EllipsisAndNewAxes) {
  const View a = Numbered({4, 5, 6});
  const View b = MustIndex(a, {IndexItem::NewAxis(), IndexItem::Ellipsis(), IndexItem::Integer(2),
                               IndexItem::NewAxis()});
  EXPECT_EQ(b.layout.shape, (Dims{1, 4, 5, 1}));
  EXPECT_EQ(testing::Get(b, {0, 3, 4, 0}), 3 * 30 + 4 * 6 + 2);
  const View c = MustIndex(a, {IndexItem::Ellipsis(), IndexItem::Integer(0), IndexItem::Integer(0),
                               IndexItem::Integer(0)});
  EXPECT_EQ(c.ndim(), 0);
  EXPECT_EQ(MustIndex(a, {}).layout.shape, a.layout.shape);
  const std::vector<IndexItem> items = {IndexItem::Integer(0), IndexItem::NewAxis(),
                                        IndexItem::Ellipsis(), IndexItem::Slice(0, 1, 6)};
  EXPECT_EQ(AxisOf(items, 0, 3), 0);
  EXPECT_EQ(AxisOf(items, 3, 3), 2);
}

TEST(IndexTest, EmptyResultsStayInsideTheBlock) {
  const View a = Numbered({4, 5});
  const View none = MustIndex(a, {IndexItem::Slice(4, 1, 0), IndexItem::Integer(4)});
  EXPECT_EQ(none.layout.shape, (Dims{0}));
  EXPECT_EQ(none.data, a.data);
  const View empty = MakeView(DType(Kind::kF64), {5, 0});
  EXPECT_EQ(MustIndex(empty, {IndexItem::Integer(3)}).data, empty.data);
}

TEST(IndexTest, ErrorsInTheWordsOfNumPy) {
  const View a = Numbered({2, 3});
  EXPECT_EQ(Error(a, {IndexItem::Ellipsis(), IndexItem::Integer(5)}),
            "index 5 is out of bounds for axis 1 with size 3");
  EXPECT_EQ(Error(a, {IndexItem::Integer(-3)}), "index -3 is out of bounds for axis 0 with size 2");
  EXPECT_EQ(Error(a, {IndexItem::Integer(0), IndexItem::Integer(0), IndexItem::Slice(0, 1, 1)}),
            "too many indices for array: array is 2-dimensional, but 3 were indexed");
  EXPECT_EQ(Error(a, {IndexItem::Ellipsis(), IndexItem::Ellipsis()}),
            "an index can only have a single ellipsis ('...')");
  EXPECT_NE(Error(a, std::vector<IndexItem>(63, IndexItem::NewAxis())).find("65"),
            std::string::npos);
  // Slices that were not cut to the axis are caught, however large their numbers.
  for (const IndexItem& bad :
       {IndexItem::Slice(0, 1, 3), IndexItem::Slice(1, -1, 3), IndexItem::Slice(2, 1, 1),
        IndexItem::Slice(0, INT64_MAX, 2), IndexItem::Slice(1, INT64_MIN, 2),
        IndexItem::Slice(-1, 1, 1), IndexItem::Slice(0, 0, 2)}) {
    EXPECT_NE(Error(a, {bad}).find("leaves axis 0"), std::string::npos);
  }
  EXPECT_EQ(MustIndex(a, {IndexItem::Slice(1, INT64_MAX, 1)}).layout.shape, (Dims{1, 3}));
}

TEST(FieldTest, ColumnsAndSubArrays) {
  const DType record =
      DType::MakeRecord({{"x", DType(Kind::kF32), 4, {}}, {"m", DType(Kind::kI16), 8, {2, 3}}}, 24)
          .value();
  const View a = MakeView(record, {5});
  const View x = FieldView(a, "x").value();
  EXPECT_EQ(x.layout.shape, (Dims{5}));
  EXPECT_EQ(x.layout.strides, (Dims{24}));
  EXPECT_EQ(x.data - a.data, 4);
  const View m = MustIndex(a, {IndexItem::Field("m"), IndexItem::Integer(1)});
  EXPECT_EQ(m.layout.shape, (Dims{2, 3}));
  EXPECT_EQ(m.layout.strides, (Dims{6, 2}));
  EXPECT_EQ(m.data - a.data, 24 + 8);
  EXPECT_NE(Error(a, {IndexItem::Field("y")}, Code::kValue).find("'x' 'm'"), std::string::npos);
  EXPECT_NE(Error(x, {IndexItem::Field("y")}, Code::kValue).find("not a record"),
            std::string::npos);
}

}  // namespace
}  // namespace spanflow::array
