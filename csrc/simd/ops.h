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
  kNumber,   // as kSame, but bool becomes i8
  kFloat,    // each is made floating: bool, 8 bits -> f16, 16 bits -> f32, wider integers -> f64
  kAngle,    // as kFloat; a complex T gives its real kind
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
// is simd/<family>.cc. A seventh entry is the largest error in ULP (units in the last place of the
// result) where an operation is not exact or rounded correctly.
#define SPANFLOW_ARITHMETIC(ROW)                                                            \
  ROW(Add, "add", 2, kSame, kEveryKind, "x1 + x2; for bool the logical or")                 \
  ROW(Subtract, "subtract", 2, kSame, kNumberKinds, "x1 - x2")                              \
  ROW(Multiply, "multiply", 2, kSame, kEveryKind, "x1 * x2; for bool the logical and")      \
  ROW(Divide, "divide", 2, kDivide, kFloatKinds | kComplexKinds, "x1 / x2, true division")  \
  ROW(Fma, "fma", 3, kFloat, kFloatKinds, "x1 * x2 + x3, rounded once")                     \
  ROW(Minimum, "minimum", 2, kSame, kBoolKind | kRealKinds, "the smaller of two; NaN wins") \
  ROW(Maximum, "maximum", 2, kSame, kBoolKind | kRealKinds, "the larger of two; NaN wins")  \
  ROW(Fmin, "fmin", 2, kSame, kBoolKind | kRealKinds, "the smaller of two; NaN loses")      \
  ROW(Fmax, "fmax", 2, kSame, kBoolKind | kRealKinds, "the larger of two; NaN loses")       \
  ROW(Clip, "clip", 3, kSame, kRealKinds, "x limited to [lower, upper]; NaN stays")         \
  ROW(Negative, "negative", 1, kSame, kNumberKinds, "-x")                                   \
  ROW(Absolute, "absolute", 1, kAbs, kEveryKind, "|x|")                                     \
  ROW(Relu, "relu", 1, kSame, kRealKinds, "x, or 0 below zero; NaN stays")                  \
  ROW(Square, "square", 1, kNumber, kNumberKinds, "x * x")                                  \
  ROW(Reciprocal, "reciprocal", 1, kNumber, kNumberKinds,                                   \
      "1 / x; for integers cut to a whole number")                                          \
  ROW(Sqrt, "sqrt", 1, kFloat, kFloatKinds, "the square root; NaN below zero")
// Those of float32 and float64 that may be links of a chain (kernels.h): so short that a way
// through L1 would cost more than they do.
#define SPANFLOW_CHAIN(ROW) \
  ROW(Add)                  \
  ROW(Subtract)             \
  ROW(Multiply)             \
  ROW(Divide)               \
  ROW(Fma)                  \
  ROW(Minimum)              \
  ROW(Maximum)              \
  ROW(Clip)                 \
  ROW(Negative)             \
  ROW(Absolute)             \
  ROW(Relu)                 \
  ROW(Square)               \
  ROW(Sqrt)
#define SPANFLOW_ROUNDING(ROW)                                                                 \
  ROW(Floor, "floor", 1, kSame, kBoolKind | kRealKinds,                                        \
      "the largest whole number that is not above x")                                          \
  ROW(Ceil, "ceil", 1, kSame, kBoolKind | kRealKinds,                                          \
      "the smallest whole number that is not below x")                                         \
  ROW(Trunc, "trunc", 1, kSame, kBoolKind | kRealKinds, "x without its fraction")              \
  ROW(Rint, "rint", 1, kFloat, kFloatKinds | kComplexKinds,                                    \
      "the nearest whole number; of two the even one")                                         \
  ROW(Sign, "sign", 1, kSame, kNumberKinds, "-1, 0 or 1, or NaN; x / |x| for complex numbers") \
  ROW(Copysign, "copysign", 2, kFloat, kFloatKinds, "the size of x1 with the sign of x2")      \
  ROW(Signbit, "signbit", 1, kTruth, kBoolKind | kRealKinds,                                   \
      "whether the sign is minus, also of zero and NaN")                                       \
  ROW(Isnan, "isnan", 1, kTruth, kEveryKind, "whether x is not a number")                      \
  ROW(Isinf, "isinf", 1, kTruth, kEveryKind, "whether x is infinite")                          \
  ROW(Isfinite, "isfinite", 1, kTruth, kEveryKind, "whether x is neither infinite nor NaN")    \
  ROW(Positive, "positive", 1, kSame, kNumberKinds, "+x, a copy")                              \
  ROW(Conjugate, "conjugate", 1, kNumber, kNumberKinds, "x with the opposite imaginary part")  \
  ROW(Real, "real", 1, kAbs, kEveryKind, "the real part, a copy")                              \
  ROW(Imag, "imag", 1, kAbs, kEveryKind, "the imaginary part, a copy; zero for real numbers")
