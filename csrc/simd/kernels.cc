// Looks kernels up in the tables of the target in use.
#include "simd/kernels.h"

#include "simd/hwy_config.h"
#include "simd/tables.h"

// After hwy_config.h, which configures it.
#include "hwy/cache_control.h"

namespace spanflow::simd {
namespace {

constexpr size_t Index(base::Kind kind) { return static_cast<size_t>(kind); }

base::Kind ResultOf(ReduceRule rule, base::Kind operand_kind) {
  using base::Kind;
  const bool real = !base::IsFloat(operand_kind) && !base::IsComplex(operand_kind);
  switch (rule) {
    case ReduceRule::kSame:
      return operand_kind;
    case ReduceRule::kBool:
      return Kind::kBool;
    case ReduceRule::kCount:
    case ReduceRule::kPlace:
      return Kind::kI64;
    case ReduceRule::kSum:
      if (base::IsUnsigned(operand_kind)) return Kind::kU64;
      return real ? Kind::kI64 : operand_kind;
    case ReduceRule::kMean:
      return real ? Kind::kF64 : operand_kind;
    case ReduceRule::kReal:
      if (operand_kind == Kind::kC64) return Kind::kF32;
      return real || operand_kind == Kind::kC128 ? Kind::kF64 : operand_kind;
  }
  return operand_kind;
}

}  // namespace

ElementwiseKernel FindKernel(Op op, base::Kind compute_kind) {
  if (!base::IsNumeric(compute_kind)) return {};
  return CurrentTables().ops[static_cast<size_t>(op)][Index(compute_kind)];
}

MixedCompare FindMixedCompare(Op op, base::Kind first, base::Kind second) {
  using base::Kind;
  const auto& cells = CurrentTables().mixed_compares[static_cast<size_t>(op)];
  if (base::IsSigned(first) && second == Kind::kU64) return {cells[0], Kind::kI64, Kind::kU64};
  if (first == Kind::kU64 && base::IsSigned(second)) return {cells[1], Kind::kU64, Kind::kI64};
  return {};
}

CastFn FindCast(base::Kind from, base::Kind to) {
  if (!base::IsNumeric(from) || !base::IsNumeric(to)) return nullptr;
  return CurrentTables().casts[Index(from)][Index(to)];
}

CastFn FindSaturatingCast(base::Kind from, base::Kind to) {
  if (!base::IsNumeric(from) || !base::IsNumeric(to)) return nullptr;
  const CastFn limited = CurrentTables().saturating_casts[Index(from)][Index(to)];
  return limited != nullptr ? limited : FindCast(from, to);
}

ElementwiseKernel FindAffine(base::Kind from, base::Kind to) {
  if (!base::IsNumeric(from) || (to != base::Kind::kF32 && to != base::Kind::kF64)) return {};
  return CurrentTables().affine[Index(from)][to == base::Kind::kF64];
}

void FlushStreams() { hwy::FlushStream(); }

CastFn FindByteSwap(int unit) {
  return unit == 2 || unit == 4 || unit == 8 ? CurrentTables().byte_swaps[unit] : nullptr;
}

void Gather(const std::byte* in, ptrdiff_t stride, size_t itemsize, std::byte* out, size_t n) {
  CurrentTables().gather(in, stride, itemsize, out, n);
}

void Scatter(const std::byte* in, std::byte* out, ptrdiff_t stride, size_t itemsize, size_t n) {
  CurrentTables().scatter(in, out, stride, itemsize, n);
}

size_t Compress(const std::byte* in, size_t itemsize, const uint8_t* mask, size_t n,
                std::byte* out) {
  return CurrentTables().compress(in, itemsize, mask, n, out);
}

size_t CountTrue(const uint8_t* mask, size_t n) { return CurrentTables().count_true(mask, n); }

ReductionKernel FindReduction(Reduction reduction, base::Kind compute_kind) {
  if (!base::IsNumeric(compute_kind)) return {};
  return CurrentTables().reductions[static_cast<size_t>(reduction)][Index(compute_kind)];
}

SummaryFn FindSummary(base::Kind compute_kind) {
  if (!base::IsNumeric(compute_kind)) return nullptr;
  return CurrentTables().summaries[Index(compute_kind)];
}

ColumnKernel FindColumnReduction(Reduction reduction, base::Kind compute_kind) {
  if (!base::IsNumeric(compute_kind)) return {};
  return CurrentTables().columns[static_cast<size_t>(reduction)][Index(compute_kind)];
}

SiftFn FindSift(base::Kind compute_kind) {
  if (!base::IsNumeric(compute_kind)) return nullptr;
  return CurrentTables().sifts[Index(compute_kind)];
}

KeyKernel FindKeys(base::Kind kind) {
  if (!base::IsNumeric(kind)) return {};
  return CurrentTables().keys[Index(kind)];
}

SortFn FindSort(size_t key_bytes) {
  return key_bytes == 4 || key_bytes == 8 ? CurrentTables().sorts[key_bytes] : nullptr;
}

ScanKernel FindScan(Scan scan, base::Kind compute_kind) {
  if (!base::IsNumeric(compute_kind)) return {};
  return CurrentTables().scans[static_cast<size_t>(scan)][Index(compute_kind)];
}

ChainKernel FindChain(base::Kind compute_kind) {
  if (!base::IsNumeric(compute_kind)) return {};
  return CurrentTables().chains[Index(compute_kind)];
}

TrafficKernel FindTraffic() { return CurrentTables().traffic; }

base::Kind ResultKind(Reduction reduction, base::Kind operand_kind) {
  return ResultOf(InfoOf(reduction).rule, operand_kind);
}

base::Kind ResultKind(Scan scan, base::Kind operand_kind) {
  return ResultOf(InfoOf(scan).rule, operand_kind);
}
}  // namespace spanflow::simd
