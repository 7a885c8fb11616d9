#include "io/literal.h"

#include <gtest/gtest.h>

namespace spanflow::io {
namespace {

using Type = Literal::Type;

Literal Parse(const std::string& text) {
  auto literal = ParseLiteral(text);
  EXPECT_TRUE(literal.ok()) << text << ": " << literal.status().message();
  return literal.ok() ? *std::move(literal) : Literal();
}

TEST(Literal, Scalars) {
  EXPECT_EQ(Parse("'<f4'").text, "<f4");
  EXPECT_EQ(Parse("\"it's\"").text, "it's");
  EXPECT_EQ(Parse(" 12 ").number, 12);
  EXPECT_EQ(Parse("12L").number, 12);  // Python 2
  EXPECT_EQ(Parse("-3").number, -3);
  EXPECT_EQ(Parse("9223372036854775807").number, INT64_MAX);
  EXPECT_TRUE(Parse("True").Is(Type::kBool));
  EXPECT_EQ(Parse("True").number, 1);
  EXPECT_EQ(Parse("False").number, 0);
  EXPECT_TRUE(Parse("1").Is(Type::kInteger));
}

TEST(Literal, Escapes) {
  EXPECT_EQ(Parse(R"('a\\b\'c\"d\n\t\r')").text, "a\\b'c\"d\n\t\r");
  EXPECT_EQ(Parse(R"('\x41\xe9\u20ac\U0001f600')").text, "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
}

TEST(Literal, OnlyACommaMakesATupleOfOne) {
  EXPECT_TRUE(Parse("(3)").Is(Type::kInteger));
  EXPECT_TRUE(Parse("(3,)").Is(Type::kTuple));
  EXPECT_EQ(Parse("(3,)").items.size(), 1u);
  EXPECT_EQ(Parse("()").items.size(), 0u);
  EXPECT_EQ(Parse("( 3 , 4 ,\n5, )").items.size(), 3u);
  EXPECT_TRUE(Parse("((),)").items[0].Is(Type::kTuple));
  EXPECT_EQ(Parse("[('x', '<f4'), ('y', '<i2', (2,))]").items[1].items[2].items[0].number, 2);
}

TEST(Literal, DictsKeepTheirOrder) {
  const Literal dict = Parse("{'a': 1, 'b': [], }");
  ASSERT_TRUE(dict.Is(Type::kDict));
  ASSERT_EQ(dict.items.size(), 4u);
  EXPECT_EQ(dict.items[0].text, "a");
  EXPECT_EQ(dict.items[1].number, 1);
  EXPECT_TRUE(dict.items[3].Is(Type::kList));
}

TEST(Literal, WhateverElseIsRefused) {
  for (const char* text : {"",
                           " ",
                           "(",
                           "(1",
                           "(1 2)",
                           "[1,,2]",
                           "(,)",
                           "'abc",
                           "'a\nb'",
                           "\"a'",
                           "{'a'}",
                           "{'a': }",
                           "{'a' 1}",
                           "1 2",
                           "1.5",
                           "1e3",
                           "0x10",
                           "--1",
                           "-",
                           "+1",
                           "9223372036854775808",
                           "None",
                           "true",
                           "Truex",
                           "__import__('os')",
                           "[x for x in y]",
                           "b'x'",
                           "1 + 1",
                           "'\\q'",
                           "'\\x4'",
                           "'\\xzz'",
                           "'\\x00'",
                           "'\\ud800'",
                           "'\\U00110000'",
                           "'\\u12'",
                           "{1: 2"}) {
    const auto literal = ParseLiteral(text);
    ASSERT_FALSE(literal.ok()) << text;
    EXPECT_EQ(literal.status().code(), base::Code::kValue) << text;
  }
  EXPECT_FALSE(ParseLiteral(std::string("'a\0b'", 5)).ok());
}

TEST(Literal, DeepNestingIsRefusedAndNotAStackOverflow) {
  EXPECT_TRUE(ParseLiteral(std::string(30, '[') + std::string(30, ']')).ok());
  const auto deep = ParseLiteral(std::string(500000, '('));
  ASSERT_FALSE(deep.ok());
  EXPECT_NE(deep.status().message().find("nested"), std::string::npos);
}

TEST(Literal, ErrorsSayWhere) {
  EXPECT_NE(ParseLiteral("(1, 2, x)").status().message().find("character 7"), std::string::npos);
}

TEST(Literal, QuotingIsReadBackAsItWas) {
  for (const std::string text :
       {"plain", "it's", "a\\b", "tab\tnew\nline", "\xC3\xA9", "", "\x7F"}) {
    EXPECT_EQ(Parse(QuotedLiteral(text)).text, text);
  }
  EXPECT_EQ(QuotedLiteral("it's"), "'it\\'s'");
}

}  // namespace
}  // namespace spanflow::io
