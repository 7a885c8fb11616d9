#include "array/promote.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace spanflow::array {
namespace {

using base::Code;
using base::Kind;

// Every table here was printed by NumPy 2.4; a letter is a kind, in NumPy's codes.
const std::string kLetters = "?bBhHiIlLefdFD";

Kind KindOf(char letter) {
  static const std::map<char, Kind> kinds = {
      {'?', Kind::kBool}, {'b', Kind::kI8},  {'B', Kind::kU8},  {'h', Kind::kI16},
      {'H', Kind::kU16},  {'i', Kind::kI32}, {'I', Kind::kU32}, {'l', Kind::kI64},
      {'L', Kind::kU64},  {'e', Kind::kF16}, {'f', Kind::kF32}, {'d', Kind::kF64},
      {'F', Kind::kC64},  {'D', Kind::kC128}};
  return kinds.at(letter);
}

char LetterOf(Kind kind) {
  for (char letter : kLetters) {
    if (KindOf(letter) == kind) return letter;
  }
  return '#';
}

TEST(PromoteTest, PairsAsInNumPy) {
  const std::string expected[] = {
      "?bBhHiIlLefdFD", "bbhhiilldefdFD", "BhBhHiIlLefdFD", "hhhhiilldffdFD", "HiHiHiIlLffdFD",
      "iiiiiillddddDD", "IlIlIlIlLdddDD", "llllllllddddDD", "LdLdLdLdLdddDD", "eeeffddddefdFD",
      "fffffddddffdFD", "ddddddddddddDD", "FFFFFDDDDFFDFD", "DDDDDDDDDDDDDD"};
  for (size_t a = 0; a < kLetters.size(); ++a) {
    std::string row;
    for (char b : kLetters) row += LetterOf(Promote(KindOf(kLetters[a]), KindOf(b)));
    EXPECT_EQ(row, expected[a]) << kLetters[a];
  }
}

TEST(PromoteTest, Bfloat16FollowsTheRulesOfFloat16) {
  for (char letter : kLetters) {
    const Kind half = Promote(Kind::kF16, KindOf(letter));
    const Kind expected = letter == 'e' ? Kind::kF32 : half == Kind::kF16 ? Kind::kBF16 : half;
    EXPECT_EQ(Promote(Kind::kBF16, KindOf(letter)), expected) << letter;
    EXPECT_EQ(Promote(KindOf(letter), Kind::kBF16), expected) << letter;
  }
  EXPECT_EQ(Promote(Kind::kBF16, Kind::kBF16), Kind::kBF16);
}

TEST(PromoteTest, PythonScalarsAreWeak) {
  const std::pair<Weak, std::string> expected[] = {{Weak::kBool, "?bBhHiIlLefdFD"},
                                                   {Weak::kInt, "lbBhHiIlLefdFD"},
                                                   {Weak::kFloat, "dddddddddefdFD"},
                                                   {Weak::kComplex, "DDDDDDDDDFFDFD"}};
  for (const auto& [weak, row] : expected) {
    std::string got;
    for (char letter : kLetters) {
      const OperandType operands[] = {{Kind::kF64, weak}, {KindOf(letter)}};
      got += LetterOf(PromoteOperands(operands));
    }
    EXPECT_EQ(got, row);
  }
  const OperandType bf16_and_float[] = {{Kind::kBF16}, {Kind::kF64, Weak::kFloat}};
  EXPECT_EQ(PromoteOperands(bf16_and_float), Kind::kBF16);
}

TEST(PromoteTest, ScalarsAloneHaveTheirOwnKinds) {
  const std::pair<Weak, Kind> expected[] = {{Weak::kBool, Kind::kBool},
                                            {Weak::kInt, Kind::kI64},
                                            {Weak::kFloat, Kind::kF64},
                                            {Weak::kComplex, Kind::kC128}};
  for (const auto& [weak, kind] : expected) {
    const OperandType operands[] = {{Kind::kF64, weak}, {Kind::kF64, Weak::kBool}};
    EXPECT_EQ(PromoteOperands(operands), kind);
  }
}

// NumPy's results for operands of one kind; a dot stands for its TypeError. (The angle of a bool
// would be float64.)
TEST(ResolveOpTest, ResultsAsInNumPyWhereThereIsAKernel) {
  const std::map<std::string, std::string> expected = {
      {"add", "?bBhHiIlLefdFD"},         {"subtract", ".bBhHiIlLefdFD"},
      {"multiply", "?bBhHiIlLefdFD"},    {"divide", "dddddddddefdFD"},
      {"minimum", "?bBhHiIlLefdFD"},     {"maximum", "?bBhHiIlLefdFD"},
      {"clip", "?bBhHiIlLefdFD"},        {"negative", ".bBhHiIlLefdFD"},
      {"absolute", "?bBhHiIlLefdfd"},    {"sqrt", "eeeffddddefdFD"},
      {"equal", "??????????????"},       {"not_equal", "??????????????"},
      {"less", "??????????????"},        {"less_equal", "??????????????"},
      {"greater", "??????????????"},     {"greater_equal", "??????????????"},
      {"bitwise_and", "?bBhHiIlL....."}, {"bitwise_or", "?bBhHiIlL....."},
      {"bitwise_xor", "?bBhHiIlL....."}, {"invert", "?bBhHiIlL....."},
      {"where", "?bBhHiIlLefdFD"}};
  int compared = 0;
  for (int o = 0; o < simd::kNumOps; ++o) {
    const auto op = static_cast<simd::Op>(o);
    const simd::OpInfo& info = simd::InfoOf(op);
    if (!expected.contains(info.name)) continue;
    for (size_t k = 0; k < kLetters.size(); ++k) {
      const Kind kind = KindOf(kLetters[k]);
      std::vector<OperandType> operands(static_cast<size_t>(info.arity), {kind});
      const auto types = ResolveOp(op, operands);
      const char numpy = expected.at(info.name)[k];
      if (!types.ok()) {
        EXPECT_EQ(types.status().code(), Code::kType);
        const bool declared = numpy == '.' || !simd::Contains(info.kinds, ComputeKind(kind));
        EXPECT_TRUE(declared) << info.name << " " << kLetters[k];
        continue;
      }
      ++compared;
      EXPECT_EQ(LetterOf(types->result), numpy) << info.name << " " << kLetters[k];
      EXPECT_EQ(types->compute, ComputeKind(types->operand));
      EXPECT_TRUE(simd::Contains(info.kinds, types->compute));
    }
  }
  EXPECT_GT(compared, 200);
}

TEST(ResolveOpTest, HalfPrecisionComputesInFloat32) {
  const OperandType operands[] = {{Kind::kF16}, {Kind::kF16}};
  const auto types = ResolveOp(simd::Op::kAdd, operands);
  ASSERT_TRUE(types.ok());
  EXPECT_EQ(types->operand, Kind::kF16);
  EXPECT_EQ(types->compute, Kind::kF32);
  EXPECT_EQ(types->result, Kind::kF16);
}

// NumPy makes each of them a float before it looks for the common one.
TEST(ResolveOpTest, FloatsOfMixedIntegers) {
  const auto result = [](std::initializer_list<OperandType> operands) {
    return LetterOf(ResolveOp(simd::Op::kHypot, std::span(operands.begin(), 2))->result);
  };
  const OperandType integer{Kind::kF64, Weak::kInt}, real{Kind::kF64, Weak::kFloat};
  EXPECT_EQ(result({{Kind::kI8}, {Kind::kU8}}), 'e');
  EXPECT_EQ(result({{Kind::kU16}, {Kind::kI16}}), 'f');
  EXPECT_EQ(result({{Kind::kBool}, {Kind::kI16}}), 'f');
  EXPECT_EQ(result({{Kind::kF16}, {Kind::kU8}}), 'e');
  EXPECT_EQ(result({{Kind::kI8}, integer}), 'e');
  EXPECT_EQ(result({{Kind::kI8}, real}), 'd');
  EXPECT_EQ(result({{Kind::kBool}, integer}), 'd');
  EXPECT_EQ(result({{Kind::kBool}, {Kind::kF64, Weak::kBool}}), 'e');
  EXPECT_EQ(result({integer, integer}), 'd');
}

TEST(ResolveOpTest, TheConditionOfWhereDoesNotTakePart) {
  const OperandType operands[] = {{Kind::kF64}, {Kind::kI8}, {Kind::kF64, Weak::kInt}};
  const auto types = ResolveOp(simd::Op::kWhere, operands);
  ASSERT_TRUE(types.ok());
  EXPECT_EQ(types->result, Kind::kI8);
}

TEST(ResolveOpTest, RefusalsNameTheAlternative) {
  const OperandType bools[] = {{Kind::kBool}, {Kind::kBool}};
  const auto subtract = ResolveOp(simd::Op::kSubtract, bools);
  ASSERT_FALSE(subtract.ok());
  EXPECT_NE(subtract.status().message().find("bitwise_xor"), std::string::npos);
  const auto negative = ResolveOp(simd::Op::kNegative, std::span(bools, 1));
  ASSERT_FALSE(negative.ok());
  EXPECT_NE(negative.status().message().find("invert"), std::string::npos);
  const OperandType records[] = {{Kind::kRecord}, {Kind::kF32}};
  const auto add = ResolveOp(simd::Op::kAdd, records);
  ASSERT_FALSE(add.ok());
  EXPECT_NE(add.status().message().find("records"), std::string::npos);
  const auto arity = ResolveOp(simd::Op::kAdd, std::span(bools, 1));
  ASSERT_FALSE(arity.ok());
  EXPECT_NE(arity.status().message().find("2 operands"), std::string::npos);
}

TEST(ResolveReductionTest, ResultsAsInNumPy) {
  const std::map<std::string, std::string> expected = {
      {"sum", "llLlLlLlLefdFD"},  {"min", "?bBhHiIlLefdFD"}, {"max", "?bBhHiIlLefdFD"},
      {"any", "??????????????"},  {"all", "??????????????"}, {"count_nonzero", "llllllllllllll"},
      {"mean", "dddddddddefdFD"}, {"var", "dddddddddefdfd"}, {"std", "dddddddddefdfd"}};
  int compared = 0;
  for (int r = 0; r < simd::kNumReductions; ++r) {
    const auto reduction = static_cast<simd::Reduction>(r);
    const simd::ReductionInfo& info = simd::InfoOf(reduction);
    if (!expected.contains(info.name)) continue;
    for (size_t k = 0; k < kLetters.size(); ++k) {
      const Kind kind = KindOf(kLetters[k]);
      const auto result = ResolveReduction(reduction, kind);
      ASSERT_EQ(result.ok(), simd::Contains(info.kinds, ComputeKind(kind))) << info.name;
      if (!result.ok()) continue;
      ++compared;
      EXPECT_EQ(LetterOf(*result), expected.at(info.name)[k]) << info.name << kLetters[k];
    }
  }
  EXPECT_GT(compared, 100);
  EXPECT_EQ(ResolveReduction(simd::Reduction::kSum, Kind::kBytes).status().code(), Code::kType);
}

}  // namespace
}  // namespace spanflow::array
