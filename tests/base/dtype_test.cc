// DType: names and codes, PEP 3118 formats both ways, records.
#include "base/dtype.h"

#include <gtest/gtest.h>

namespace spanflow::base {
namespace {

TEST(DType, EveryKindIsFoundByNameAndCode) {
  for (int k = 0; k < kNumKinds; ++k) {
    const auto kind = static_cast<Kind>(k);
    EXPECT_EQ(ParseDTypeName(InfoOf(kind).name)->kind(), kind);
    EXPECT_EQ(ParseDTypeName(InfoOf(kind).array_code)->kind(), kind);
    const DType dtype(kind);
    EXPECT_EQ(dtype.itemsize(), InfoOf(kind).itemsize);
    if (kind != Kind::kBF16) {  // its format is that of its bits
      const auto parsed = ParseFormat(dtype.format(), dtype.itemsize());
      ASSERT_TRUE(parsed.ok()) << parsed.status().message();
      EXPECT_EQ(*parsed, dtype);
    }
  }
}

TEST(DType, ByteOrderMattersOnlyAboveOneByte) {
  EXPECT_TRUE(ParseDTypeName(">f4")->swapped());
  EXPECT_FALSE(ParseDTypeName("<f4")->swapped());
  EXPECT_FALSE(ParseDTypeName(">u1")->swapped());
  EXPECT_EQ(ParseDTypeName(">i8")->ArrayCode(), ">i8");
  EXPECT_STREQ(ParseDTypeName(">i8")->format(), ">q");
  EXPECT_FALSE(*ParseDTypeName(">f4") == *ParseDTypeName("<f4"));
}

TEST(DType, UnknownNamesAreTypeErrorsThatQuoteThem) {
  for (const char* name : {"datetime64[ns]", "<M8[ns]", "O", "<U3", "f16", "", "S", "S-1", "V8"}) {
    const auto parsed = ParseDTypeName(name);
    ASSERT_FALSE(parsed.ok()) << name;
    EXPECT_EQ(parsed.status().code(), Code::kType);
    EXPECT_NE(parsed.status().message().find("'" + std::string(name) + "'"), std::string::npos);
  }
}

TEST(Format, ScalarsKeepTheSpellingOfTheExporter) {
  const auto parsed = ParseFormat("@q", 8);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->kind(), Kind::kI64);
  EXPECT_STREQ(parsed->format(), "@q");
  EXPECT_EQ(*parsed, DType(Kind::kI64));
  EXPECT_EQ(ParseFormat("<l", 4)->kind(), Kind::kI32);  // standard size
  EXPECT_EQ(ParseFormat("l", 8)->kind(), Kind::kI64);   // native size
}

TEST(Format, StandardRecordHasNoAlignment) {
  const auto parsed = ParseFormat("T{<b:x:<i:y:}", 5);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  ASSERT_EQ(parsed->fields().size(), 2u);
  EXPECT_EQ(parsed->fields()[1].offset, 1);
  EXPECT_EQ(parsed->fields()[1].name, "y");
}

TEST(Format, NativeRecordIsAligned) {
  const auto parsed = ParseFormat("T{b:x:i:y:}", 8);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->fields()[1].offset, 4);
  const auto unnamed = ParseFormat("bi", 8);
  ASSERT_TRUE(unnamed.ok());
  EXPECT_EQ(unnamed->fields()[0].name, "f0");
}

TEST(Format, NestedSubArraysPaddingAndBytes) {
  const auto parsed =
      ParseFormat("T{(2,3)<f:m:3x<d:t:T{<h:a:<h:b:}:in:5s:name:}", 24 + 3 + 8 + 4 + 5);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->FindField("m")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(parsed->FindField("t")->offset, 27);
  EXPECT_EQ(parsed->FindField("in")->dtype.fields().size(), 2u);
  EXPECT_EQ(parsed->FindField("name")->dtype.itemsize(), 5);
  EXPECT_EQ(parsed->FindField("none"), nullptr);
}

TEST(Format, PaddingThatCtypesLeavesOutIsPutBack) {
  const auto parsed = ParseFormat("T{<i:x:<d:y:<b:z:}", 24);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->FindField("y")->offset, 8);
  EXPECT_EQ(parsed->FindField("z")->offset, 16);
  EXPECT_EQ(*ParseFormat(parsed->format(), 24), *parsed);
}

TEST(Format, RecordsInsideRecordsEndPaddedOrNot) {
  const auto numpy = ParseFormat("T{T{d:p:?:q:}:outer:xxxxxxxZf:z:}", 24);
  ASSERT_TRUE(numpy.ok()) << numpy.status().message();
  EXPECT_EQ(numpy->FindField("z")->offset, 16);
  const auto c = ParseFormat("T{T{d:p:?:q:}:outer:?:z:}", 24);
  ASSERT_TRUE(c.ok()) << c.status().message();
  EXPECT_EQ(c->FindField("z")->offset, 16);
}

TEST(Format, OneRecordMayBePaddedAtItsEnd) {
  for (const int64_t itemsize : {9, 12, 16}) {  // as it is, a whim, C
    const auto record = ParseFormat("T{d:a:b:b:}", itemsize);
    ASSERT_TRUE(record.ok()) << record.status().message();
    EXPECT_EQ(record->itemsize(), itemsize);
    ASSERT_EQ(record->fields().size(), 2U);
    EXPECT_EQ(record->FindField("b")->offset, 8);
  }
}

