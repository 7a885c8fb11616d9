#include "order/lines.h"

#include "array/copy.h"

namespace spanflow::order {

using array::CopyToNew;

View AxisLast(const View& view, int axis) {
  base::Dims axes;
  for (int i = 0; i < view.ndim(); ++i) {
    if (i != axis) axes.push_back(i);
  }
  axes.push_back(axis);
  return view.With(base::Transpose(view.layout, axes));
}

bool IsPlain(const View& view) { return view.layout.c_contiguous() && !view.dtype().swapped(); }

base::Result<View> Plain(const View& view, const RunOptions& options) {
  return PlainOf(view, view.dtype().kind(), options);
}

base::Result<View> PlainOf(const View& view, base::Kind kind, const RunOptions& options) {
  if (IsPlain(view) && view.dtype().kind() == kind) return view;
  return CopyToNew(view, base::DType(kind), false, options);
}

}  // namespace spanflow::order
