#include "array/compare.h"

namespace spanflow::array {
namespace {

using base::Kind;
using simd::Op;

// What the comparison says when the unsigned operand is above every signed number.
template <Op kOp, bool kUnsignedFirst>
constexpr uint8_t AnswerAbove() {
  if (kOp == Op::kEqual) return 0;
  if (kOp == Op::kNotEqual) return 1;
  const bool less = kOp == Op::kLess || kOp == Op::kLessEqual;
  return less == kUnsignedFirst ? 0 : 1;
}

// Both as int64, which is right wherever the unsigned operand is below 2^63; then the rest.
template <Op kOp, bool kUnsignedFirst>
void Run(const void* const* in, void* out, size_t n) {
  simd::FindKernel(kOp, Kind::kI64).run(in, out, n);
  const auto* large = static_cast<const int64_t*>(in[kUnsignedFirst ? 0 : 1]);
  auto* answer = static_cast<uint8_t*>(out);
  for (size_t i = 0; i < n; ++i) {
    answer[i] = large[i] < 0 ? AnswerAbove<kOp, kUnsignedFirst>() : answer[i];
  }
}

template <bool kUnsignedFirst>
simd::ElementwiseFn Find(Op op) {
  switch (op) {
    case Op::kEqual:
      return Run<Op::kEqual, kUnsignedFirst>;
    case Op::kNotEqual:
      return Run<Op::kNotEqual, kUnsignedFirst>;
    case Op::kLess:
      return Run<Op::kLess, kUnsignedFirst>;
    case Op::kLessEqual:
      return Run<Op::kLessEqual, kUnsignedFirst>;
    case Op::kGreater:
      return Run<Op::kGreater, kUnsignedFirst>;
    case Op::kGreaterEqual:
      return Run<Op::kGreaterEqual, kUnsignedFirst>;
    default:
      return nullptr;
  }
}

}  // namespace

MixedCompare FindMixedCompare(Op op, Kind first, Kind second) {
  if (base::IsSigned(first) && second == Kind::kU64) {
    return {Find<false>(op), Kind::kI64, Kind::kU64};
  }
  if (first == Kind::kU64 && base::IsSigned(second)) {
    return {Find<true>(op), Kind::kU64, Kind::kI64};
  }
  return {};
}

}  // namespace spanflow::array
