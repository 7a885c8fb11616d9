#include "array/assign.h"

#include <utility>

#include "array/copy.h"
#include "array/create.h"

namespace spanflow::array {

using base::Dims;
using base::Result;
using base::Status;

Result<Source> MakeSource(const View& view, const View& values, const Dims& shape, int lead,
                          const RunOptions& options) {
  int64_t item_bytes = view.dtype().itemsize();
  Dims item;
  for (int i = lead; i < shape.size(); ++i) {
    item.push_back(shape[i]);
    item_bytes *= shape[i];
  }
  const bool one_for_all = values.ndim() <= item.size();
  const Dims& wanted = one_for_all ? item : shape;
  if (!base::BroadcastTo(values.layout, wanted).ok()) {
    return Status::Value("shape mismatch: values of shape " + base::ToString(values.layout.shape) +
                         " cannot be broadcast to the selection's shape " + base::ToString(shape));
  }
  SPANFLOW_ASSIGN(View converted, Empty(view.dtype(), wanted));
  SPANFLOW_TRY(Copy(values, converted, options));
  return Source{std::move(converted), one_for_all ? 0 : item_bytes};
}

Status CheckWritable(const View& view) {
  return view.readonly ? Status::Value("assignment destination is read-only") : Status::Ok();
}

}  // namespace spanflow::array
