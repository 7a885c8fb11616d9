#include "array/promote.h"

#include <algorithm>
#include <string>
#include <utility>

#include "simd/kernels.h"

namespace spanflow::array {
namespace {

using base::Kind;
using base::Result;
using base::Status;
using simd::TypeRule;

bool IsWhole(Kind kind) { return kind == Kind::kBool || base::IsInteger(kind); }

int SizeOf(Kind kind) { return base::InfoOf(kind).itemsize; }

Kind SignedOfSize(int size) {
  if (size == 2) return Kind::kI16;
  return size == 4 ? Kind::kI32 : Kind::kI64;
}

Kind PromoteIntegers(Kind a, Kind b) {
  if (base::IsSigned(a) == base::IsSigned(b)) return SizeOf(a) >= SizeOf(b) ? a : b;
  const Kind signed_kind = base::IsSigned(a) ? a : b;
  const int unsigned_size = SizeOf(base::IsSigned(a) ? b : a);
  if (SizeOf(signed_kind) > unsigned_size) return signed_kind;
  return unsigned_size == 8 ? Kind::kF64 : SignedOfSize(2 * unsigned_size);
}

// The smallest float that holds every integer of the kind, or nearly so for 64 bits.
Kind FloatFor(Kind kind) {
  switch (SizeOf(kind)) {
    case 1:
      return Kind::kF16;
    case 2:
      return Kind::kF32;
    default:
      return Kind::kF64;
  }
}

// bool, integers and floats, at least one of them a float.
Kind PromoteToFloat(Kind a, Kind b) {
  if (!base::IsFloat(a)) std::swap(a, b);
  if (!base::IsFloat(b)) {
    if (b == Kind::kBool || SizeOf(b) == 1) return a;  // 8 bits fit into either 16-bit float
    b = FloatFor(b);
  }
  if (a == b) return a;
  if (SizeOf(a) == 2 && SizeOf(b) == 2) return Kind::kF32;  // f16 and bf16: neither holds the other
  return SizeOf(a) >= SizeOf(b) ? a : b;
}

Kind PromoteReal(Kind a, Kind b) {
  if (a == b || b == Kind::kBool) return a;
  if (a == Kind::kBool) return b;
  return base::IsFloat(a) || base::IsFloat(b) ? PromoteToFloat(a, b) : PromoteIntegers(a, b);
}

Kind ComplexFor(Kind real) {
  return PromoteToFloat(real, Kind::kF32) == Kind::kF32 ? Kind::kC64 : Kind::kC128;
}

// What a Python scalar makes of the kind that the other operands have.
Kind ApplyWeak(Kind kind, Weak weak) {
  const bool whole = IsWhole(kind);
  switch (weak) {
    case Weak::kInt:
      return kind == Kind::kBool ? Kind::kI64 : kind;
    case Weak::kFloat:
      return whole ? Kind::kF64 : kind;
    case Weak::kComplex:
      if (base::IsComplex(kind)) return kind;
      return whole ? Kind::kC128 : ComplexFor(kind);
    default:
      return kind;
  }
}

const char* InsteadOf(simd::Op op) {
  if (op == simd::Op::kSubtract) return "; use bitwise_xor (the ^ operator) instead";
  if (op == simd::Op::kNegative) return "; use invert (the ~ operator) instead";
  if (op == simd::Op::kPositive) return "; use copy() instead";
  return "";
}

Status NotDefined(const char* name, simd::KindSet kinds, Kind kind, const char* instead) {
  std::string given = kind == Kind::kBytes ? "bytes" : "records";
  if (base::IsNumeric(kind)) given = base::InfoOf(kind).name;
  return Status::Type(std::string(name) + " is not defined for " + given + ", it takes " +
                      KindsText(kinds) + instead);
}

}  // namespace

std::string KindsText(simd::KindSet kinds) {
  std::string text;
  const auto add = [&](simd::KindSet group, const char* name) {
    if ((kinds & group) == 0) return;
    if (!text.empty()) text += ", ";
    text += name;
  };
  add(simd::kBoolKind, "bool");
  add(simd::kIntegerKinds, "integers");
  add(simd::kFloatKinds, "floats");
  add(simd::kComplexKinds, "complex numbers");
  return text;
}

Kind Promote(Kind a, Kind b) {
  if (!base::IsComplex(a) && !base::IsComplex(b)) return PromoteReal(a, b);
  return ComplexFor(PromoteReal(RealKind(a), RealKind(b)));
}

namespace {

// bool < unsigned < signed < float < complex.
int RankOf(Kind kind) {
  if (kind == Kind::kBool) return 0;
  if (base::IsInteger(kind)) return base::IsSigned(kind) ? 2 : 1;
  return base::IsFloat(kind) ? 3 : 4;
}

bool CanCastNumbers(Kind from, Kind to, Casting casting) {
  if (from == to || casting == Casting::kUnsafe) return true;
  if (casting <= Casting::kEquiv) return false;
  return Promote(from, to) == to || (casting == Casting::kSameKind && RankOf(from) <= RankOf(to));
}

// As NumPy, only an unsafe cast brings fields into another order.
bool CanCastFields(const base::DType& from, const base::DType& to, Casting casting) {
  for (size_t i = 0; i < to.fields().size(); ++i) {
    const base::Field& field = to.fields()[i];
    const bool anywhere = casting == Casting::kUnsafe;
    const base::Field* const source = anywhere ? from.FindField(field.name) : &from.fields()[i];
    if (source == nullptr || source->name != field.name || source->shape != field.shape ||
        !CanCast(source->dtype, field.dtype, casting)) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool CanCast(const base::DType& from, const base::DType& to, Casting casting) {
  if (from == to) return true;
  if (casting == Casting::kNo) return false;
  if (from.numeric() && to.numeric()) return CanCastNumbers(from.kind(), to.kind(), casting);
  if (from.kind() != to.kind()) return false;
  if (from.kind() == Kind::kBytes) {
    return from.itemsize() <= to.itemsize() ? casting >= Casting::kSafe
                                            : casting >= Casting::kSameKind;
  }
  return from.fields().size() == to.fields().size() && CanCastFields(from, to, casting);
}

base::Result<base::DType> PromoteDTypes(const base::DType& a, const base::DType& b) {
  if (a.numeric() && b.numeric()) return base::DType(Promote(a.kind(), b.kind()));
  if (a.kind() == Kind::kBytes && b.kind() == Kind::kBytes) {
    return a.itemsize() >= b.itemsize() ? a : b;
  }
  if (a == b) return a;
  return Status::Type("no dtype holds both " + a.ToString() + " and " + b.ToString());
}

Kind PromoteOperands(std::span<const OperandType> operands) {
  // Mostly all are arrays of one kind, and small arrays should not wait for more.
  const bool is_one_kind = std::ranges::all_of(operands, [&](const OperandType& operand) {
    return operand.weak == Weak::kNone && operand.kind == operands[0].kind;
  });
  if (is_one_kind && !operands.empty()) return operands[0].kind;
  bool any = false;
  Kind kind = Kind::kBool;
  Weak weak = Weak::kNone;
  // Floats come before integers, one by one: int8 and uint8 both fit float16, their common int16
  // does not.
  for (const bool whole : {false, true}) {
    for (const OperandType& operand : operands) {
      if (operand.weak != Weak::kNone) {
        weak = std::max(weak, operand.weak);
      } else if (IsWhole(operand.kind) == whole) {
        kind = any ? Promote(kind, operand.kind) : operand.kind;
        any = true;
      }
    }
  }
  // Without an array the scalars have their own kinds: what bool becomes beside them.
  return ApplyWeak(kind, weak);
}

Kind KernelResult(simd::Op op, Kind compute) {
  switch (simd::InfoOf(op).rule) {
    case TypeRule::kCompare:
    case TypeRule::kTruth:
      return Kind::kBool;
    case TypeRule::kAbs:
    case TypeRule::kAngle:
      return RealKind(compute);
    default:
      return compute;
  }
}

namespace {

// Whole operands become floats one by one before the common kind is looked for: int8 with uint8 is
// float16, although their common integers would need float32.
Kind FloatKind(Kind given, std::span<const OperandType> operands) {
  if (!IsWhole(given)) return given;
  Kind kind = SizeOf(given) == 8 ? Kind::kF64 : Kind::kF16;
  for (const OperandType& operand : operands) {
    if (operand.weak == Weak::kNone) kind = Promote(kind, FloatFor(operand.kind));
  }
  return kind;
}

// `given` is what the operands promote to.
Kind OperandKind(TypeRule rule, Kind given, std::span<const OperandType> operands) {
  switch (rule) {
    case TypeRule::kFloat:
    case TypeRule::kAngle:
      return FloatKind(given, operands);
    case TypeRule::kDivide:
      return IsWhole(given) ? Kind::kF64 : given;
    case TypeRule::kNumber:
      return given == Kind::kBool ? Kind::kI8 : given;
    default:
      return given;
  }
}

}  // namespace

Result<OpTypes> ResolveOp(simd::Op op, std::span<const OperandType> operands) {
  const simd::OpInfo& info = simd::InfoOf(op);
  if (operands.size() != static_cast<size_t>(info.arity)) {
    return Status::Type(std::string(info.name) + " takes " + std::to_string(info.arity) +
                        " operands, " + std::to_string(operands.size()) + " were given");
  }
  for (const OperandType& operand : operands) {
    if (operand.weak == Weak::kNone && !base::IsNumeric(operand.kind)) {
      return NotDefined(info.name, info.kinds, operand.kind, "");
    }
  }
  if (info.rule == TypeRule::kSelect) operands = operands.subspan(1);
  const Kind given = PromoteOperands(operands);
  const Kind kind = OperandKind(info.rule, given, operands);
  const Kind compute = ComputeKind(kind);
  if (!simd::Contains(info.kinds, compute)) {
    return NotDefined(info.name, info.kinds, given, given == Kind::kBool ? InsteadOf(op) : "");
  }
  return OpTypes{kind, compute, KernelResult(op, kind)};
}

Status CheckKinds(const char* name, simd::KindSet kinds, Kind operand) {
  if (base::IsNumeric(operand) && simd::Contains(kinds, ComputeKind(operand))) return Status::Ok();
  return NotDefined(name, kinds, operand, "");
}

Result<Kind> ResolveReduction(simd::Reduction reduction, Kind operand) {
  const simd::ReductionInfo& info = simd::InfoOf(reduction);
  SPANFLOW_TRY(CheckKinds(info.name, info.kinds, operand));
  return simd::ResultKind(reduction, operand);
}

}  // namespace spanflow::array
