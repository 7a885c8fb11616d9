// Which kinds an operation computes in and returns: NumPy 2's promotion, with Python scalars as
// weak operands (NEP 50), and bfloat16 beside it under the rules of float16.
//
// Owns: nothing. Threads: thread-safe, pure functions. Attached: not needed.
// Fails: TypeError when there is no such operation for the kinds, naming them and the alternative.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/dtype.h"
#include "base/status.h"
#include "simd/ops.h"

namespace spanflow::array {

// The smallest kind that holds both. int64 with uint64 is float64; bfloat16 with float16 float32.
base::Kind Promote(base::Kind a, base::Kind b);

// Which casts are allowed: NumPy's rules, each of which allows what those before it do.
enum class Casting : uint8_t { kNo, kEquiv, kSafe, kSameKind, kUnsafe };
inline constexpr std::string_view kCastingNames[] = {"no", "equiv", "safe", "same_kind", "unsafe"};

// Records cast where all their fields do; numbers and bytes never cast to each other.
bool CanCast(const base::DType& from, const base::DType& to, Casting casting);

// The smallest dtype, native, to which both cast safely: numbers with numbers, the wider of bytes,
// equal records. TypeError where there is none.
base::Result<base::DType> PromoteDTypes(const base::DType& a, const base::DType& b);

// f16 and bf16 compute as f32; every other kind as itself.
constexpr base::Kind ComputeKind(base::Kind kind) {
  const bool half = kind == base::Kind::kF16 || kind == base::Kind::kBF16;
  return half ? base::Kind::kF32 : kind;
}

// complex64 -> float32, complex128 -> float64; every other kind as itself.
constexpr base::Kind RealKind(base::Kind kind) {
  if (kind == base::Kind::kC64) return base::Kind::kF32;
  return kind == base::Kind::kC128 ? base::Kind::kF64 : kind;
}

// What a Python scalar is: it takes the kind of the arrays beside it as long as they are of its
// category or a higher one (bool < int < float < complex).
enum class Weak : uint8_t { kNone, kBool, kInt, kFloat, kComplex };

struct OperandType {
  base::Kind kind = base::Kind::kF64;  // not read for weak operands
  Weak weak = Weak::kNone;
};

// The common kind of operands of which some may be weak.
base::Kind PromoteOperands(std::span<const OperandType> operands);

struct OpTypes {
  base::Kind operand;  // the common kind T; a weak scalar is converted to it (range checked there)
  base::Kind compute;  // what Elementwise is told: T with f16 and bf16 as f32
  base::Kind result;   // the dtype of a new result array
};

// `operands` has as many entries as the operation's arity. For kSelect operations (where) the
// first one is the condition: it may have any kind and does not take part in the promotion.
// A comparison with a Python int that does not fit the array's kind: pass the scalar as a strong
// int64 or uint64.
base::Result<OpTypes> ResolveOp(simd::Op op, std::span<const OperandType> operands);

// The dtype of a reduction's new result array.
base::Result<base::Kind> ResolveReduction(simd::Reduction reduction, base::Kind operand);

// A TypeError, which names both, for an operand of a kind that `kinds` has not; f16 and bf16 count
// as f32.
base::Status CheckKinds(const char* name, simd::KindSet kinds, base::Kind operand);

// "bool, integers, floats": for people.
std::string KindsText(simd::KindSet kinds);

// What a kernel writes for a compute kind: bool for comparisons, the real kind for a complex
// absolute, else the compute kind.
base::Kind KernelResult(simd::Op op, base::Kind compute);

}  // namespace spanflow::array
