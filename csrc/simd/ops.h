// The tables of operations: one row says everything about an operation that is not its inner loop.
// Python names, type resolution, dispatch, tests, benchmarks and the documentation derive from it.
//
// Owns: constants only. Threads: thread-safe. Attached: not needed. Fails: never.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/dtype.h"

namespace spanflow::simd {

// How the operand dtypes decide the compute kind and the result (NumPy's rules).
enum class TypeRule : uint8_t {
  kSame,     // operands are promoted to one kind T; the result is T
  kCompare,  // operands are promoted to T; the result is bool
  kFloat,    // T is made floating: bool, 8 bits -> f16, 16 bits -> f32, wider integers -> f64
  kDivide,   // as kSame, but bool and every integer become f64
  kAbs,      // as kSame; a complex T gives its real kind
  kTruth,    // any T; the result is bool
  kSelect,   // first operand is bool, the others are promoted to T; the result is T
};

// Sets of compute kinds, as bits 1 << Kind. f16 and bf16 never stand here: they compute as f32 and
// are rounded once by the storer, which is what NumPy does.
using KindSet = uint32_t;
constexpr KindSet Only(base::Kind kind) { return KindSet{1} << static_cast<int>(kind); }
inline constexpr KindSet kBoolKind = Only(base::Kind::kBool);
inline constexpr KindSet kSignedKinds = Only(base::Kind::kI8) | Only(base::Kind::kI16) |
                                        Only(base::Kind::kI32) | Only(base::Kind::kI64);
inline constexpr KindSet kUnsignedKinds = Only(base::Kind::kU8) | Only(base::Kind::kU16) |
                                          Only(base::Kind::kU32) | Only(base::Kind::kU64);
inline constexpr KindSet kIntegerKinds = kSignedKinds | kUnsignedKinds;
inline constexpr KindSet kFloatKinds = Only(base::Kind::kF32) | Only(base::Kind::kF64);
inline constexpr KindSet kComplexKinds = Only(base::Kind::kC64) | Only(base::Kind::kC128);
inline constexpr KindSet kRealKinds = kIntegerKinds | kFloatKinds;
inline constexpr KindSet kNumberKinds = kRealKinds | kComplexKinds;
inline constexpr KindSet kEveryKind = kNumberKinds | kBoolKind;
constexpr bool Contains(KindSet set, base::Kind kind) { return (set & Only(kind)) != 0; }

// ROW(Name, "python_name", arity, rule, kinds, "one line of documentation")
// `Name` is at once the enumerator k##Name and the functor Name in the source of its family, which
// is simd/arithmetic.cc or simd/logic.cc.
#define SPANFLOW_ARITHMETIC(ROW)                                                            \
  ROW(Add, "add", 2, kSame, kEveryKind, "x1 + x2; for bool the logical or")                 \
  ROW(Subtract, "subtract", 2, kSame, kNumberKinds, "x1 - x2")                              \
  ROW(Multiply, "multiply", 2, kSame, kEveryKind, "x1 * x2; for bool the logical and")      \
  ROW(Divide, "divide", 2, kDivide, kFloatKinds | kComplexKinds, "x1 / x2, true division")  \
  ROW(Minimum, "minimum", 2, kSame, kBoolKind | kRealKinds, "the smaller of two; NaN wins") \
  ROW(Maximum, "maximum", 2, kSame, kBoolKind | kRealKinds, "the larger of two; NaN wins")  \
  ROW(Clip, "clip", 3, kSame, kRealKinds, "x limited to [lower, upper]; NaN stays")         \
  ROW(Negative, "negative", 1, kSame, kNumberKinds, "-x")                                   \
  ROW(Absolute, "absolute", 1, kAbs, kEveryKind, "|x|")                                     \
  ROW(Sqrt, "sqrt", 1, kFloat, kFloatKinds, "the square root; NaN below zero")
#define SPANFLOW_LOGIC(ROW)                                                                  \
  ROW(Equal, "equal", 2, kCompare, kEveryKind, "x1 == x2")                                   \
  ROW(NotEqual, "not_equal", 2, kCompare, kEveryKind, "x1 != x2")                            \
  ROW(Less, "less", 2, kCompare, kBoolKind | kRealKinds, "x1 < x2")                          \
  ROW(LessEqual, "less_equal", 2, kCompare, kBoolKind | kRealKinds, "x1 <= x2")              \
  ROW(Greater, "greater", 2, kCompare, kBoolKind | kRealKinds, "x1 > x2")                    \
  ROW(GreaterEqual, "greater_equal", 2, kCompare, kBoolKind | kRealKinds, "x1 >= x2")        \
  ROW(BitwiseAnd, "bitwise_and", 2, kSame, kBoolKind | kIntegerKinds, "x1 & x2, bit by bit") \
  ROW(BitwiseOr, "bitwise_or", 2, kSame, kBoolKind | kIntegerKinds, "x1 | x2, bit by bit")   \
  ROW(BitwiseXor, "bitwise_xor", 2, kSame, kBoolKind | kIntegerKinds, "x1 ^ x2, bit by bit") \
  ROW(Invert, "invert", 1, kSame, kBoolKind | kIntegerKinds, "~x; for bool the logical not") \
  ROW(Where, "where", 3, kSelect, kEveryKind, "x where the condition holds, else y")
#define SPANFLOW_ELEMENTWISE(ROW) SPANFLOW_ARITHMETIC(ROW) SPANFLOW_LOGIC(ROW)

enum class Op : uint8_t {
#define SPANFLOW_ROW(Name, ...) k##Name,
  SPANFLOW_ELEMENTWISE(SPANFLOW_ROW)
#undef SPANFLOW_ROW
};

struct OpInfo {
  const char* name;
  int arity;
  TypeRule rule;
  KindSet kinds;  // compute kinds that have a kernel
  const char* summary;
};

inline constexpr auto kOps = std::to_array<OpInfo>({
#define SPANFLOW_ROW(Name, name, arity, rule, kinds, summary) \
  {name, arity, TypeRule::rule, kinds, summary},
    SPANFLOW_ELEMENTWISE(SPANFLOW_ROW)
#undef SPANFLOW_ROW
});
inline constexpr int kNumOps = static_cast<int>(kOps.size());
constexpr const OpInfo& InfoOf(Op op) { return kOps[static_cast<size_t>(op)]; }

// What a reduction returns for a given operand kind.
enum class ReduceRule : uint8_t {
  kSum,    // bool and integers -> i64 or u64; floats and complex stay
  kSame,   // the operand's kind
  kBool,   // bool
  kCount,  // i64
  kMean,   // bool and integers -> f64; floats and complex stay
  kReal,   // as kMean, complex gives its real kind
  kPlace,  // i64: which element it is, in C order
};

// ROW(Name, "python_name", rule, kinds, "one line of documentation")
// `Name` is at once the enumerator k##Name and the struct Name in the source of its family, which
// is simd/reduce.cc, moments.cc, places.cc or shapes.cc.
#define SPANFLOW_FOLDS(ROW)                                                                   \
  ROW(Sum, "sum", kSum, kEveryKind, "the sum of the elements")                                \
  ROW(Prod, "prod", kSum, kEveryKind, "the product of the elements")                          \
  ROW(Min, "min", kSame, kBoolKind | kRealKinds, "the smallest element; NaN if there is one") \
  ROW(Max, "max", kSame, kBoolKind | kRealKinds, "the largest element; NaN if there is one")  \
  ROW(Any, "any", kBool, kEveryKind, "whether some element is not zero")                      \
  ROW(All, "all", kBool, kEveryKind, "whether no element is zero")                            \
  ROW(CountNonzero, "count_nonzero", kCount, kEveryKind, "how many elements are not zero")    \
  ROW(Count, "count", kCount, kEveryKind, "how many elements there are")                      \
  ROW(Mean, "mean", kMean, kEveryKind, "the arithmetic mean")
#define SPANFLOW_MOMENTS(ROW)                                                       \
  ROW(Var, "var", kReal, kEveryKind, "the variance, divided by N - ddof")           \
  ROW(Std, "std", kReal, kEveryKind, "the standard deviation, divided by N - ddof") \
  ROW(Norm, "norm", kReal, kEveryKind, "the 2-norm, the root of the sum of squares")
#define SPANFLOW_PLACES(ROW)                                                                      \
  ROW(ArgMin, "argmin", kPlace, kBoolKind | kRealKinds, "the place of the first smallest or NaN") \
  ROW(ArgMax, "argmax", kPlace, kBoolKind | kRealKinds, "the place of the first largest or NaN")  \
  ROW(Ptp, "ptp", kSame, kRealKinds, "the largest element less the smallest")
#define SPANFLOW_SHAPES(ROW)                                                               \
  ROW(Skew, "skew", kReal, kBoolKind | kRealKinds, "the skewness, not corrected for bias") \
  ROW(Kurtosis, "kurtosis", kReal, kBoolKind | kRealKinds, "the excess kurtosis, not corrected")
#define SPANFLOW_PLAIN_REDUCTIONS(ROW) \
  SPANFLOW_FOLDS(ROW) SPANFLOW_MOMENTS(ROW) SPANFLOW_PLACES(ROW) SPANFLOW_SHAPES(ROW)

// The same without the elements that are NaN: nan##Name is the reduction Name behind a sieve.
#define SPANFLOW_NANS(ROW)                                                                  \
  ROW(Sum, "nansum", kSum, kEveryKind, "the sum of the elements that are not NaN")          \
  ROW(Count, "nancount", kCount, kEveryKind, "how many elements are not NaN")               \
  ROW(Prod, "nanprod", kSum, kEveryKind, "the product of the elements that are not NaN")    \
  ROW(Mean, "nanmean", kMean, kEveryKind, "the mean of the elements that are not NaN")      \
  ROW(Var, "nanvar", kReal, kEveryKind, "the variance of the elements that are not NaN")    \
  ROW(Std, "nanstd", kReal, kEveryKind, "the deviation of the elements that are not NaN")   \
  ROW(Skew, "nanskew", kReal, kBoolKind | kRealKinds, "the skewness without NaN")           \
  ROW(Kurtosis, "nankurtosis", kReal, kBoolKind | kRealKinds, "the kurtosis without NaN")   \
  ROW(Min, "nanmin", kSame, kBoolKind | kRealKinds, "the smallest element that is not NaN") \
  ROW(Max, "nanmax", kSame, kBoolKind | kRealKinds, "the largest element that is not NaN")

enum class Reduction : uint8_t {
#define SPANFLOW_ROW(Name, ...) k##Name,
#define SPANFLOW_NAN_ROW(Name, ...) kNan##Name,
  SPANFLOW_PLAIN_REDUCTIONS(SPANFLOW_ROW) SPANFLOW_NANS(SPANFLOW_NAN_ROW)
#undef SPANFLOW_NAN_ROW
#undef SPANFLOW_ROW
};

struct ReductionInfo {
  const char* name;
  ReduceRule rule;
  KindSet kinds;
  const char* summary;
};

inline constexpr auto kReductions = std::to_array<ReductionInfo>({
#define SPANFLOW_ROW(Name, name, rule, kinds, summary) {name, ReduceRule::rule, kinds, summary},
    SPANFLOW_PLAIN_REDUCTIONS(SPANFLOW_ROW) SPANFLOW_NANS(SPANFLOW_ROW)
#undef SPANFLOW_ROW
});
inline constexpr int kNumReductions = static_cast<int>(kReductions.size());
constexpr const ReductionInfo& InfoOf(Reduction r) { return kReductions[static_cast<size_t>(r)]; }

// The same with NaN counted in; itself where it does not leave NaN out.
constexpr Reduction PlainOf(Reduction r) {
  switch (r) {
#define SPANFLOW_ROW(Name, ...) \
  case Reduction::kNan##Name:   \
    return Reduction::k##Name;
    SPANFLOW_NANS(SPANFLOW_ROW)
#undef SPANFLOW_ROW
    default:
      return r;
  }
}
// Which are divided by N - ddof.
constexpr bool TakesDdof(Reduction r) {
  return PlainOf(r) == Reduction::kVar || PlainOf(r) == Reduction::kStd;
}
// Which say where an element is: the order in which they see the elements matters.
constexpr bool IsPlace(Reduction r) { return InfoOf(r).rule == ReduceRule::kPlace; }
// Which have no result for no elements.
constexpr bool NeedsElements(Reduction r) {
  return InfoOf(r).rule == ReduceRule::kSame || IsPlace(r);
}

// What a running fold gives for each element: the result for it and all before it. The rules of
// dtypes are those of the reductions.
// ROW(Name, "python_name", rule, kinds, "one line of documentation")
// `Name` is at once the enumerator k##Name and the struct Name in simd/scan.cc.
#define SPANFLOW_SCANS(ROW)                                                                     \
  ROW(CumSum, "cumsum", kSum, kEveryKind, "the sums of the elements so far")                    \
  ROW(CumProd, "cumprod", kSum, kEveryKind, "the products of the elements so far")              \
  ROW(CumMin, "cummin", kSame, kBoolKind | kRealKinds, "the smallest element so far; NaN wins") \
  ROW(CumMax, "cummax", kSame, kBoolKind | kRealKinds, "the largest element so far; NaN wins")

enum class Scan : uint8_t {
#define SPANFLOW_ROW(Name, ...) k##Name,
  SPANFLOW_SCANS(SPANFLOW_ROW)
#undef SPANFLOW_ROW
};
inline constexpr auto kScans = std::to_array<ReductionInfo>({
#define SPANFLOW_ROW(Name, name, rule, kinds, summary) {name, ReduceRule::rule, kinds, summary},
    SPANFLOW_SCANS(SPANFLOW_ROW)
#undef SPANFLOW_ROW
});
inline constexpr int kNumScans = static_cast<int>(kScans.size());
constexpr const ReductionInfo& InfoOf(Scan s) { return kScans[static_cast<size_t>(s)]; }

}  // namespace spanflow::simd