#define SPANFLOW_INTEGER(ROW)                                         \
  ROW(FloorDivide, "floor_divide", 2, kNumber, kRealKinds,            \
      "the floor of x1 / x2; integers by zero give 0")                \
  ROW(Remainder, "remainder", 2, kNumber, kRealKinds,                 \
      "what floor_divide leaves, with the sign of x2")                \
  ROW(Fmod, "fmod", 2, kNumber, kRealKinds,                           \
      "what a quotient cut towards zero leaves, with the sign of x1") \
  ROW(LeftShift, "left_shift", 2, kNumber, kIntegerKinds,             \
      "x1 * 2**x2; 0 by the width or more, or by less than 0")        \
  ROW(RightShift, "right_shift", 2, kNumber, kIntegerKinds,           \
      "x1 // 2**x2; only the sign by the width or more, or by less than 0")
#define SPANFLOW_EXPONENTIAL(ROW)                                                                  \
  ROW(Exp, "exp", 1, kFloat, kFloatKinds, "e**x", 1.0)                                             \
  ROW(Exp2, "exp2", 1, kFloat, kFloatKinds, "2**x", 1.0)                                           \
  ROW(Expm1, "expm1", 1, kFloat, kFloatKinds, "e**x - 1, accurate near zero", 2.0)                 \
  ROW(Log, "log", 1, kFloat, kFloatKinds, "the natural logarithm; NaN below zero", 1.0)            \
  ROW(Log2, "log2", 1, kFloat, kFloatKinds, "the logarithm to base 2", 1.0)                        \
  ROW(Log10, "log10", 1, kFloat, kFloatKinds, "the logarithm to base 10", 1.0)                     \
  ROW(Log1p, "log1p", 1, kFloat, kFloatKinds, "log(1 + x), accurate near zero", 1.0)               \
  ROW(Power, "power", 2, kNumber, kRealKinds, "x1**x2; integers take no exponent below zero", 1.0) \
  ROW(Rsqrt, "rsqrt", 1, kFloat, kFloatKinds, "1 / sqrt(x)", 1.5)                                  \
  ROW(Cbrt, "cbrt", 1, kFloat, kFloatKinds, "the cube root", 1.0)                                  \
  ROW(Hypot, "hypot", 2, kFloat, kFloatKinds, "the root of x1² + x2² without overflow", 1.5)       \
  ROW(Sinh, "sinh", 1, kFloat, kFloatKinds, "the hyperbolic sine", 2.5)                            \
  ROW(Cosh, "cosh", 1, kFloat, kFloatKinds, "the hyperbolic cosine", 1.5)                          \
  ROW(Tanh, "tanh", 1, kFloat, kFloatKinds, "the hyperbolic tangent", 3.0)                         \
  ROW(Arcsinh, "arcsinh", 1, kFloat, kFloatKinds, "the inverse of sinh", 2.0)                      \
  ROW(Arccosh, "arccosh", 1, kFloat, kFloatKinds, "the inverse of cosh, not below 0", 2.0)         \
  ROW(Arctanh, "arctanh", 1, kFloat, kFloatKinds, "the inverse of tanh", 2.0)                      \
  ROW(Sigmoid, "sigmoid", 1, kFloat, kFloatKinds, "1 / (1 + e**-x)", 2.5)                          \
  ROW(Erf, "erf", 1, kFloat, kFloatKinds, "the error function", 1.0)
