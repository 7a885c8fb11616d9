#include "io/npy_header.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>

#include "../platform/temp_folder.h"
#include "io/literal.h"
#include "io/npy_dtype.h"
#include "npy_bytes.h"

namespace spanflow::io {
namespace {

using base::Code;
using base::Dims;
using base::DType;
using base::Kind;
using testing::HeaderText;
using testing::NpyBytes;
using testing::TempFolder;

class NpyHeaderTest : public ::testing::Test {
 protected:
  base::Result<NpyHeader> Read(const std::string& bytes) {
    return ReadNpyHeader(folder_.Write("a.npy", bytes));
  }
  NpyHeader Good(const std::string& bytes) {
    auto header = Read(bytes);
    EXPECT_TRUE(header.ok()) << header.status().message();
    return header.ok() ? *std::move(header) : NpyHeader();
  }
  // The refusal names the file and holds each of the words.
  void Refused(const std::string& bytes, Code code, std::initializer_list<const char*> words) {
    const auto header = Read(bytes);
    ASSERT_FALSE(header.ok()) << bytes;
    EXPECT_EQ(header.status().code(), code) << header.status().message();
    EXPECT_NE(header.status().message().find(folder_.Path("a.npy")), std::string::npos);
    for (const char* word : words) {
      EXPECT_NE(header.status().message().find(word), std::string::npos)
          << header.status().message();
    }
  }
  TempFolder folder_;
};

TEST_F(NpyHeaderTest, AllVersionsOrdersAndByteOrders) {
  const std::string data(24, 'd');
  for (const int version : {1, 2, 3}) {
    const NpyHeader header =
        Good(NpyBytes(HeaderText("'>f4'", "(2, 3)", version == 2), data, version));
    EXPECT_EQ(header.layout.dtype, DType(Kind::kF32, true));
    EXPECT_EQ(header.layout.shape, (Dims{2, 3}));
    EXPECT_EQ(header.layout.strides, version == 2 ? (Dims{4, 8}) : (Dims{12, 4}));
    EXPECT_EQ(header.data_offset,
              static_cast<int64_t>(
                  NpyBytes(HeaderText("'>f4'", "(2, 3)", version == 2), "", version).size()));
  }
}

TEST_F(NpyHeaderTest, EveryScalarDType) {
  for (int k = 0; k < base::kNumKinds; ++k) {
    const auto kind = static_cast<Kind>(k);
    if (kind == Kind::kBF16) continue;
    for (const bool swapped : {false, true}) {
      const DType dtype(kind, swapped);
      const NpyHeader header =
          Good(NpyBytes(HeaderText("'" + dtype.ArrayCode() + "'", "()"), std::string(16, '\0')));
      EXPECT_EQ(header.layout.dtype, dtype);
      EXPECT_EQ(header.layout.ndim(), 0);
    }
  }
  EXPECT_EQ(Good(NpyBytes(HeaderText("'|S7'", "(2,)"), std::string(14, ' '))).layout.dtype,
            DType::Bytes(7));
}

TEST_F(NpyHeaderTest, ShapesOfAllKinds) {
  EXPECT_EQ(Good(NpyBytes(HeaderText("'<f8'", "()"), std::string(8, ' '))).layout.shape, Dims());
  EXPECT_EQ(Good(NpyBytes(HeaderText("'<f8'", "(0,)"))).layout.shape, Dims{0});
  EXPECT_EQ(Good(NpyBytes(HeaderText("'<f8'", "(3L, 0)"))).layout.shape, (Dims{3, 0}));
  std::string most = "(";
  for (int i = 0; i < 64; ++i) most += "1, ";
  EXPECT_EQ(Good(NpyBytes(HeaderText("'|u1'", most + ")"), "x")).layout.ndim(), 64);
  Refused(NpyBytes(HeaderText("'|u1'", most + "1)"), "x"), Code::kValue, {"65", "64"});
}

TEST_F(NpyHeaderTest, Records) {
  const NpyHeader header =
      Good(NpyBytes(HeaderText("[('x', '<f4'), ('', '|V4'), (('a title', 'y'), '>i2', (2, 3)), "
                               "('in', [('p', '|b1'), ('', '<u2')])]",
                               "(2,)"),
                    std::string(46, ' ')));
  const DType& dtype = header.layout.dtype;
  EXPECT_EQ(dtype.itemsize(), 23);
  ASSERT_EQ(dtype.fields().size(), 3u);
  EXPECT_EQ(dtype.fields()[1].name, "y");
  EXPECT_EQ(dtype.fields()[1].offset, 8);
  EXPECT_EQ(dtype.fields()[1].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(dtype.fields()[1].dtype, DType(Kind::kI16, true));
  EXPECT_EQ(dtype.fields()[2].dtype.fields()[1].name, "f1");
  EXPECT_EQ(dtype.fields()[2].dtype.fields()[1].offset, 1);
}

TEST_F(NpyHeaderTest, NamesAreLatin1OrUtf8ByVersion) {
  const std::string latin1 = HeaderText("[('\xE9', '|u1')]", "(0,)");
  const std::string utf8 = HeaderText("[('\xC3\xA9', '|u1')]", "(0,)");
  EXPECT_EQ(Good(NpyBytes(latin1, "", 1)).layout.dtype.fields()[0].name, "\xC3\xA9");
  EXPECT_EQ(Good(NpyBytes(utf8, "", 3)).layout.dtype.fields()[0].name, "\xC3\xA9");
  Refused(NpyBytes(latin1, "", 3), Code::kValue, {"UTF-8"});
  for (const char* bad : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xFF"}) {
    Refused(NpyBytes(HeaderText(std::string("[('") + bad + "', '|u1')]", "(0,)"), "", 3),
            Code::kValue, {"UTF-8"});
  }
}

TEST_F(NpyHeaderTest, WhatIsNoNpyFile) {
  Refused("", Code::kValue, {"empty"});
  Refused("\x93", Code::kValue, {"not a .npy"});
  Refused("\x93NUMPZ\x01\x00", Code::kValue, {"not a .npy"});
  Refused(std::string("PK\x03\x04", 4) + std::string(100, ' '), Code::kValue, {"zip"});
  Refused("\x93NUMPY", Code::kValue, {"ends inside"});
  Refused(std::string("\x93NUMPY\x01\x00\x10", 9), Code::kValue, {"ends inside"});
  Refused(std::string("\x93NUMPY\x02\x00\x10\x00", 10), Code::kValue, {"ends inside"});
  Refused(std::string("\x93NUMPY\x04\x00\x10\x00", 10), Code::kValue, {"4.0"});
  Refused(std::string("\x93NUMPY\x01\x01\x10\x00", 10), Code::kValue, {"1.1"});
}

TEST_F(NpyHeaderTest, LiesAboutSizes) {
  const std::string good = NpyBytes(HeaderText("'<f8'", "(10,)"), std::string(80, ' '));
  EXPECT_TRUE(Read(good).ok());
  EXPECT_TRUE(Read(good + "more").ok());
  Refused(good.substr(0, good.size() - 1), Code::kValue, {"80", "79"});
  Refused(good.substr(0, 40), Code::kValue, {"40", "end"});
  std::string long_header = good;
  long_header[9] = '\x7F';  // 32 KiB of header
  Refused(long_header, Code::kValue, {std::to_string(good.size()).c_str()});
  Refused(std::string("\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF{", 13), Code::kValue, {"13"});
  // A header that is really there, but larger than any honest one.
  Refused(NpyBytes(HeaderText("'<f8'", "()") + std::string(2 << 20, ' '), std::string(8, ' '), 2),
          Code::kValue, {"1048576"});
}

TEST_F(NpyHeaderTest, SizesThatDoNotFit) {
  Refused(NpyBytes(HeaderText("'<f8'", "(2305843009213693952,)")), Code::kValue, {"too large"});
  Refused(NpyBytes(HeaderText("'<f8'", "(4294967296, 4294967296)")), Code::kValue, {"too large"});
  Refused(NpyBytes(HeaderText("'<f8'", "(0, 9223372036854775807, 3)")), Code::kValue,
          {"too large"});
  Refused(NpyBytes(HeaderText("'<f8'", "(9223372036854775808,)")), Code::kValue, {"63 bits"});
  Refused(NpyBytes(HeaderText("'<f8'", "(1152921504606846975,)")), Code::kValue,
          {"9223372036854775800", "only 0"});
  Refused(NpyBytes(HeaderText("'<f8'", "(-1,)")), Code::kValue, {"negative"});
  Refused(NpyBytes(HeaderText("[('x', '<f8', (9223372036854775807,))]", "()")), Code::kValue,
          {"too large"});
  Refused(NpyBytes(HeaderText("[('x', '|S9223372036854775807'), ('y', '<f8')]", "()")),
          Code::kValue, {"at most 2147483647 bytes"});
  Refused(NpyBytes(HeaderText("[('x', '|S1', (9223372036854775807,)), ('y', '<f8')]", "()")),
          Code::kValue, {"63 bits"});
}

TEST_F(NpyHeaderTest, DTypesThatAreNotOurs) {
  const std::pair<const char*, const char*> cases[] = {
      {"'|O'", "pickled"},  {"'O'", "pickled"},         {"'<U10'", "Unicode"},
      {"'>U1'", "Unicode"}, {"'<M8[ns]'", "dates"},     {"'<m8[s]'", "time spans"},
      {"'|V16'", "raw"},    {"'<f16'", "long double"},  {"'<c32'", "long double"},
      {"'<f3'", "<f3"},     {"'nonsense'", "nonsense"}, {"''", "dtype"},
  };
  for (const auto& [descr, word] : cases) {
    Refused(NpyBytes(HeaderText(descr, "()"), std::string(16, ' ')), Code::kType, {word});
    const std::string in_record = std::string("[('x', ") + descr + ")]";
    Refused(NpyBytes(HeaderText(in_record, "()"), std::string(16, ' ')), Code::kType, {word});
  }
}

TEST_F(NpyHeaderTest, EvilHeaders) {
  for (const std::string& header :
       {std::string("[]"),
        std::string("{}"),
        std::string("'descr'"),
        std::string("__import__('os').system('true')"),
        std::string("{'descr': '<f8', 'shape': ()}"),
        std::string("{'descr': '<f8', 'fortran_order': False, 'shape': (), 'more': 1}"),
        std::string("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': ()}"),
        HeaderText("'<f8'", "()") + "x",
        HeaderText("'<f8'", "3"),
        HeaderText("'<f8'", "[3]"),
        HeaderText("'<f8'", "(True,)"),
        HeaderText("'<f8'", "('3',)"),
        HeaderText("8", "()"),
        HeaderText("('<f8', (2,))", "()"),
        HeaderText("[('x',)]", "()"),
        HeaderText("[('x', '<f8', (1,), 4)]", "()"),
        HeaderText("[['x', '<f8']]", "()"),
        HeaderText("[(3, '<f8')]", "()"),
        HeaderText("[('x', '<f8', (-1,))]", "()"),
        HeaderText("[('x', '<f8', 'y')]", "()"),
        HeaderText("[('x', '<f8'), ('x', '<f8')]", "()"),
        HeaderText("'<f8'", "()").replace(0, 0, 1, '\0')}) {
    const std::string bytes = NpyBytes(header, std::string(32, ' '));
    Refused(bytes, Code::kValue, {});
  }
  std::string fortran = HeaderText("'<f8'", "()");
  fortran.replace(fortran.find("False"), 5, "1");
  Refused(NpyBytes(fortran, std::string(8, ' ')), Code::kValue, {"fortran_order"});
}

TEST_F(NpyHeaderTest, NestedAndVeryWideRecordsEndInTime) {
  std::string deep = "'|u1'";
  for (int i = 0; i < 200; ++i) deep = "[('x', " + deep + ")]";
  Refused(NpyBytes(HeaderText(deep, "()"), "x", 2), Code::kValue, {"nested"});
  std::string wide = "[";
  for (int i = 0; i < 30000; ++i) wide += "('f" + std::to_string(i) + "','|u1'),";
  Refused(NpyBytes(HeaderText(wide + "]", "(0,)"), "", 2), Code::kValue, {"30000"});
  wide = "[";
  for (int i = 0; i < 3000; ++i) wide += "('f" + std::to_string(i) + "','|u1'),";
  EXPECT_EQ(Good(NpyBytes(HeaderText(wide + "]", "(0,)"), "", 2)).layout.dtype.fields().size(),
            3000u);
}

// Every prefix of a good file, and every good file with one byte changed, is refused or read, and
// never crashes; sanitizers watch.
TEST_F(NpyHeaderTest, DamagedHeadersNeverCrash) {
  const std::string good =
      NpyBytes(HeaderText("[('x', '<f4'), ('y', '>i2', (2,))]", "(2, 1)"), std::string(16, ' '));
  int read = 0;
  for (size_t n = 0; n < good.size(); ++n) EXPECT_FALSE(Read(good.substr(0, n)).ok()) << n;
  for (size_t at = 0; at < good.size() - 16; ++at) {
    for (const char c : {'\0', '\xFF', '(', '\'', '9', ','}) {
      std::string damaged = good;
      damaged[at] = c;
      read += Read(damaged).ok() ? 1 : 0;
    }
  }
  EXPECT_GT(read, 0);
}

TEST_F(NpyHeaderTest, FilesThatCannotBeRead) {
  EXPECT_EQ(ReadNpyHeader(folder_.Path("none")).status().os_error(), ENOENT);
  EXPECT_EQ(ReadNpyHeader(folder_.path()).status().os_error(), EISDIR);
  ASSERT_EQ(mkfifo(folder_.Path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(ReadNpyHeader(folder_.Path("fifo")).status().os_error(), EINVAL);
}

std::string Format(const DType& dtype, const Dims& shape, bool fortran = false) {
  auto header = FormatNpyHeader(dtype, shape, fortran);
  EXPECT_TRUE(header.ok()) << header.status().message();
  return header.ok() ? *header : "";
}

TEST(FormatNpyHeader, IsByteForByteNumPys) {
  const std::string text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
  std::string expected("\x93NUMPY\x01\x00\x76\x00", 10);
  expected += text + std::string(128 - 10 - text.size() - 1, ' ') + "\n";
  EXPECT_EQ(Format(DType(Kind::kF32), Dims{3, 4}), expected);
}

TEST(FormatNpyHeader, IsAlwaysAMultipleOf64) {
  Dims shape;
  for (int i = 0; i < 60; ++i) {
    const std::string header = Format(DType(Kind::kBool), shape, true);
    EXPECT_EQ(header.size() % 64, 0u);
    EXPECT_EQ(header.back(), '\n');
    shape.push_back(1);
  }
}

TEST(FormatNpyHeader, RecordsWithGaps) {
  const DType inner = *DType::MakeRecord({{"p", DType(Kind::kBool), 0, {}}}, 1);
  const DType dtype = *DType::MakeRecord({{"x", DType(Kind::kF32), 4, {}},
                                          {"it's", DType(Kind::kI16, true), 8, {2, 3}},
                                          {"in", inner, 20, {}}},
                                         24);
  auto descr = DescrOf(dtype);
  ASSERT_TRUE(descr.ok());
  EXPECT_EQ(*descr,
            "[('', '|V4'), ('x', '<f4'), ('it\\'s', '>i2', (2, 3)), "
            "('in', [('p', '|b1')]), ('', '|V3')]");
  EXPECT_EQ(*DTypeFromDescr(*ParseLiteral(*descr)), dtype);
}

TEST(FormatNpyHeader, VersionFollowsTheNames) {
  const auto record = [](const std::string& name) {
    return *DType::MakeRecord({{name, DType(Kind::kU8), 0, {}}}, 1);
  };
  EXPECT_EQ(Format(record("plain"), Dims{1})[6], 1);
  EXPECT_EQ(Format(record(std::string(70000, 'n')), Dims{1})[6], 2);
  EXPECT_EQ(Format(record("\xC3\xA9"), Dims{1})[6], 3);
}

TEST(FormatNpyHeader, WhatNumPyCannotReadIsRefused) {
  EXPECT_EQ(FormatNpyHeader(DType(Kind::kBF16), Dims{1}, false).status().code(), Code::kType);
  const DType brain = *DType::MakeRecord({{"b", DType(Kind::kBF16), 0, {}}}, 2);
  EXPECT_NE(FormatNpyHeader(brain, Dims{1}, false).status().message().find("bfloat16"),
            std::string::npos);
  const DType overlap =
      *DType::MakeRecord({{"a", DType(Kind::kI32), 0, {}}, {"b", DType(Kind::kI16), 2, {}}}, 4);
  EXPECT_EQ(FormatNpyHeader(overlap, Dims{1}, false).status().code(), Code::kType);
}

}  // namespace
}  // namespace spanflow::io
