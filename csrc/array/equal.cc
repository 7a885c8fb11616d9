#include "array/equal.h"

#include <algorithm>
#include <string>

#include "array/copy.h"
#include "array/create.h"
#include "array/elementwise.h"
#include "array/index.h"
#include "array/promote.h"
#include "array/reduce.h"

namespace spanflow::array {
namespace {

using base::DType;
using base::Kind;
using base::Result;
using base::Status;

Result<View> EqualNumbers(const View& a, const View& b, const RunOptions& options) {
  const OperandType types[] = {{a.dtype().kind()}, {b.dtype().kind()}};
  SPANFLOW_ASSIGN(const OpTypes op, ResolveOp(simd::Op::kEqual, types));
  const base::Dims* const shapes[] = {&a.layout.shape, &b.layout.shape};
  SPANFLOW_ASSIGN(const base::Dims shape, base::BroadcastShapes(shapes));
  SPANFLOW_ASSIGN(View result, Empty(DType(Kind::kBool), shape));
  const View* const in[] = {&a, &b};
  SPANFLOW_TRY(Elementwise(simd::Op::kEqual, in, op.compute, result, options));
  return result;
}

// Whether the elements of all axes from `ndim` on are true.
Result<View> AllFrom(int ndim, View equal, const RunOptions& options) {
  if (equal.ndim() == ndim) return equal;
  AxisSet axes;
  for (int axis = ndim; axis < equal.ndim(); ++axis) axes.set(static_cast<size_t>(axis));
  SPANFLOW_ASSIGN(View result,
                  Empty(DType(Kind::kBool), ReducedShape(equal.layout.shape, axes, false)));
  SPANFLOW_TRY(Reduce(simd::Reduction::kAll, equal, axes, {}, result, options));
  return result;
}

// Bytes elements as numbers along one more axis, padded with zeros to `width`.
Result<View> AsNumbers(const View& view, int64_t width, const RunOptions& options) {
  if (view.ndim() == base::kMaxDims) {
    return Status::Value("bytes of " + std::to_string(base::kMaxDims) +
                         " dimensions do not compare");
  }
  View padded = view;
  if (view.dtype().itemsize() != width) {
    SPANFLOW_ASSIGN(padded, CopyToNew(view, DType::Bytes(width), false, options));
  }
  base::Layout layout = padded.layout;
  layout.dtype = DType(Kind::kU8);
  layout.shape.push_back(width);
  layout.strides.push_back(1);
  return padded.With(std::move(layout));
}

Result<View> EqualBytes(const View& a, const View& b, int ndim, const RunOptions& options) {
  const int64_t width = std::max({a.dtype().itemsize(), b.dtype().itemsize(), int64_t{1}});
  SPANFLOW_ASSIGN(const View left, AsNumbers(a, width, options));
  SPANFLOW_ASSIGN(const View right, AsNumbers(b, width, options));
  SPANFLOW_ASSIGN(View equal, EqualNumbers(left, right, options));
  return AllFrom(ndim, std::move(equal), options);
}

Result<View> EqualRecords(const View& a, const View& b, const RunOptions& options) {
  const int ndim = a.ndim();
  SPANFLOW_ASSIGN(View result, Empty(DType(Kind::kBool), a.layout.shape));
  SPANFLOW_ASSIGN(const View yes, Empty(DType(Kind::kBool), {}));
  *yes.data = std::byte{1};
  SPANFLOW_TRY(Fill(result, yes, options));
  for (const base::Field& field : a.dtype().fields()) {
    SPANFLOW_ASSIGN(const View left, FieldView(a, field.name));
    SPANFLOW_ASSIGN(const View right, FieldView(b, field.name));
    SPANFLOW_ASSIGN(View equal, Equal(left, right, options));
    SPANFLOW_ASSIGN(equal, AllFrom(ndim, std::move(equal), options));
    const View* const both[] = {&result, &equal};
    SPANFLOW_TRY(Elementwise(simd::Op::kBitwiseAnd, both, Kind::kBool, result, options));
  }
  return result;
}

bool SameFields(const DType& a, const DType& b) {
  if (a.fields().size() != b.fields().size()) return false;
  return std::all_of(a.fields().begin(), a.fields().end(), [&b](const base::Field& field) {
    const base::Field* other = b.FindField(field.name);
    return other != nullptr && other->shape == field.shape;
  });
}

}  // namespace

Result<View> Equal(const View& a, const View& b, const RunOptions& options) {
  if (a.dtype().numeric() && b.dtype().numeric()) return EqualNumbers(a, b, options);
  const base::Dims* const shapes[] = {&a.layout.shape, &b.layout.shape};
  SPANFLOW_ASSIGN(const base::Dims shape, base::BroadcastShapes(shapes));
  SPANFLOW_ASSIGN(base::Layout left, base::BroadcastTo(a.layout, shape));
  SPANFLOW_ASSIGN(base::Layout right, base::BroadcastTo(b.layout, shape));
  const View first = a.With(std::move(left)), second = b.With(std::move(right));
  if (a.dtype().kind() == b.dtype().kind()) {
    if (a.dtype().kind() == Kind::kBytes) return EqualBytes(first, second, shape.size(), options);
    if (SameFields(a.dtype(), b.dtype())) return EqualRecords(first, second, options);
  }
  return Status::Type("equal(): " + a.dtype().ToString() + " and " + b.dtype().ToString() +
                      " do not compare");
}

}  // namespace spanflow::array