TEST(Format, RefusesWhatItCannotHold) {
  for (const char* format : {"g", "Zg", "O", "4w", "T{<i:x:", "T{<i:x}", "(2", "", "zz",
                             ":x:", "99999999999999999999i"}) {
    EXPECT_FALSE(ParseFormat(format, 4).ok()) << format;
  }
  for (const char* format : {"T{<i:x:<i:y:}", "<i:x:<i:y:", "2T{<h:x:}T{<h:y:}"}) {
    EXPECT_FALSE(ParseFormat(format, 7).ok()) << format;  // does not add up
  }
  std::string deep(400, '\0');
  deep.clear();
  for (int i = 0; i < 200; ++i) deep += "T{";
  EXPECT_FALSE(ParseFormat(deep, 4).ok());
}

TEST(Record, GeneratedFormatReadsBackAsTheSameRecord) {
  std::vector<Field> fields = {{"late", DType(Kind::kF64), 12, {}},
                               {"flag", DType(Kind::kBool), 0, {}},
                               {"big", DType(Kind::kI16, true), 2, {2}},
                               {"tag", DType::Bytes(3), 6, {}}};
  const auto record = DType::MakeRecord(fields, 24);
  ASSERT_TRUE(record.ok());
  const auto parsed = ParseFormat(record->format(), 24);
  ASSERT_TRUE(parsed.ok()) << record->format() << ": " << parsed.status().message();
  for (const Field& field : fields) {
    const Field* read = parsed->FindField(field.name);
    ASSERT_NE(read, nullptr);
    EXPECT_EQ(read->offset, field.offset);
    EXPECT_EQ(read->dtype, field.dtype);
    EXPECT_EQ(read->shape, field.shape);
  }
}

TEST(Record, RefusesFieldsOutsideAndTwice) {
  EXPECT_FALSE(DType::MakeRecord({{"x", DType(Kind::kF64), 4, {}}}, 8).ok());
  EXPECT_FALSE(DType::MakeRecord({{"x", DType(Kind::kF64), -1, {}}}, 8).ok());
  EXPECT_FALSE(
      DType::MakeRecord({{"x", DType(Kind::kI8), 0, {}}, {"x", DType(Kind::kI8), 1, {}}}, 8).ok());
  EXPECT_FALSE(DType::MakeRecord({{"x", DType(Kind::kF64), 0, {INT64_MAX, INT64_MAX}}}, 8).ok());
}

TEST(Record, SubArraysHaveAtMost64Dimensions) {
  const auto with = [](size_t dimensions, int64_t extent) {
    const std::vector<int64_t> shape(dimensions, extent);
    return DType::MakeRecord({{"deep", DType(Kind::kI32), 0, shape}}, 4).TakeStatus();
  };
  EXPECT_TRUE(with(64, 1).ok());
  EXPECT_EQ(with(65, 1).code(), Code::kValue);
  EXPECT_NE(with(200, 1).message().find("'deep' has 200 dimensions; at most 64"),
            std::string::npos);
  std::string format = "(1";
  for (int i = 0; i < 199; ++i) format += ",1";
  EXPECT_FALSE(ParseFormat("T{" + format + ")<i:x:}", 4).ok());
}

TEST(Record, EmptySubArraysAreSmallAlongTheirOtherDimensions) {
  const DType none = DType::Bytes(0);
  constexpr int64_t kHuge = int64_t{1} << 62;
  EXPECT_TRUE(DType::MakeRecord({{"x", none, 0, {kHuge}}}, 0).ok());
  EXPECT_FALSE(DType::MakeRecord({{"x", none, 0, {kHuge, 3}}}, 0).ok());
  EXPECT_FALSE(DType::MakeRecord({{"x", DType(Kind::kI8), 0, {0, kHuge, 3}}}, 0).ok());
  EXPECT_FALSE(DType::MakeRecord({{"x", DType(Kind::kI8), 0, {kHuge, 3, 0}}}, 0).ok());
}

TEST(Record, NamesThatTheFormatCannotSpellMakeItBytes) {
  for (const std::string& name : {std::string("a:b"), std::string(":"), std::string("a\0b", 3)}) {
    const auto record = DType::MakeRecord({{name, DType(Kind::kI32), 0, {}}}, 4);
    ASSERT_TRUE(record.ok());
    EXPECT_STREQ(record->format(), "4s") << name;
    EXPECT_EQ(record->fields()[0].name, name);
    const auto outer = DType::MakeRecord({{"x", *record, 0, {}}}, 4);
    EXPECT_STREQ(outer->format(), "T{4s:x:}");
  }
}

TEST(DType, ItemsOfMoreThan2GiBAreRefused) {
  EXPECT_EQ(ParseDTypeName("S2147483647")->Name(), "bytes17179869176");
  for (const char* name : {"S2147483648", "|S2305843009213693952"}) {
    const auto parsed = ParseDTypeName(name);
    ASSERT_FALSE(parsed.ok()) << name;
    EXPECT_EQ(parsed.status().code(), Code::kValue);
    EXPECT_NE(parsed.status().message().find(name), std::string::npos);
    EXPECT_NE(parsed.status().message().find("2147483647"), std::string::npos);
  }
  EXPECT_TRUE(DType::MakeRecord({}, kMaxItemBytes).ok());
  EXPECT_FALSE(DType::MakeRecord({}, kMaxItemBytes + 1).ok());
  EXPECT_FALSE(ParseFormat("2147483648s", 2147483648).ok());
}

TEST(Record, SwappedTwiceIsTheSame) {
  const auto record =
      DType::MakeRecord({{"x", DType(Kind::kF64), 0, {}}, {"y", DType(Kind::kU8), 8, {}}}, 9);
  EXPECT_TRUE(record->Swapped().has_swapped_parts());
  EXPECT_EQ(record->Swapped().Swapped(), *record);
}

}  // namespace
}  // namespace spanflow::base