#define SPANFLOW_TRIGONOMETRY(ROW)                                                                 \
  ROW(Sin, "sin", 1, kFloat, kFloatKinds, "the sine of x radians", 1.0)                            \
  ROW(Cos, "cos", 1, kFloat, kFloatKinds, "the cosine of x radians", 1.0)                          \
  ROW(Tan, "tan", 1, kFloat, kFloatKinds, "the tangent of x radians", 2.5)                         \
  ROW(Arcsin, "arcsin", 1, kFloat, kFloatKinds, "the inverse of sin, in [-pi/2, pi/2]", 1.0)       \
  ROW(Arccos, "arccos", 1, kFloat, kFloatKinds, "the inverse of cos, in [0, pi]", 1.0)             \
  ROW(Arctan, "arctan", 1, kFloat, kFloatKinds, "the inverse of tan, in [-pi/2, pi/2]", 1.0)       \
  ROW(Arctan2, "arctan2", 2, kFloat, kFloatKinds, "the angle of the point (x2, x1), in [-pi, pi]", \
      1.5)                                                                                         \
  ROW(Angle, "angle", 1, kAngle, kFloatKinds | kComplexKinds,                                      \
      "the angle of a complex number; real ones have 0 or pi", 3.0)
#define SPANFLOW_LOGIC(ROW)                                                                       \
  ROW(Equal, "equal", 2, kCompare, kEveryKind, "x1 == x2")                                        \
  ROW(NotEqual, "not_equal", 2, kCompare, kEveryKind, "x1 != x2")                                 \
  ROW(Less, "less", 2, kCompare, kBoolKind | kRealKinds, "x1 < x2")                               \
  ROW(LessEqual, "less_equal", 2, kCompare, kBoolKind | kRealKinds, "x1 <= x2")                   \
  ROW(Greater, "greater", 2, kCompare, kBoolKind | kRealKinds, "x1 > x2")                         \
  ROW(GreaterEqual, "greater_equal", 2, kCompare, kBoolKind | kRealKinds, "x1 >= x2")             \
  ROW(LogicalAnd, "logical_and", 2, kTruth, kEveryKind, "whether neither of two is zero")         \
  ROW(LogicalOr, "logical_or", 2, kTruth, kEveryKind, "whether one of two or both are not zero")  \
  ROW(LogicalXor, "logical_xor", 2, kTruth, kEveryKind, "whether exactly one of two is not zero") \
  ROW(LogicalNot, "logical_not", 1, kTruth, kEveryKind, "whether x is zero")                      \
  ROW(BitwiseAnd, "bitwise_and", 2, kSame, kBoolKind | kIntegerKinds, "x1 & x2, bit by bit")      \
  ROW(BitwiseOr, "bitwise_or", 2, kSame, kBoolKind | kIntegerKinds, "x1 | x2, bit by bit")        \
  ROW(BitwiseXor, "bitwise_xor", 2, kSame, kBoolKind | kIntegerKinds, "x1 ^ x2, bit by bit")      \
  ROW(Invert, "invert", 1, kSame, kBoolKind | kIntegerKinds, "~x; for bool the logical not")      \
  ROW(Where, "where", 3, kSelect, kEveryKind, "x where the condition holds, else y")
#define SPANFLOW_ELEMENTWISE(ROW) \
  SPANFLOW_ARITHMETIC(ROW)        \
  SPANFLOW_ROUNDING(ROW)          \
  SPANFLOW_INTEGER(ROW) SPANFLOW_EXPONENTIAL(ROW) SPANFLOW_TRIGONOMETRY(ROW) SPANFLOW_LOGIC(ROW)

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
  double ulps = 0;
};

inline constexpr auto kOps = std::to_array<OpInfo>({
#define SPANFLOW_ROW(Name, name, arity, rule, kinds, summary, ...) \
  {name, arity, TypeRule::rule, kinds, summary __VA_OPT__(, ) __VA_ARGS__},
    SPANFLOW_ELEMENTWISE(SPANFLOW_ROW)
#undef SPANFLOW_ROW
});
inline constexpr int kNumOps = static_cast<int>(kOps.size());
constexpr const OpInfo& InfoOf(Op op) { return kOps[static_cast<size_t>(op)]; }

// Whether the operation is in SPANFLOW_CHAIN.
constexpr bool IsChainable(Op op) {
  switch (op) {
#define SPANFLOW_ROW(Name) case Op::k##Name:
    SPANFLOW_CHAIN(SPANFLOW_ROW)
#undef SPANFLOW_ROW
    return true;
    default:
      return false;
  }
}

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
